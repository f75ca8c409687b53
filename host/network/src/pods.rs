use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use http::{Request, Response};
use tokio_util::sync::CancellationToken;

use crate::backend::{TcpBackend, to_origin_form};
use crate::body::{Body, BoxError};
use crate::guest::GuestNet;
use crate::load::Load;
use crate::network::Network;
use crate::pod_stream::{self, PodStream};

/// A replica that serves HTTP by being called.
///
/// The request has an origin-form URI (`/path?query`) and a `Host` header, as if it had come over HTTP/1.1.
#[async_trait]
pub trait HttpReplica: Send + Sync + 'static {
    async fn call(&self, request: Request<Body>) -> Result<Response<Body>, CallError>;
}

/// Why a replica gave no response.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It has ended or is full, and never looked at the request: another replica gets it.
    #[error("the replica takes no requests any more")]
    Gone(Box<Request<Body>>),
    /// It broke while it handled the request; the client gets a 502.
    #[error("the replica broke off")]
    Failed(#[source] BoxError),
}

/// The ports on which a replica is called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ports {
    Any,
    List(Vec<u16>),
}

impl Ports {
    fn contains(&self, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::List(ports) => ports.contains(&port),
        }
    }
}

/// Who a pod is to the network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PodIdentity {
    pub ip: Ipv4Addr,
    pub namespace: String,
    pub name: String,
    /// `spec.hostname`, else the pod's name.
    pub hostname: String,
}

/// A pod of this node. The address answers as long as its [`PodPort`] lives.
pub(crate) struct LocalPod {
    pub(crate) identity: PodIdentity,
    pub(crate) load: Arc<Load>,
    /// Cancelled when it is detached.
    pub(crate) gone: CancellationToken,
    http: ArcSwap<Vec<HttpRoute>>,
    tcp: ArcSwap<Vec<(u16, Arc<TcpBackend>)>>,
}

#[derive(Clone)]
struct HttpRoute {
    id: u64,
    ports: Ports,
    replica: Arc<dyn HttpReplica>,
}

/// What answers on one port of a local pod.
pub(crate) enum LocalBackend {
    Http(Arc<dyn HttpReplica>),
    Tcp(Arc<TcpBackend>),
}

impl LocalPod {
    pub(crate) fn new(identity: PodIdentity, load: Arc<Load>) -> Self {
        Self { identity, load, gone: CancellationToken::new(), http: ArcSwap::default(), tcp: ArcSwap::default() }
    }

    /// A listener wins over a replica that takes any port.
    pub(crate) fn backend(&self, port: u16) -> Option<LocalBackend> {
        if let Some((_, tcp)) = self.tcp.load().iter().find(|(listening, _)| *listening == port) {
            return Some(LocalBackend::Tcp(tcp.clone()));
        }
        let http = self.http.load();
        let route = http.iter().find(|route| route.ports.contains(port))?;
        Some(LocalBackend::Http(route.replica.clone()))
    }

    pub(crate) fn listening(&self, port: u16, real: SocketAddr) {
        self.tcp.rcu(|known| {
            let others = known.iter().filter(|(listening, _)| *listening != port).cloned();
            others.chain([(port, Arc::new(TcpBackend::new(real)))]).collect::<Vec<_>>()
        });
    }

    /// The real address that listened there.
    pub(crate) fn closed(&self, port: u16) -> Option<SocketAddr> {
        let is_other = |(listening, _): &&(u16, Arc<TcpBackend>)| *listening != port;
        let before = self.tcp.rcu(|known| known.iter().filter(is_other).cloned().collect::<Vec<_>>());
        before.iter().find(|(listening, _)| *listening == port).map(|(_, backend)| backend.address())
    }

    fn real_addresses(&self) -> Vec<SocketAddr> {
        self.tcp.load().iter().map(|(_, backend)| backend.address()).collect()
    }
}

/// The agent's handle of an attached pod; dropping it detaches the pod.
pub struct PodPort {
    network: Arc<Network>,
    pod: Arc<LocalPod>,
}

/// What a drain left behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drained {
    /// Requests and connections that were still in flight at the deadline.
    pub left: usize,
}

impl PodPort {
    pub(crate) fn new(network: &Arc<Network>, pod: Arc<LocalPod>) -> Self {
        Self { network: network.clone(), pod }
    }

    pub fn ip(&self) -> IpAddr {
        self.pod.identity.ip.into()
    }

    /// What the pod's guests use: bind, resolve, connect, outgoing HTTP.
    pub fn guest(&self) -> GuestNet {
        GuestNet::new(self.network.clone(), self.pod.clone())
    }

    /// Has `replica` called for requests to these ports until the returned value is dropped.
    pub fn serve_http(&self, ports: Ports, replica: Arc<dyn HttpReplica>) -> HttpServing {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let route = HttpRoute { id, ports, replica };
        // The newest first: a restarted container takes over before the old one's registration goes.
        self.pod.http.rcu(|known| [route.clone()].into_iter().chain(known.iter().cloned()).collect::<Vec<_>>());
        HttpServing { id, pod: self.pod.clone() }
    }

    /// A TCP guest listens on `port`, really at `real`.
    pub fn listening(&self, port: u16, real: SocketAddr) {
        self.guest().listening(port, real);
    }

    pub fn closed(&self, port: u16) {
        self.guest().closed(port);
    }

    /// Requests and proxied connections to this pod that have not ended.
    pub fn in_flight(&self) -> usize {
        self.pod.load.in_flight()
    }

    /// Whether the pod is ready as far as this node knows, which is before the table says so. A pod that is not is
    /// picked only when no other is left. A pod begins ready.
    pub fn set_ready(&self, ready: bool) {
        self.pod.load.set_ready(ready);
    }

    /// Connects to the pod itself, as a `tcpSocket` probe does. A replica that is called accepts on its ports.
    pub async fn probe_tcp(&self, port: u16) -> io::Result<()> {
        match self.pod.backend(port) {
            Some(LocalBackend::Tcp(backend)) => backend.connect().await.map(drop),
            Some(LocalBackend::Http(_)) => Ok(()),
            None => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    /// Opens a byte stream to a port of the pod itself, ready or not; it ends with the pod. Requests that are written to
    /// a replica that is called are answered as those at a Service's port are. It does not hold up a drain.
    pub async fn connect(&self, port: u16) -> io::Result<PodStream> {
        pod_stream::connect(&self.network, &self.pod, port).await
    }

    /// Sends a request to the pod itself, as an `httpGet` probe does: never through a Service, and never twice.
    pub async fn probe_http(&self, port: u16, request: Request<Body>) -> io::Result<Response<Body>> {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        match self.pod.backend(port).ok_or_else(refused)? {
            LocalBackend::Tcp(backend) => backend.send_once(request).await,
            LocalBackend::Http(replica) => {
                let mut request = request;
                to_origin_form(&mut request);
                replica.call(request).await.map_err(|error| match error {
                    CallError::Gone(_) => refused(),
                    CallError::Failed(error) => io::Error::other(error),
                })
            }
        }
    }

    /// Prefers other pods from now on, and waits until everything in flight here has ended, at most `deadline`.
    /// Requests that still arrive are served.
    pub async fn drain(&self, deadline: Duration) -> Drained {
        self.pod.load.set_draining();
        // Counted only at the deadline: another request may have come in since the pod was idle.
        match tokio::time::timeout(deadline, self.pod.load.idle()).await {
            Ok(()) => Drained { left: 0 },
            Err(_) => Drained { left: self.pod.load.in_flight() },
        }
    }
}

impl Drop for PodPort {
    fn drop(&mut self) {
        self.pod.gone.cancel();
        self.pod.http.store(Arc::default());
        for real in self.pod.real_addresses() {
            self.network.plan().closed(real);
        }
        self.network.detach(&self.pod);
        self.pod.tcp.store(Arc::default());
    }
}

/// A replica is called while this lives.
pub struct HttpServing {
    id: u64,
    pod: Arc<LocalPod>,
}

impl Drop for HttpServing {
    fn drop(&mut self) {
        self.pod.http.rcu(|known| known.iter().filter(|route| route.id != self.id).cloned().collect::<Vec<_>>());
    }
}
