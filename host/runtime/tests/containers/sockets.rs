use crate::support::*;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

async fn read(address: SocketAddr) -> String {
    let mut text = String::new();
    TcpStream::connect(address).await.unwrap().read_to_string(&mut text).await.unwrap();
    text
}

async fn serve(network: &Arc<TestNetwork>, address: &str) -> Started {
    let network = network.clone();
    start(&command_p2(), &["serve", address], |spec| spec.network = network).await
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn replicas_listen_on_the_same_port_each_on_its_own_address() {
    let first = Arc::new(TestNetwork::new(11));
    let second = Arc::new(TestNetwork::join(12, &first));
    let (mut a, mut b) = (serve(&first, "0.0.0.0:8080").await, serve(&second, "0.0.0.0:8080").await);
    assert_eq!(a.line().await, "listening 0.0.0.0:8080");
    assert_eq!(b.line().await, "listening 0.0.0.0:8080");
    for (guest, listen) in [(&first, "10.64.0.11:8080"), (&second, "10.64.0.12:8080")] {
        let real = guest.listener(address(listen)).await;
        let said = read(real).await;
        assert!(said.starts_with("peer 127.0.0.1 local "), "{said}");
    }
    a.killed().await;
    eventually("the listener is withdrawn", || first.listeners.lock().unwrap().len() == 1).await;
    drop(b);
}

#[tokio::test]
async fn an_ipv6_listener_works_and_sees_mapped_addresses() {
    let network = Arc::new(TestNetwork::new(13));
    let mut guest = serve(&network, "[::]:8080").await;
    assert_eq!(guest.line().await, "listening [::ffff:0.0.0.0]:8080");
    let said = read(network.listener(address("10.64.0.13:8080")).await).await;
    assert!(said.starts_with("peer ::ffff:127.0.0.1 local "), "{said}");
}

#[tokio::test]
async fn guests_reach_each_other_by_name_and_see_virtual_addresses_only() {
    let server = Arc::new(TestNetwork::new(14));
    let _serving = serve(&server, "0.0.0.0:8080").await;
    server.listener(address("10.64.0.14:8080")).await;
    let mut client = TestNetwork::join(15, &server);
    client.names.insert("backend", "10.64.0.14".parse().unwrap());
    let client = Arc::new(client);
    let ended = run(&command_p2(), &["dial", "backend:8080"], |spec| spec.network = client).await;
    assert_eq!(ended.stdout[0], "connected to 10.64.0.14:8080 from 10.64.0.15");
    assert!(ended.stdout[1].starts_with("peer 10.64.0.15 local "), "{:?}", ended.stdout);
}

#[tokio::test]
async fn refused_and_forbidden_connections_say_which() {
    let mut network = TestNetwork::new(16);
    network.forbidden = Some(address("10.64.0.99:80"));
    let network = Arc::new(network);
    for (target, kind) in [("10.64.0.98:80", "ConnectionRefused"), ("10.64.0.99:80", "PermissionDenied")] {
        let network = network.clone();
        let ended = run(&command_p2(), &["dial", target], |spec| spec.network = network).await;
        assert_eq!(ended.stdout, [format!("refused {kind}")]);
    }
}

#[tokio::test]
async fn the_hosts_own_services_are_out_of_reach() {
    let host = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = host.local_addr().unwrap().port();
    let network = Arc::new(TestNetwork::new(17));
    let ended = run(&command_p2(), &["dial", &format!("127.0.0.1:{port}")], |spec| spec.network = network).await;
    assert_eq!(ended.stdout, ["refused ConnectionRefused"]);
}

#[tokio::test]
async fn names_come_from_the_network_alone() {
    let mut network = TestNetwork::new(18);
    network.names.insert("backend", "10.43.0.1".parse().unwrap());
    let network = Arc::new(network);
    for (name, found) in
        [("backend", "Ok([10.43.0.1:80])"), ("localhost", "Ok([127.0.0.1:80])"), ("10.1.2.3", "Ok([10.1.2.3:80])")]
    {
        let network = network.clone();
        let ended = run(&command_p2(), &["resolve", name], |spec| spec.network = network).await;
        assert_eq!(ended.stdout, [found], "{name}");
    }
    let ended = run(&command_p2(), &["resolve", "example.org"], |spec| spec.network = network).await;
    assert!(ended.stdout[0].starts_with("Err("), "{:?}", ended.stdout);
}

#[tokio::test]
async fn udp_is_denied() {
    let network = Arc::new(TestNetwork::new(19));
    let ended = run(&command_p2(), &["udp"], |spec| spec.network = network).await;
    assert_eq!(ended.stdout, ["Err(PermissionDenied)"]);
}

#[tokio::test]
async fn a_wasi_0_3_server_has_the_same_network() {
    let mut network = TestNetwork::new(20);
    network.names.insert("backend", "10.43.0.1".parse().unwrap());
    let network = Arc::new(network);
    let given = network.clone();
    let mut guest = start(&tcp_p3(), &[], |spec| spec.network = given).await;
    let names = guest.line().await;
    assert!(names.contains("(10, 43, 0, 1)"), "{names}");
    let listening = guest.line().await;
    assert!(listening.contains("8080") && listening.contains("(0, 0, 0, 0)"), "{listening}");
    let said = read(network.listener(address("10.64.0.20:8080")).await).await;
    assert!(said.contains("(127, 0, 0, 1)"), "{said}");
    guest.killed().await;
    eventually("the listener is withdrawn", || network.listeners.lock().unwrap().is_empty()).await;
}
