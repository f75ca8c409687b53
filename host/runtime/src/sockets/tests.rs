use super::*;
use crate::NoNetwork;

/// Binds to 127.64.0.9, may dial 127.64.0.10 only.
struct Loopback(Mutex<Vec<String>>);

#[async_trait::async_trait]
impl GuestNetwork for Loopback {
    fn pod_ip(&self) -> IpAddr {
        Ipv4Addr::new(10, 64, 0, 9).into()
    }
    fn source_ip(&self) -> Option<IpAddr> {
        Some(Ipv4Addr::new(127, 64, 0, 9).into())
    }
    async fn resolve(&self, _: &str) -> Vec<IpAddr> {
        Vec::new()
    }
    async fn connect(&self, _: SocketAddr) -> Result<SocketAddr, ConnectRefused> {
        Err(ConnectRefused::Refused)
    }
    fn bind(&self, port: u16) -> Result<SocketAddr, BindRefused> {
        Ok(SocketAddr::from(([127, 64, 0, 9], port)))
    }
    fn listening(&self, guest: SocketAddr, real: SocketAddr) {
        self.0.lock().unwrap().push(format!("listening {guest} {real}"));
    }
    fn closed(&self, guest: SocketAddr, real: SocketAddr) {
        self.0.lock().unwrap().push(format!("closed {guest} {real}"));
    }
    fn guest_address(&self, real: SocketAddr) -> SocketAddr {
        real
    }
    async fn http(&self, _: http::Request<crate::Body>) -> Result<http::Response<crate::Body>, crate::HttpError> {
        Err(crate::HttpError::Denied)
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn allows(sockets: &Sockets, text: &str, usage: SocketAddrUse) -> bool {
    sockets.approved.lock().unwrap().allows(address(text), usage)
}

#[test]
fn a_guest_binds_its_own_address_under_any_name_and_no_other() {
    let mut sockets = Sockets::new(Arc::new(Loopback(Mutex::default())));
    sockets.created(1, false);
    for name in ["0.0.0.0:80", "127.0.0.1:80", "10.64.0.9:80"] {
        assert_eq!(sockets.bind(1, address(name)).ok(), Some(address("127.64.0.9:80")), "{name}");
    }
    for name in ["127.64.0.9:80", "10.64.0.10:80", "192.168.1.1:80"] {
        assert!(matches!(sockets.bind(1, address(name)), Err(Refused::NotBindable)), "{name}");
    }
    assert!(matches!(sockets.bind(1, address("[::]:80")), Err(Refused::InvalidArgument)));
}

#[test]
fn an_ipv6_socket_reports_mapped_addresses() {
    let mut sockets = Sockets::new(Arc::new(Loopback(Mutex::default())));
    sockets.created(1, true);
    let real = sockets.bind(1, address("[::]:80")).ok().unwrap();
    sockets.bound(1, address("[::]:80"), real);
    assert_eq!(sockets.local_address(1, real), address("[::ffff:0.0.0.0]:80"));
    sockets.accepted(1, 2);
    assert_eq!(sockets.peer_address(2, address("10.64.0.3:5000")), address("[::ffff:10.64.0.3]:5000"));
}

#[test]
fn only_chosen_addresses_pass_the_second_check_and_only_while_the_socket_lives() {
    let mut sockets = Sockets::new(Arc::new(Loopback(Mutex::default())));
    assert!(!allows(&sockets, "127.64.0.10:80", SocketAddrUse::TcpConnect));
    sockets.created(1, false);
    let source = sockets.connecting(1, address("10.64.0.10:80"), address("127.64.0.10:80"));
    assert_eq!(source, Some(address("127.64.0.9:0")));
    assert!(allows(&sockets, "127.64.0.9:0", SocketAddrUse::TcpBind));
    assert!(allows(&sockets, "127.64.0.10:80", SocketAddrUse::TcpConnect));
    assert_eq!(sockets.peer_address(1, address("127.64.0.10:80")), address("10.64.0.10:80"));
    sockets.closed(1);
    assert!(!allows(&sockets, "127.64.0.9:0", SocketAddrUse::TcpBind));
    assert!(!allows(&sockets, "127.64.0.10:80", SocketAddrUse::TcpConnect));
    assert!(!allows(&sockets, "127.0.0.1:53", SocketAddrUse::UdpSend));
}

#[test]
fn listeners_are_announced_and_withdrawn_even_if_the_guest_just_dies() {
    let network = Arc::new(Loopback(Mutex::default()));
    let mut sockets = Sockets::new(network.clone());
    sockets.created(1, false);
    sockets.bind(1, address("0.0.0.0:0")).ok().unwrap();
    sockets.bound(1, address("0.0.0.0:0"), address("127.64.0.9:4000"));
    assert!(allows(&sockets, "127.64.0.9:4000", SocketAddrUse::TcpListen));
    sockets.listening(1);
    drop(sockets);
    let expected = ["listening 10.64.0.9:4000 127.64.0.9:4000", "closed 10.64.0.9:4000 127.64.0.9:4000"];
    assert_eq!(*network.0.lock().unwrap(), expected);
}

#[test]
fn localhost_is_the_guest_itself() {
    let mut sockets = Sockets::new(Arc::new(Loopback(Mutex::default())));
    sockets.created(1, false);
    assert_eq!(sockets.dialled(1, address("127.0.0.1:9")).ok(), Some(address("10.64.0.9:9")));
    assert_eq!(literal("localhost"), Some(Ipv4Addr::LOCALHOST.into()));
    let none = Sockets::new(Arc::new(NoNetwork));
    assert!(none.network.bind(80).is_err());
}
