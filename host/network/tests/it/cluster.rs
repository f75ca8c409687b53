use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use wasmk_network::{
    Body, CallError, HttpReplica, HttpServing, MeshIdentity, MeshServer, Network, NetworkConfig, NodeAddress,
    PodIdentity, PodPort, Ports, full,
};

pub(crate) const WAIT: Duration = Duration::from_secs(20);

/// One node in this process: a network, its node port, and a loopback address of its own.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) network: Arc<Network>,
    pub(crate) ip: IpAddr,
    pub(crate) node_port: u16,
    pub(crate) cidr: ipnet::IpNet,
    server: tokio::task::JoinHandle<()>,
}

impl Node {
    /// Tests run side by side in one process or in several: each node has loopback addresses of its own.
    pub(crate) async fn start(name: &str) -> Self {
        let number = own_number();
        let [high, low] = number.to_be_bytes();
        let ip = Ipv4Addr::new(127, 16 + high, low, 1);
        let cidr = format!("10.{}.{}.0/20", 64 + (number >> 4), (number & 15) << 4).parse().unwrap();
        Self::start_at(name, ip.into(), cidr, 0).await
    }

    pub(crate) async fn start_at(name: &str, ip: IpAddr, cidr: ipnet::IpNet, port: u16) -> Self {
        let mut config = NetworkConfig::new(name, vec![ip]);
        config.identity = Some(identity(name, "system:nodes"));
        let network = Network::new(config);
        network.set_pod_cidr(cidr);
        let api: wasmk_network::NodeApi = Arc::new(|request: Request<Body>| {
            let peer = request.extensions().get::<wasmk_network::PeerIdentity>().cloned();
            let name = peer.map(|peer| peer.common_name).unwrap_or_default();
            Box::pin(async move { Response::new(full(format!("{} for {name}", request.uri().path()))) })
        });
        let server = MeshServer::bind(&network, (ip, port).into(), api).await.unwrap();
        let node_port = server.address().port();
        let server = tokio::spawn(server.run());
        Self { name: name.into(), network, ip, node_port, cidr, server }
    }

    pub(crate) fn address(&self) -> NodeAddress {
        let pod_cidr = Some(self.cidr);
        NodeAddress { name: self.name.clone(), ip: self.ip, port: self.node_port, pod_cidr }
    }

    pub(crate) fn pod_ip(&self, number: u8) -> Ipv4Addr {
        let IpAddr::V4(base) = self.cidr.network() else { unreachable!() };
        let [a, b, c, _] = base.octets();
        Ipv4Addr::new(a, b, c, number)
    }

    pub(crate) fn attach(&self, number: u8) -> PodPort {
        let name = format!("{}-{number}", self.name);
        let ip = self.pod_ip(number);
        self.network.attach(PodIdentity { ip, namespace: "default".into(), hostname: name.clone(), name })
    }

    pub(crate) fn replica(&self, number: u8) -> Replica {
        let port = self.attach(number);
        let handler = Arc::new(Handler::new(&format!("{}-{number}", self.name)));
        let serving = port.serve_http(Ports::List(vec![8080]), handler.clone());
        Replica { port, handler, serving: Some(serving), node: self.name.clone() }
    }

    /// As a killed process: everything closes at once, nothing is finished.
    pub(crate) async fn kill(self) {
        self.server.abort();
        self.network.shutdown(Duration::ZERO).await;
    }
}

pub(crate) struct Replica {
    pub(crate) port: PodPort,
    pub(crate) handler: Arc<Handler>,
    pub(crate) serving: Option<HttpServing>,
    pub(crate) node: String,
}

/// Answers with its name; holds requests to `/hold` until told otherwise.
pub(crate) struct Handler {
    pub(crate) name: String,
    pub(crate) calls: AtomicUsize,
    pub(crate) holding: AtomicUsize,
    pub(crate) release: tokio::sync::watch::Sender<bool>,
    pub(crate) gone: AtomicBool,
    pub(crate) seen: Mutex<Vec<http::request::Parts>>,
}

impl Handler {
    fn new(name: &str) -> Self {
        let release = tokio::sync::watch::Sender::new(false);
        let (calls, holding) = Default::default();
        Self { name: name.into(), calls, holding, release, gone: AtomicBool::new(false), seen: Mutex::default() }
    }
}

#[async_trait::async_trait]
impl HttpReplica for Handler {
    async fn call(&self, request: Request<Body>) -> Result<Response<Body>, CallError> {
        if self.gone.load(Ordering::SeqCst) {
            return Err(CallError::Gone(Box::new(request)));
        }
        self.calls.fetch_add(1, Ordering::SeqCst);
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        self.seen.lock().unwrap().push(head);
        if path == "/hold" {
            self.holding.fetch_add(1, Ordering::SeqCst);
            self.release.subscribe().wait_for(|released| *released).await.unwrap();
        }
        if path == "/fail" {
            return Err(CallError::Failed("it trapped".into()));
        }
        let body = body.collect().await.map_err(CallError::Failed)?.to_bytes();
        Ok(Response::new(full([self.name.as_bytes(), b" ", &body].concat())))
    }
}

/// Services and slices as the control plane would send them.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) services: Vec<Arc<Service>>,
    pub(crate) slices: Vec<Arc<EndpointSlice>>,
}

impl State {
    pub(crate) fn service(mut self, name: &str, spec: Value) -> Self {
        let object = json!({"metadata": {"namespace": "default", "name": name}, "spec": spec});
        self.services.push(Arc::new(serde_json::from_value(object).unwrap()));
        self
    }

    /// `endpoints`: (ip, node, condition), where condition is ready, unready or terminating.
    pub(crate) fn slice(
        mut self,
        service: &str,
        port: u16,
        protocol: &str,
        endpoints: &[(Ipv4Addr, &str, &str)],
    ) -> Self {
        let endpoints = endpoints.iter().map(|(ip, node, condition)| {
            let conditions = match *condition {
                "ready" => json!({"ready": true, "serving": true}),
                "terminating" => json!({"ready": false, "serving": true, "terminating": true}),
                _ => json!({"ready": false}),
            };
            json!({"addresses": [ip], "nodeName": node, "conditions": conditions})
        });
        let labels = json!({"kubernetes.io/service-name": service});
        let object = json!({
            "metadata": {"namespace": "default", "name": format!("{service}-{protocol}"), "labels": labels},
            "addressType": "IPv4", "ports": [{"name": "", "port": port, "appProtocol": protocol}],
            "endpoints": endpoints.collect::<Vec<_>>(),
        });
        self.slices.push(Arc::new(serde_json::from_value(object).unwrap()));
        self
    }

    pub(crate) fn give(&self, nodes: &[&Node]) {
        let addresses: Vec<_> = nodes.iter().map(|node| node.address()).collect();
        for node in nodes {
            node.network.update(&self.services, &self.slices, &addresses);
        }
    }
}

/// The state with one NodePort service `hello` of http replicas.
pub(crate) fn hello(front: u16, replicas: &[&Replica]) -> State {
    let endpoints: Vec<_> = replicas.iter().map(|r| (v4(r.port.ip()), r.node.as_str(), "ready")).collect();
    State::default().service("hello", node_port(front)).slice("hello", 8080, "http", &endpoints)
}

pub(crate) fn node_port(front: u16) -> Value {
    json!({"type": "NodePort", "clusterIP": "10.43.0.10", "ports": [{"port": 80, "nodePort": front}]})
}

pub(crate) fn v4(ip: IpAddr) -> Ipv4Addr {
    match ip {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(_) => panic!("pods have IPv4 addresses"),
    }
}

/// A port that was free a moment ago on the address; the address is this test's own, so it stays free.
pub(crate) async fn free_port(ip: IpAddr) -> u16 {
    TcpListener::bind((ip, 0)).await.unwrap().local_addr().unwrap().port()
}

/// 10 bits that no other node of this or another running test has.
fn own_number() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let process = (std::process::id() as u16) << 4;
    process.wrapping_add(NEXT.fetch_add(1, Ordering::SeqCst)) & 0x03ff
}

fn identity(name: &str, organization: &str) -> MeshIdentity {
    let (certificate, key) = certificate(name, organization);
    MeshIdentity::from_pem(certificate.as_bytes(), key.as_bytes(), authority().0.as_bytes()).unwrap()
}

pub(crate) fn certificate(name: &str, organization: &str) -> (String, String) {
    let (_, issuer) = authority();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, format!("system:node:{name}"));
    params.distinguished_name.push(DnType::OrganizationName, organization);
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

pub(crate) fn authority() -> &'static (String, Issuer<'static, KeyPair>) {
    static AUTHORITY: OnceLock<(String, Issuer<'static, KeyPair>)> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), Issuer::new(params, key))
    })
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    let what = what.to_owned();
    async move {
        let waited = tokio::time::timeout(WAIT, async {
            while !condition() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(waited.await.is_ok(), "not in time: {what}");
    }
}

/// A keep-alive HTTP/1.1 client connection.
pub(crate) struct Http(hyper::client::conn::http1::SendRequest<Body>);

impl Http {
    pub(crate) async fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let io = hyper_util::rt::TokioIo::new(stream);
        let (sender, connection) = hyper::client::conn::http1::handshake(io).await.map_err(std::io::Error::other)?;
        tokio::spawn(connection.with_upgrades());
        Ok(Self(sender))
    }

    pub(crate) async fn send(&mut self, request: Request<Body>) -> Result<(u16, String), hyper::Error> {
        self.0.ready().await?;
        let response = self.0.send_request(request).await?;
        let status = response.status().as_u16();
        let body: Bytes = response.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).trim_end().to_owned()))
    }

    pub(crate) async fn raw(
        &mut self,
        request: Request<Body>,
    ) -> Result<Response<hyper::body::Incoming>, hyper::Error> {
        self.0.ready().await?;
        self.0.send_request(request).await
    }
}

pub(crate) fn get_request(path: &str) -> Request<Body> {
    Request::get(path).header("host", "test").body(wasmk_network::empty()).unwrap()
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    Http::connect(address).await.unwrap().send(get_request(path)).await.unwrap()
}
