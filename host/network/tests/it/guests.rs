use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use wasmk_network::{BindError, ConnectError, GuestNet, HttpError, Resolved, full};

use crate::cluster::*;
use crate::ingress::{echo, http_guest};

/// Dials as a guest's runtime does: where it is told, from the pod's own address.
pub(crate) async fn dial(guest: &GuestNet, to: SocketAddr) -> Result<TcpStream, ConnectError> {
    let real = guest.connect(to)?;
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(source) = guest.source_address().filter(|_| real.ip().is_loopback()) {
        socket.bind((source, 0).into()).unwrap();
    }
    Ok(socket.connect(real).await.unwrap())
}

pub(crate) async fn talk(mut stream: TcpStream, text: &str) -> String {
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// One request over a stream of its own. The client's side stays open: closing it would give the request up.
pub(crate) async fn talk_http(mut stream: TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

pub(crate) async fn fetch(guest: &GuestNet, uri: &str) -> Result<String, HttpError> {
    let response = guest.http(Request::get(uri).body(wasmk_network::empty()).unwrap(), Some(WAIT)).await?;
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Ok(String::from_utf8_lossy(&body).trim_end().to_owned())
}

fn cluster_ip(ip: &str, port: u16) -> serde_json::Value {
    json!({"clusterIP": ip, "ports": [{"port": port}]})
}

#[tokio::test]
async fn a_guest_calls_a_service_by_name_ip_and_pod() {
    let node = Node::start("a").await;
    let (front_end, back_end) = (node.attach(2), node.replica(3));
    State::default()
        .service("back", cluster_ip("10.43.0.20", 80))
        .slice("back", 8080, "http", &[(v4(back_end.port.ip()), "a", "ready")])
        .give(&[&node]);
    let guest = front_end.guest();
    for host in ["back", "back.default", "back.default.svc.cluster.local", "10.43.0.20", "back:80"] {
        assert_eq!(fetch(&guest, &format!("http://{host}/x?y")).await.unwrap(), "a-3", "{host}");
    }
    assert_eq!(fetch(&guest, &format!("http://{}:8080/", back_end.port.ip())).await.unwrap(), "a-3");
    let seen = back_end.handler.seen.lock().unwrap()[0].clone();
    assert_eq!((seen.uri.to_string().as_str(), &seen.headers["host"]), ("/x?y", &"back".parse().unwrap()));
    assert!(!seen.headers.contains_key("x-forwarded-for"));
    assert_eq!(back_end.port.in_flight(), 0);
}

#[tokio::test]
async fn a_guest_is_told_why_it_got_no_answer() {
    let node = Node::start("a").await;
    let pod = node.attach(2);
    let replica = node.replica(3);
    State::default()
        .service("empty", cluster_ip("10.43.0.20", 80))
        .service("back", cluster_ip("10.43.0.21", 80))
        .slice("back", 8080, "http", &[(v4(replica.port.ip()), "a", "ready")])
        .give(&[&node]);
    let guest = pod.guest();
    let failed = async |uri: &str| fetch(&guest, uri).await.unwrap_err().to_string();
    assert_eq!(failed("http://empty/").await, "service default/empty has no ready endpoints");
    assert_eq!(failed("http://back:81/").await, "service default/back has no port 81");
    assert_eq!(failed("http://nothing/").await, "name nothing does not exist");
    assert_eq!(failed("http://10.43.9.9/").await, "no pod or service has the address 10.43.9.9");
    assert_eq!(failed("http://169.254.169.254/").await, "pods may not connect to 169.254.169.254");
    let host_address = format!("http://{}:{}/", node.ip, node.node_port);
    assert!(matches!(
        fetch(&guest, &host_address).await,
        Err(HttpError::Unreachable(_) | HttpError::NoEndpoint(_) | HttpError::Denied(_))
    ));
    assert!(matches!(fetch(&guest, "https://back/").await, Err(HttpError::TlsInside(_))));
    let request = Request::get("http://back/hold").body(wasmk_network::empty()).unwrap();
    let slow = guest.http(request, Some(Duration::from_millis(20))).await;
    assert!(matches!(slow, Err(HttpError::Timeout(_))), "{:?}", slow.err());
    eventually("the timed-out call was dropped", || replica.port.in_flight() == 0).await;
}

#[tokio::test]
async fn the_loopback_of_a_guest_is_its_own_pod() {
    let node = Node::start("a").await;
    let (one, other) = (node.attach(2), node.attach(3));
    let _echo = echo(&one, 9000, "one").await;
    State::default().give(&[&node]);
    let stream = dial(&one.guest(), "127.0.0.1:9000".parse().unwrap()).await.unwrap();
    assert_eq!(talk(stream, "hi").await, "one: hi");
    let refused = other.guest().connect("127.0.0.1:9000".parse().unwrap());
    assert!(matches!(refused, Err(ConnectError::Refused(_))));
}

#[tokio::test]
async fn ten_pods_listen_on_one_port() {
    let node = Node::start("a").await;
    let pods: Vec<_> = (2..12).map(|number| node.attach(number)).collect();
    for pod in &pods {
        echo(pod, 8080, "pod").await;
    }
    State::default().give(&[&node]);
    for pod in &pods {
        let stream = dial(&pods[0].guest(), (pod.ip(), 8080).into()).await.unwrap();
        assert_eq!(pods[0].guest().guest_address(stream.peer_addr().unwrap()), (pod.ip(), 8080).into());
        assert_eq!(pods[0].guest().guest_address(stream.local_addr().unwrap()).ip(), pods[0].ip());
        assert_eq!(talk(stream, "x").await, "pod: x");
    }
}

#[tokio::test]
async fn sockets_reach_services_and_replicas_that_are_called() {
    let node = Node::start("a").await;
    let (client, server, replica) = (node.attach(2), node.attach(3), node.replica(4));
    let _echo = echo(&server, 9000, "tcp").await;
    State::default()
        .service("echo", cluster_ip("10.43.0.20", 7))
        .service("web", cluster_ip("10.43.0.21", 80))
        .slice("echo", 9000, "tcp", &[(v4(server.ip()), "a", "ready")])
        .slice("web", 8080, "http", &[(v4(replica.port.ip()), "a", "ready")])
        .give(&[&node]);
    let guest = client.guest();
    let stream = dial(&guest, "10.43.0.20:7".parse().unwrap()).await.unwrap();
    assert_eq!(talk(stream, "hi").await, "tcp: hi");
    for to in [SocketAddr::from((replica.port.ip(), 8080)), "10.43.0.21:80".parse().unwrap()] {
        let stream = dial(&guest, to).await.unwrap();
        let answer = talk_http(stream).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("a-4 "), "{answer}");
    }
    assert!(matches!(guest.connect("10.43.0.20:8".parse().unwrap()), Err(ConnectError::NoEndpoint(_))));
    assert!(matches!(guest.connect("169.254.169.254:80".parse().unwrap()), Err(ConnectError::Denied(_))));
    // All of 127/8 is the pod's own loopback to a guest, so the node's port there is out of reach.
    assert!(matches!(guest.connect((node.ip, node.node_port).into()), Err(ConnectError::Refused(_))));
}

#[tokio::test]
async fn a_bridge_takes_its_own_pod_only() {
    let node = Node::start("a").await;
    let (client, replica) = (node.attach(2), node.replica(4));
    State::default().give(&[&node]);
    let real = client.guest().connect((replica.port.ip(), 8080).into()).unwrap();
    let mut stranger = TcpStream::connect(real).await.unwrap();
    let mut answer = Vec::new();
    // The stranger is hung up on, and the pod is served after it.
    assert_eq!(stranger.read_to_end(&mut answer).await.unwrap_or(0), 0);
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((client.guest().source_address().unwrap(), 0).into()).unwrap();
    let stream = socket.connect(real).await.unwrap();
    let answer = talk_http(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(TcpStream::connect(real).await.is_err(), "one connection only");
}

#[tokio::test]
async fn names_and_binds_are_the_pods_own() {
    let node = Node::start("a").await;
    let pod = node.attach(2);
    State::default().service("back", cluster_ip("10.43.0.20", 80)).give(&[&node]);
    let guest = pod.guest();
    let lookup = |name| guest.lookup(name);
    assert_eq!(lookup("localhost"), Resolved::Addresses(vec![IpAddr::from([127, 0, 0, 1])]));
    assert_eq!(lookup("a-2"), Resolved::Addresses(vec![pod.ip()]));
    assert_eq!(lookup("back"), Resolved::Addresses(vec![IpAddr::from([10, 43, 0, 20])]));
    assert_eq!(lookup("1.2.3.4"), Resolved::Addresses(vec![IpAddr::from([1, 2, 3, 4])]));
    assert_eq!(lookup("nope"), Resolved::Unknown);
    assert_eq!(lookup("example.com"), Resolved::Outside("example.com".into()));
    assert!(guest.resolve("nope").await.is_err());
    let other = SocketAddr::from((node.pod_ip(9), 80));
    assert_eq!(guest.bind(other), Err(BindError::NotOwn(other.ip())));
    assert_eq!(guest.bind("[::]:80".parse().unwrap()), guest.bind("0.0.0.0:80".parse().unwrap()));
}

#[tokio::test]
async fn a_detached_pod_answers_no_more() {
    let node = Node::start("a").await;
    let (client, replica) = (node.attach(2), node.replica(3));
    State::default().give(&[&node]);
    let (guest, uri) = (client.guest(), format!("http://{}:8080/", replica.port.ip()));
    assert_eq!(fetch(&guest, &uri).await.unwrap(), "a-3");
    drop(replica);
    assert!(fetch(&guest, &uri).await.is_err());
}

#[tokio::test]
async fn outgoing_requests_reach_a_guest_that_listens_itself() {
    let node = Node::start("a").await;
    let (client, server) = (node.attach(2), node.attach(3));
    let _web = http_guest(&server, 9000).await;
    State::default()
        .service("web", cluster_ip("10.43.0.20", 80))
        .slice("web", 9000, "http", &[(v4(server.ip()), "a", "ready")])
        .give(&[&node]);
    for _ in 0..20 {
        fetch(&client.guest(), "http://web/").await.unwrap();
    }
    let request = Request::post("http://web/").body(full("payload")).unwrap();
    assert_eq!(client.guest().http(request, Some(WAIT)).await.unwrap().status(), 200);
}

#[tokio::test]
async fn probes_ask_the_pod_itself() {
    let node = Node::start("a").await;
    let (listening, called) = (node.attach(2), node.replica(3));
    let _web = http_guest(&listening, 9000).await;
    let probe = || get_request("/healthz");
    assert_eq!(listening.probe_http(9000, probe()).await.unwrap().status(), 200);
    assert_eq!(called.port.probe_http(8080, probe()).await.unwrap().status(), 200);
    assert!(listening.probe_tcp(9000).await.is_ok() && called.port.probe_tcp(8080).await.is_ok());
    for refused in [listening.probe_tcp(9001).await, called.port.probe_tcp(9001).await] {
        assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    }
    let refused = called.port.probe_http(9001, probe()).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

/// The plan of systems with one loopback address, on this one.
#[tokio::test]
async fn pods_share_a_port_on_one_loopback_address_too() {
    let mut config = wasmk_network::NetworkConfig::new("a", vec![]);
    config.plan = Box::new(wasmk_network::EphemeralPlan::default());
    let network = wasmk_network::Network::new(config);
    network.set_pod_cidr("10.64.0.0/20".parse().unwrap());
    let pods = [2, 3].map(|number| {
        let (ip, name) = ([10, 64, 0, number].into(), format!("p-{number}"));
        network.attach(wasmk_network::PodIdentity { ip, namespace: "default".into(), hostname: name.clone(), name })
    });
    network.update(&[], &[], &[]);
    let _echoes = (echo(&pods[0], 8080, "two").await, echo(&pods[1], 8080, "three").await);
    for (pod, answer) in pods.iter().zip(["two: hi", "three: hi"]) {
        let stream = dial(&pods[0].guest(), (pod.ip(), 8080).into()).await.unwrap();
        assert_eq!(pod.guest().guest_address(stream.peer_addr().unwrap()), (pod.ip(), 8080).into());
        assert_eq!(talk(stream, "hi").await, answer);
    }
    pods[1].closed(8080);
    let refused = pods[0].guest().connect((pods[1].ip(), 8080).into());
    assert!(matches!(refused, Err(ConnectError::Refused(_))));
}
