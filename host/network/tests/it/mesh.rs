use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wasmk_network::full;

use crate::cluster::*;
use crate::guests::{dial, fetch, talk, talk_http};
use crate::ingress::{echo, http_guest, upgrade_and_echo};

#[tokio::test]
async fn every_node_answers_for_replicas_on_another() {
    let (a, b, c) = (Node::start("a").await, Node::start("b").await, Node::start("c").await);
    let replica = b.replica(2);
    let front = free_port(a.ip).await;
    hello(front, &[&replica]).give(&[&a, &b, &c]);
    for node in [&a, &b, &c] {
        let mut client = Http::connect((node.ip, front).into()).await.unwrap();
        let request = Request::post("/p?q").header("host", "shop").body(full("payload")).unwrap();
        assert_eq!(client.send(request).await.unwrap(), (200, "b-2 payload".into()), "through {}", node.name);
    }
    let seen = replica.handler.seen.lock().unwrap();
    for head in &*seen {
        assert_eq!((head.uri.to_string().as_str(), &head.headers["host"]), ("/p?q", &"shop".parse().unwrap()));
        assert!(!head.headers.contains_key("wasmk-pod"));
        assert!(head.headers.contains_key("x-forwarded-for"));
    }
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    let (a, b) = (Node::start("a").await, Node::start("b").await);
    let replica = b.replica(2);
    let front = free_port(a.ip).await;
    hello(front, &[&replica]).give(&[&a, &b]);
    let mut client = Http::connect((a.ip, front).into()).await.unwrap();
    let payload = "0123456789abcdef".repeat(200_000);
    let request = Request::post("/").header("host", "x").body(full(payload.clone())).unwrap();
    let (status, body) = client.send(request).await.unwrap();
    assert_eq!((status, body.len()), (200, payload.len() + "b-2 ".len()));
}

#[tokio::test]
async fn tcp_and_upgrades_cross_nodes() {
    let (a, b) = (Node::start("a").await, Node::start("b").await);
    let (pod, web) = (b.attach(2), b.attach(3));
    let (_echo, _web) = (echo(&pod, 9000, "far").await, http_guest(&web, 9001).await);
    let (front, web_front) = (free_port(a.ip).await, free_port(a.ip).await);
    let mut web_spec = node_port(web_front);
    web_spec["clusterIP"] = "10.43.0.11".into();
    State::default()
        .service("echo", node_port(front))
        .service("web", web_spec)
        .slice("echo", 9000, "tcp", &[(v4(pod.ip()), "b", "ready")])
        .slice("web", 9001, "http", &[(v4(web.ip()), "b", "ready")])
        .give(&[&a, &b]);
    let big = "x".repeat(3_000_000);
    let stream = TcpStream::connect((a.ip, front)).await.unwrap();
    let answer = tokio::time::timeout(WAIT, talk_both(stream, &big)).await.unwrap();
    assert_eq!(answer.len(), big.len() + "far: ".len());
    assert_eq!(get((a.ip, web_front).into(), "/").await.0, 200);
    upgrade_and_echo((a.ip, web_front).into()).await;
    eventually("no connection is left", || pod.in_flight() == 0).await;
}

async fn talk_both(stream: TcpStream, text: &str) -> String {
    let (mut read, mut write) = stream.into_split();
    let text = text.to_owned();
    let writer = tokio::spawn(async move {
        write.write_all(text.as_bytes()).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut answer = String::new();
    read.read_to_string(&mut answer).await.unwrap();
    writer.await.unwrap();
    answer
}

#[tokio::test]
async fn guests_reach_other_nodes_with_requests_and_sockets() {
    let (a, b) = (Node::start("a").await, Node::start("b").await);
    let (client, server, replica) = (a.attach(2), b.attach(2), b.replica(3));
    let _echo = echo(&server, 9000, "far").await;
    State::default()
        .service("echo", json!({"clusterIP": "10.43.0.20", "ports": [{"port": 7}]}))
        .service("web", json!({"clusterIP": "10.43.0.21", "ports": [{"port": 80}]}))
        .slice("echo", 9000, "tcp", &[(v4(server.ip()), "b", "ready")])
        .slice("web", 8080, "http", &[(v4(replica.port.ip()), "b", "ready")])
        .give(&[&a, &b]);
    let guest = client.guest();
    assert_eq!(fetch(&guest, "http://web/").await.unwrap(), "b-3");
    assert_eq!(fetch(&guest, &format!("http://{}:8080/", replica.port.ip())).await.unwrap(), "b-3");
    for to in ["10.43.0.20:7".parse().unwrap(), (server.ip(), 9000).into()] {
        assert_eq!(talk(dial(&guest, to).await.unwrap(), "hi").await, "far: hi");
    }
    let stream = dial(&guest, (replica.port.ip(), 8080).into()).await.unwrap();
    let answer = talk_http(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("b-3 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_loses_only_what_was_in_flight() {
    let (a, b) = (Node::start("a").await, Node::start("b").await);
    let (near, far) = (a.replica(2), b.replica(2));
    let front = free_port(a.ip).await;
    let address = (a.ip, front).into();
    hello(front, &[&near, &far]).give(&[&a, &b]);
    let (stop, lost, sent) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let (stop, lost, sent) = (stop.clone(), lost.clone(), sent.clone());
            tokio::spawn(async move {
                let mut client = Http::connect(address).await.unwrap();
                while !stop.load(Ordering::SeqCst) {
                    // Half of them may not be sent twice.
                    let method = if number % 2 == 0 { "GET" } else { "POST" };
                    let request =
                        Request::builder().method(method).uri("/").header("host", "x").body(full("p")).unwrap();
                    let (status, _) = client.send(request).await.expect("node a lives");
                    sent.fetch_add(1, Ordering::SeqCst);
                    if status != 200 {
                        lost.fetch_add(1, Ordering::SeqCst);
                    }
                }
            })
        })
        .collect();
    eventually("load on both", || {
        far.handler.calls.load(Ordering::SeqCst) > 200 && near.handler.calls.load(Ordering::SeqCst) > 200
    })
    .await;
    b.kill().await;
    let at_kill = sent.load(Ordering::SeqCst);
    eventually("a goes on alone", || sent.load(Ordering::SeqCst) > at_kill + 1000).await;
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    // At most one request of each client that may not be sent twice.
    assert!(
        lost.load(Ordering::SeqCst) <= 4,
        "lost {} of {}",
        lost.load(Ordering::SeqCst),
        sent.load(Ordering::SeqCst)
    );
}

#[tokio::test]
async fn a_node_that_comes_back_is_used_again() {
    let (a, b) = (Node::start("a").await, Node::start("b").await);
    let far = b.replica(2);
    let front = free_port(a.ip).await;
    let state = hello(front, &[&far]);
    state.give(&[&a, &b]);
    let address = (a.ip, front).into();
    assert_eq!(get(address, "/").await.0, 200);
    let (ip, cidr, port) = (b.ip, b.cidr, b.node_port);
    b.kill().await;
    eventually_status(address, 503).await;
    let (_, text) = get(address, "/").await;
    assert_eq!(text, "service default/hello has ready endpoints only on nodes that do not answer: b");
    let b = Node::start_at("b", ip, cidr, port).await;
    let _far = b.replica(2);
    eventually_status(address, 200).await;
}

/// No FIN, no RST: the machine is gone, or the cable. Only the pings tell.
#[tokio::test]
async fn a_silent_node_is_noticed_and_its_requests_move_on() {
    let (a, b) = (Node::start("a").await, Node::start("b").await);
    let (near, far) = (a.replica(2), b.replica(2));
    let front = free_port(a.ip).await;
    let (cable, frozen) = cable((b.ip, b.node_port).into()).await;
    let mut to_b = b.address();
    to_b.port = cable;
    to_b.ip = [127, 0, 0, 1].into();
    let state = hello(front, &[&far]);
    a.network.update(&state.services, &state.slices, &[a.address(), to_b.clone()]);
    let address = (a.ip, front).into();
    assert_eq!(get(address, "/").await, (200, "b-2".into()));
    frozen.send_replace(true);
    let caught = tokio::spawn(get(address, "/"));
    eventually("the request is on its way", || !caught.is_finished()).await;
    let state = hello(front, &[&far, &near]);
    a.network.update(&state.services, &state.slices, &[a.address(), to_b]);
    assert_eq!(tokio::time::timeout(WAIT, caught).await.unwrap().unwrap(), (200, "a-2".into()));
    for _ in 0..20 {
        assert_eq!(get(address, "/").await, (200, "a-2".into()));
    }
}

/// Passes bytes both ways until it is told to freeze.
async fn cable(to: std::net::SocketAddr) -> (u16, tokio::sync::watch::Sender<bool>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let frozen = tokio::sync::watch::Sender::new(false);
    let freeze = frozen.clone();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut freeze = freeze.subscribe();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(to).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    () = async { drop(freeze.wait_for(|frozen| *frozen).await) } => {}
                }
                if *freeze.borrow() {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    (port, frozen)
}

async fn eventually_status(address: std::net::SocketAddr, expected: u16) {
    let waited = tokio::time::timeout(WAIT, async {
        while get(address, "/").await.0 != expected {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(waited.await.is_ok(), "never a {expected}");
}

#[tokio::test]
async fn a_replica_that_left_another_node_refuses_and_the_next_one_gets_the_post() {
    let (a, b) = (Node::start("a").await, Node::start("b").await);
    let (gone, here) = (b.replica(2), b.replica(3));
    let front = free_port(a.ip).await;
    hello(front, &[&gone, &here]).give(&[&a, &b]);
    drop(gone);
    let mut client = Http::connect((a.ip, front).into()).await.unwrap();
    for _ in 0..40 {
        let request = Request::post("/").header("host", "x").body(full("payload")).unwrap();
        assert_eq!(client.send(request).await.unwrap(), (200, "b-3 payload".into()));
    }
}

#[tokio::test]
async fn the_node_port_carries_the_node_api_and_knows_the_peer() {
    let a = Node::start("a").await;
    let (status, body) = ask_node_port(&a, "system:masters").await.unwrap();
    assert_eq!((status, body.as_str()), (200, "/healthz for system:node:admin"));
}

#[tokio::test]
async fn strangers_get_no_answer_on_the_node_port() {
    let a = Node::start("a").await;
    assert!(ask_node_port(&a, "developers").await.is_none(), "a certificate of the cluster, but of no node");
    let mut plain = TcpStream::connect((a.ip, a.node_port)).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"));
}

async fn ask_node_port(node: &Node, organization: &str) -> Option<(u16, String)> {
    let (certificate, key) = certificate("admin", organization);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority().0.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = config.with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap();
    let stream = TcpStream::connect((node.ip, node.node_port)).await.unwrap();
    let name = ServerName::try_from(node.name.clone()).unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.rsplit("\r\n\r\n").next()?.to_owned()))
}
