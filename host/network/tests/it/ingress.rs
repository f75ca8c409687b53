use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::Request;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wasmk_network::{ListenerProblemReason, full};

use crate::cluster::*;

async fn one_node() -> (Node, u16, SocketAddr) {
    let node = Node::start("a").await;
    let front = free_port(node.ip).await;
    let address = (node.ip, front).into();
    (node, front, address)
}

#[tokio::test]
async fn every_replica_answers_on_one_connection() {
    let (node, front, address) = one_node().await;
    let replicas = [node.replica(2), node.replica(3), node.replica(4)];
    hello(front, &replicas.iter().collect::<Vec<_>>()).give(&[&node]);
    let mut client = Http::connect(address).await.unwrap();
    let mut counts = BTreeMap::new();
    for _ in 0..300 {
        let (status, name) = client.send(get_request("/")).await.unwrap();
        assert_eq!(status, 200);
        *counts.entry(name).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 3, "{counts:?}");
    assert!(counts.values().all(|count| *count > 50), "{counts:?}");
}

#[tokio::test]
async fn a_busy_replica_gets_less() {
    let (node, front, address) = one_node().await;
    let (slow, fast) = (node.replica(2), node.replica(3));
    hello(front, &[&slow]).give(&[&node]);
    let held: Vec<_> = (0..8).map(|_| tokio::spawn(get(address, "/hold"))).collect();
    eventually("eight held", || slow.handler.holding.load(Ordering::SeqCst) == 8).await;
    hello(front, &[&slow, &fast]).give(&[&node]);
    for _ in 0..100 {
        assert_eq!(get(address, "/").await.1, "a-3");
    }
    slow.handler.release.send_replace(true);
    for held in held {
        assert_eq!(held.await.unwrap().0, 200);
    }
}

#[tokio::test]
async fn a_replica_sees_origin_form_host_and_who_asked() {
    let (node, front, address) = one_node().await;
    let replica = node.replica(2);
    hello(front, &[&replica]).give(&[&node]);
    let request =
        Request::post("/a?b=c").header("host", "shop.example").header("connection", "x-drop").header("x-drop", "1");
    let mut client = Http::connect(address).await.unwrap();
    let (status, body) = client.send(request.body(full("payload")).unwrap()).await.unwrap();
    assert_eq!((status, body.as_str()), (200, "a-2 payload"));
    let seen = replica.handler.seen.lock().unwrap().pop().unwrap();
    assert_eq!(seen.uri.to_string(), "/a?b=c");
    assert_eq!(seen.headers["host"], "shop.example");
    assert!(!seen.headers["x-forwarded-for"].is_empty());
    assert_eq!(seen.headers["x-forwarded-proto"], "http");
    assert!(!seen.headers.contains_key("x-drop") && !seen.headers.contains_key("connection"));
}

#[tokio::test]
async fn no_ready_endpoint_is_a_503_that_says_so() {
    let (node, front, address) = one_node().await;
    let replica = node.replica(2);
    State::default()
        .service("hello", node_port(front))
        .slice("hello", 8080, "http", &[(v4(replica.port.ip()), "a", "unready")])
        .give(&[&node]);
    let (status, text) = get(address, "/").await;
    assert_eq!(status, 503);
    assert_eq!(text, "service default/hello has no ready endpoints (1 pod is not ready)");
    // Nobody ever said that it speaks HTTP; the client's first words do.
    State::default().service("hello", node_port(front)).give(&[&node]);
    assert_eq!(get(address, "/").await, (503, "service default/hello has no ready endpoints".into()));
}

#[tokio::test]
async fn a_broken_replica_is_a_502_and_is_not_asked_twice() {
    let (node, front, address) = one_node().await;
    let replica = node.replica(2);
    hello(front, &[&replica]).give(&[&node]);
    let (status, text) = get(address, "/fail").await;
    assert_eq!(status, 502);
    assert!(text.contains("it trapped"), "{text}");
    assert_eq!(replica.handler.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_post_moves_on_from_a_replica_that_is_gone() {
    let (node, front, address) = one_node().await;
    let (gone, here) = (node.replica(2), node.replica(3));
    gone.handler.gone.store(true, Ordering::SeqCst);
    hello(front, &[&gone, &here]).give(&[&node]);
    let mut client = Http::connect(address).await.unwrap();
    for _ in 0..50 {
        let request = Request::post("/").header("host", "x").body(full("payload")).unwrap();
        assert_eq!(client.send(request).await.unwrap(), (200, "a-3 payload".into()));
    }
}

#[tokio::test]
async fn a_request_is_held_while_the_table_is_behind() {
    let (node, front, address) = one_node().await;
    let mut old = node.replica(2);
    hello(front, &[&old]).give(&[&node]);
    old.serving = None;
    let waiting = tokio::spawn(get(address, "/"));
    let new = node.replica(3);
    eventually("the request in flight", || old.port.in_flight() == 0 && !waiting.is_finished()).await;
    hello(front, &[&new]).give(&[&node]);
    assert_eq!(waiting.await.unwrap(), (200, "a-3".into()));
}

#[tokio::test]
async fn drain_waits_for_requests_in_flight_and_prefers_others() {
    let (node, front, address) = one_node().await;
    let (old, new) = (node.replica(2), node.replica(3));
    hello(front, &[&old]).give(&[&node]);
    let held = tokio::spawn(get(address, "/hold"));
    eventually("held", || old.handler.holding.load(Ordering::SeqCst) == 1).await;
    assert_eq!(old.port.drain(Duration::from_millis(1)).await.left, 1);
    hello(front, &[&old, &new]).give(&[&node]);
    assert_eq!(get(address, "/").await.1, "a-3");
    let drain = old.port.drain(WAIT);
    tokio::pin!(drain);
    assert!(futures::poll!(&mut drain).is_pending());
    old.handler.release.send_replace(true);
    assert_eq!(drain.await.left, 0);
    assert_eq!(held.await.unwrap(), (200, "a-2".into()));
}

#[tokio::test]
async fn a_pod_that_its_node_knows_to_be_unready_is_avoided_before_the_table_says_so() {
    let (node, front, address) = one_node().await;
    let (one, other) = (node.replica(2), node.replica(3));
    hello(front, &[&one, &other]).give(&[&node]);
    one.port.set_ready(false);
    for _ in 0..30 {
        assert_eq!(get(address, "/").await.1, "a-3");
    }
    one.port.set_ready(true);
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..100 {
        names.insert(get(address, "/").await.1);
    }
    assert_eq!(names.len(), 2);
}

#[tokio::test]
async fn a_pod_on_a_used_address_is_counted_anew() {
    let (node, front, address) = one_node().await;
    let old = node.replica(2);
    hello(front, &[&old]).give(&[&node]);
    old.port.drain(WAIT).await;
    drop(old);
    let new = node.replica(2);
    let held = tokio::spawn(get(address, "/hold"));
    eventually("held", || new.handler.holding.load(Ordering::SeqCst) == 1).await;
    assert_eq!(new.port.in_flight(), 1);
    new.handler.release.send_replace(true);
    assert_eq!(new.port.drain(WAIT).await.left, 0);
    assert_eq!(held.await.unwrap().0, 200);
}

#[tokio::test]
async fn client_ip_affinity_keeps_to_one_replica() {
    let (node, front, address) = one_node().await;
    let replicas: Vec<_> = (2..10).map(|number| node.replica(number)).collect();
    let mut state = hello(front, &replicas.iter().collect::<Vec<_>>());
    let mut spec = node_port(front);
    spec["sessionAffinity"] = "ClientIP".into();
    state.services.clear();
    state.service("hello", spec).give(&[&node]);
    let first = get(address, "/").await;
    for _ in 0..30 {
        assert_eq!(get(address, "/").await, first);
    }
}

#[tokio::test]
async fn a_taken_port_stops_no_other_and_opens_when_it_is_free() {
    let (node, front, address) = one_node().await;
    let replica = node.replica(2);
    let taken = TcpListener::bind((node.ip, 0)).await.unwrap();
    let taken_address = taken.local_addr().unwrap();
    let mut spec = node_port(taken_address.port());
    spec["clusterIP"] = "10.43.0.11".into();
    hello(front, &[&replica])
        .service("blocked", spec)
        .slice("blocked", 8080, "http", &[(v4(replica.port.ip()), "a", "ready")])
        .give(&[&node]);
    assert_eq!(get(address, "/").await.0, 200);
    let mut problems = node.network.listener_problems();
    let problem = problems.borrow_and_update()[0].clone();
    assert_eq!(problem.reason, ListenerProblemReason::PortInUse(node.ip));
    assert!(problem.to_string().contains("default/blocked"), "{problem}");
    drop(taken);
    tokio::time::timeout(WAIT, problems.wait_for(|problems| problems.is_empty())).await.unwrap().unwrap();
    assert_eq!(get(taken_address, "/").await.0, 200);
}

#[tokio::test]
async fn a_deleted_service_closes_its_port_and_load_balancers_use_their_own() {
    let (node, front, address) = one_node().await;
    let replica = node.replica(2);
    hello(front, &[&replica]).give(&[&node]);
    assert_eq!(node.network.listening(), [address]);
    let other = free_port(node.ip).await;
    State::default()
        .service("hello", json!({"type": "LoadBalancer", "clusterIP": "10.43.0.10", "ports": [{"port": other}]}))
        .slice("hello", 8080, "http", &[(v4(replica.port.ip()), "a", "ready")])
        .give(&[&node]);
    assert_eq!(get((node.ip, other).into(), "/").await.0, 200);
    assert_eq!(node.network.listening().len(), 1);
    tokio::time::timeout(WAIT, async { while TcpStream::connect(address).await.is_ok() {} }).await.unwrap();
}

#[tokio::test]
async fn tcp_is_passed_per_connection_with_its_half_close() {
    let (node, front, address) = one_node().await;
    let pod = node.attach(2);
    let _echo = echo(&pod, 9000, "one").await;
    State::default()
        .service("echo", node_port(front))
        .slice("echo", 9000, "tcp", &[(v4(pod.ip()), "a", "ready")])
        .give(&[&node]);
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"all of it").await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "one: all of it");
    eventually("the connection no longer counts", || pod.in_flight() == 0).await;
    pod.closed(9000);
    let mut client = TcpStream::connect(address).await.unwrap();
    assert!(client.read_to_string(&mut answer).await.is_err(), "refused by a reset");
}

#[tokio::test]
async fn http_of_a_listening_guest_is_balanced_per_request_and_upgrades_pass() {
    let (node, front, address) = one_node().await;
    let pods = [node.attach(2), node.attach(3)];
    let mut endpoints = Vec::new();
    let mut servers = Vec::new();
    for pod in &pods {
        servers.push(http_guest(pod, 9000).await);
        endpoints.push((v4(pod.ip()), "a", "ready"));
    }
    State::default().service("web", node_port(front)).slice("web", 9000, "http", &endpoints).give(&[&node]);
    let mut client = Http::connect(address).await.unwrap();
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..50 {
        names.insert(client.send(get_request("/")).await.unwrap().1);
    }
    assert_eq!(names.len(), 2);
    upgrade_and_echo(address).await;
}

#[tokio::test]
async fn shutdown_finishes_the_request_in_hand() {
    let (node, front, address) = one_node().await;
    let replica = node.replica(2);
    hello(front, &[&replica]).give(&[&node]);
    let held = tokio::spawn(get(address, "/hold"));
    eventually("held", || replica.handler.holding.load(Ordering::SeqCst) == 1).await;
    let network = node.network.clone();
    let shutdown = tokio::spawn(async move { network.shutdown(WAIT).await });
    tokio::time::timeout(WAIT, async { while TcpStream::connect(address).await.is_ok() {} }).await.unwrap();
    assert!(!shutdown.is_finished());
    replica.handler.release.send_replace(true);
    assert_eq!(held.await.unwrap().0, 200);
    shutdown.await.unwrap();
}

/// A guest that answers what it read, once the client has closed its side.
pub(crate) async fn echo(pod: &wasmk_network::PodPort, port: u16, name: &'static str) -> tokio::task::JoinHandle<()> {
    let real = pod.guest().bind(([0, 0, 0, 0], port).into()).unwrap();
    let listener = TcpListener::bind(real).await.unwrap();
    pod.listening(port, listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut read = Vec::new();
                stream.read_to_end(&mut read).await.unwrap();
                stream.write_all(format!("{name}: ").as_bytes()).await.unwrap();
                stream.write_all(&read).await.unwrap();
            });
        }
    })
}

/// A guest that listens and speaks HTTP/1.1 itself; it answers with its address, and upgrades to an echo.
pub(crate) async fn http_guest(pod: &wasmk_network::PodPort, port: u16) -> tokio::task::JoinHandle<()> {
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    let real = pod.guest().bind(([0, 0, 0, 0], port).into()).unwrap();
    let listener = TcpListener::bind(real).await.unwrap();
    pod.listening(port, listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let name = real.ip().to_string();
            let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
                let name = name.clone();
                async move {
                    let response = http::Response::builder();
                    if !request.headers().contains_key("upgrade") {
                        return response.body(full(name));
                    }
                    let upgrade = hyper::upgrade::on(&mut request);
                    tokio::spawn(async move {
                        let (mut read, mut write) = tokio::io::split(TokioIo::new(upgrade.await.unwrap()));
                        tokio::io::copy(&mut read, &mut write).await
                    });
                    response.status(101).header("connection", "upgrade").header("upgrade", "echo").body(full(""))
                }
            });
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection.with_upgrades());
        }
    })
}

pub(crate) async fn upgrade_and_echo(address: SocketAddr) {
    let mut client = Http::connect(address).await.unwrap();
    let request = Request::get("/ws").header("host", "x").header("connection", "upgrade").header("upgrade", "echo");
    let response = client.raw(request.body(wasmk_network::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 101);
    let mut stream = hyper_util::rt::TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    stream.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"ping");
}
