use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, Uri, header, uri::Scheme};
use tokio::net::TcpListener;

use crate::backend::to_absolute_form;
use crate::body::{Body, boxed};
use crate::egress::EgressError;
use crate::forward::{ForwardError, Target, forward};
use crate::headers::strip_hop_by_hop;
use crate::network::Network;
use crate::pods::{LocalBackend, LocalPod, PodIdentity};
use crate::stream::serve_connection;
use crate::table::{NoEndpoint, Place, Resolution, ServiceKind, Tried};

/// A guest that was told where to dial does so at once, or never.
const BRIDGE_TIMEOUT: Duration = Duration::from_secs(5);

/// One pod's view of the network: what its guests' sockets, names and outgoing requests go through.
///
/// Guests name virtual addresses; what is returned to be bound or dialled is real.
#[derive(Clone)]
pub struct GuestNet {
    network: Arc<Network>,
    pod: Arc<LocalPod>,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BindError {
    #[error("{0} is not an address of this pod")]
    NotOwn(IpAddr),
}

#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("name {0} does not exist")]
    Unknown(String),
    #[error(transparent)]
    Outside(#[from] EgressError),
}

/// What a name is, as far as it can be told without asking anyone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resolved {
    Addresses(Vec<IpAddr>),
    /// A name of the outside world, see [`GuestNet::resolve`].
    Outside(String),
    Unknown,
}

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// As a connection refused.
    #[error(transparent)]
    NoEndpoint(#[from] NoEndpoint),
    #[error("nothing listens on {0}")]
    Refused(SocketAddr),
    /// As a host that is unreachable.
    #[error("pods may not connect to {0}")]
    Denied(SocketAddr),
    #[error("open a local port for the connection")]
    Bridge(#[source] std::io::Error),
}

/// Why an outgoing request got no response.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("the request names no host")]
    NoHost,
    #[error("name {0} does not exist")]
    NameUnknown(String),
    #[error(transparent)]
    NoEndpoint(#[from] NoEndpoint),
    /// Replicas that are called have no certificate to show.
    #[error("{0} is inside of the cluster, which is plain http for its pods: use http://{0}")]
    TlsInside(String),
    #[error("pods may not connect to {0}")]
    Denied(String),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("{0}")]
    Unreachable(String),
    #[error("{0}")]
    Broken(String),
}

impl GuestNet {
    pub(crate) fn new(network: Arc<Network>, pod: Arc<LocalPod>) -> Self {
        Self { network, pod }
    }

    pub fn identity(&self) -> &PodIdentity {
        &self.pod.identity
    }

    /// Where a guest that binds `requested` really binds: only to its own addresses.
    pub fn bind(&self, requested: SocketAddr) -> Result<SocketAddr, BindError> {
        let ip = requested.ip().to_canonical();
        let is_own = ip.is_unspecified() || ip.is_loopback() || ip == self.ip();
        if !is_own {
            return Err(BindError::NotOwn(ip));
        }
        Ok(self.network.plan().bind_address(self.pod.identity.ip, requested.port()))
    }

    /// The real source address for the pod's connections, where it has one of its own.
    pub fn source_address(&self) -> Option<IpAddr> {
        self.network.plan().source_address(self.pod.identity.ip)
    }

    /// A guest listens on virtual `port`, really at `real`: from now on the port answers.
    pub fn listening(&self, port: u16, real: SocketAddr) {
        self.pod.listening(port, real);
        self.network.plan().listening(self.pod.identity.ip, port, real);
    }

    pub fn closed(&self, port: u16) {
        if let Some(real) = self.pod.closed(port) {
            self.network.plan().closed(real);
        }
    }

    /// What a guest may see instead of a real address. Addresses of no pod (a client outside, another node) are
    /// shown as they are, the host's own loopback as the pod's gateway.
    pub fn guest_address(&self, real: SocketAddr) -> SocketAddr {
        if let Some(address) = self.network.plan().virtual_address(real) {
            return address;
        }
        if real.ip().is_loopback() { SocketAddr::new(self.gateway(), real.port()) } else { real }
    }

    /// Resolves a name without waiting; see [`Resolved`].
    pub fn lookup(&self, name: &str) -> Resolved {
        let own = &self.pod.identity;
        let host = name.trim_end_matches('.');
        if let Ok(ip) = host.trim_matches(['[', ']']).parse() {
            return Resolved::Addresses(vec![ip]);
        }
        if host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost") {
            return Resolved::Addresses(vec![Ipv4Addr::LOCALHOST.into()]);
        }
        if host.eq_ignore_ascii_case(&own.hostname) || host.eq_ignore_ascii_case(&own.name) {
            return Resolved::Addresses(vec![self.ip()]);
        }
        match self.network.table().lookup(&own.namespace, host) {
            Resolution::Service(service) => match service.addresses() {
                addresses if addresses.is_empty() => Resolved::Unknown,
                addresses => Resolved::Addresses(addresses),
            },
            Resolution::Pod(ip) => Resolved::Addresses(vec![ip]),
            Resolution::Outside(host) => Resolved::Outside(host),
            Resolution::Unknown => Resolved::Unknown,
        }
    }

    /// Resolves a name; outside names through the system, without the addresses that the egress policy denies.
    pub async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        match self.lookup(name) {
            Resolved::Addresses(addresses) => Ok(addresses),
            Resolved::Outside(host) => Ok(self.network.egress().resolve(&host).await?),
            Resolved::Unknown => Err(ResolveError::Unknown(name.into())),
        }
    }

    /// The real address to dial, at once and from the pod's own source address, for a connection to `to`.
    ///
    /// A listener of this node is dialled directly. A replica that is called, or a pod of another node, gets a
    /// loopback port that takes exactly this one connection.
    pub fn connect(&self, to: SocketAddr) -> Result<SocketAddr, ConnectError> {
        let to = SocketAddr::new(to.ip().to_canonical(), to.port());
        let Some(target) = self.target_of(to) else {
            return match self.network.egress().check(to) {
                Ok(()) => Ok(to),
                Err(_) => Err(ConnectError::Denied(to)),
            };
        };
        let picked = target.pick(&self.network.table(), &self.network, Some(self.ip()), &Tried::default())?;
        let endpoint = picked.endpoint;
        match &endpoint.place {
            Place::Local => {
                let pod = self.network.pod(endpoint.address.ip());
                match pod.and_then(|pod| pod.backend(endpoint.address.port())) {
                    Some(LocalBackend::Tcp(backend)) => Ok(backend.address()),
                    Some(LocalBackend::Http(_)) => self.bridge(target),
                    None => Err(ConnectError::Refused(endpoint.address)),
                }
            }
            Place::Node(_) | Place::Outside => self.bridge(target),
        }
    }

    /// Sends an outgoing request; `deadline` is for the head of the response.
    pub async fn http(&self, request: Request<Body>, deadline: Option<Duration>) -> Result<Response<Body>, HttpError> {
        let answer = self.http_undated(request);
        match deadline {
            Some(deadline) => tokio::time::timeout(deadline, answer).await.unwrap_or(Err(HttpError::Timeout(deadline))),
            None => answer.await,
        }
    }

    async fn http_undated(&self, mut request: Request<Body>) -> Result<Response<Body>, HttpError> {
        to_absolute_form_with_scheme(&mut request)?;
        strip_hop_by_hop(request.headers_mut());
        let is_tls = request.uri().scheme() == Some(&Scheme::HTTPS);
        let host = request.uri().host().ok_or(HttpError::NoHost)?.to_owned();
        let port = request.uri().port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        match self.http_target(&host, port)? {
            Some(_) if is_tls => Err(HttpError::TlsInside(host)),
            Some(target) => {
                let response = forward(&self.network, &target, Some(self.ip()), request).await.map_err(http_error)?;
                Ok(response.map(boxed))
            }
            None => {
                request.headers_mut().remove(header::HOST);
                Ok(self.network.egress().request(request).await?)
            }
        }
    }

    /// Who answers for `host` inside of the cluster; `None` for outside hosts.
    fn http_target(&self, host: &str, port: u16) -> Result<Option<Target>, HttpError> {
        let table = self.network.table();
        let own = &self.pod.identity;
        if let Resolved::Addresses(addresses) = self.lookup(host)
            && let Resolution::Service(service) = table.lookup(&own.namespace, host)
            && service.kind == ServiceKind::Headless
            && !addresses.contains(&self.ip())
        {
            let (namespace, name) = (service.name.namespace.clone(), service.name.name.clone());
            return Ok(Some(Target::Headless { namespace, name, port }));
        }
        match self.lookup(host) {
            Resolved::Addresses(addresses) => {
                let address = SocketAddr::new(addresses[0], port);
                Ok(self.target_of(address))
            }
            Resolved::Outside(_) => Ok(None),
            Resolved::Unknown => Err(HttpError::NameUnknown(host.into())),
        }
    }

    /// What answers at a virtual address; `None` for addresses that are not the cluster's.
    fn target_of(&self, to: SocketAddr) -> Option<Target> {
        if to.ip().is_loopback() || to.ip().is_unspecified() || to.ip() == self.ip() {
            return Some(Target::LocalPod((self.ip(), to.port()).into()));
        }
        let table = self.network.table();
        if table.by_cluster_ip(to.ip()).is_some() {
            return Some(Target::Cluster(to));
        }
        match table.place_of(to.ip()) {
            Place::Outside if self.network.pod(to.ip()).is_some() => Some(Target::LocalPod(to)),
            Place::Outside if self.network.is_virtual(to.ip()) => Some(Target::Cluster(to)),
            Place::Outside => None,
            _ => Some(Target::Pod(to)),
        }
    }

    /// A loopback port for one connection of this pod to `target`.
    fn bridge(&self, target: Target) -> Result<SocketAddr, ConnectError> {
        let _in_runtime = self.network.enter_runtime();
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(ConnectError::Bridge)?;
        listener.set_nonblocking(true).map_err(ConnectError::Bridge)?;
        let listener = TcpListener::from_std(listener).map_err(ConnectError::Bridge)?;
        let address = listener.local_addr().map_err(ConnectError::Bridge)?;
        let (network, source, client) = (self.network.clone(), self.source_address(), self.ip());
        self.network.spawn(async move {
            let accepted = tokio::time::timeout(BRIDGE_TIMEOUT, accept_from(&listener, source)).await;
            drop(listener);
            if let Ok(Ok(stream)) = accepted {
                let _ = stream.set_nodelay(true);
                serve_connection(&network, target, stream, client).await;
            }
        });
        Ok(address)
    }

    fn ip(&self) -> IpAddr {
        self.pod.identity.ip.into()
    }

    /// The first address of the pod's own /20: no pod has it.
    fn gateway(&self) -> IpAddr {
        Ipv4Addr::from_bits(self.pod.identity.ip.to_bits() & 0xffff_f000 | 1).into()
    }
}

/// Another process could dial the port first: only the pod's own source address is served.
async fn accept_from(listener: &TcpListener, source: Option<IpAddr>) -> std::io::Result<tokio::net::TcpStream> {
    loop {
        let (stream, client) = listener.accept().await?;
        if source.is_none_or(|source| source == client.ip()) {
            return Ok(stream);
        }
    }
}

fn to_absolute_form_with_scheme(request: &mut Request<Body>) -> Result<(), HttpError> {
    let uri: &Uri = request.uri();
    if uri.authority().is_none() && !request.headers().contains_key(header::HOST) {
        return Err(HttpError::NoHost);
    }
    to_absolute_form(request);
    Ok(())
}

fn http_error(error: ForwardError) -> HttpError {
    let text = error.to_string();
    match error {
        ForwardError::NoEndpoint(error) => HttpError::NoEndpoint(error),
        ForwardError::Broken { .. } => HttpError::Broken(text),
        ForwardError::Unreachable { .. } => HttpError::Unreachable(text),
    }
}

impl From<EgressError> for HttpError {
    fn from(error: EgressError) -> Self {
        match error {
            EgressError::Denied(host) => Self::Denied(host),
            EgressError::Unresolved(name) => Self::NameUnknown(name),
            other => Self::Unreachable(crate::backend::describe(&other)),
        }
    }
}
