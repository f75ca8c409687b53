use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use crate::backend::{SendError, TcpBackend, to_origin_form};
use crate::body::{Body, BoxError, boxed};
use crate::load::InFlight;
use crate::network::Network;
use crate::pods::{CallError, LocalBackend};
use crate::table::{AppProtocol, Endpoint, Frontend, NoEndpoint, Place, ServicePort, ServiceTable, Tried, pick_of};

/// Replicas one request is offered to before it fails.
const ATTEMPTS_MAX: usize = 6;
/// How long a request waits for a new table when every endpoint of the old one has gone: a rolling update takes
/// milliseconds from the end of a replica to the news of it.
const HOLD_MAX: Duration = Duration::from_secs(2);

/// Who is meant to answer. Resolved anew for every attempt, so that a retry sees the newest table.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// A port this node listens on for a Service.
    Front(u16),
    /// A Service's cluster IP and port.
    Cluster(SocketAddr),
    /// A headless Service's pods, at the pods' own port.
    Headless {
        namespace: Arc<str>,
        name: Arc<str>,
        port: u16,
    },
    Pod(SocketAddr),
    /// A pod of this node; never sent on. What other nodes ask for.
    LocalPod(SocketAddr),
}

/// The endpoint chosen for one attempt, counted as busy from now on.
pub(crate) struct Picked {
    pub(crate) endpoint: Endpoint,
    pub(crate) in_flight: InFlight,
}

impl Target {
    pub(crate) fn pick(
        &self,
        table: &ServiceTable,
        network: &Network,
        client: Option<IpAddr>,
        tried: &Tried,
    ) -> Result<Picked, NoEndpoint> {
        let endpoint = match self {
            Self::Front(port) => {
                let service = table.front(*port).ok_or(NoEndpoint::NoService(*port))?;
                service.pick(Frontend::External, client, tried)?.clone()
            }
            Self::Cluster(address) => cluster_port(table, *address)?.pick(Frontend::Internal, client, tried)?.clone(),
            Self::Headless { namespace, name, port } => pick_headless(table, network, namespace, name, *port, tried)?,
            Self::Pod(address) | Self::LocalPod(address) if tried.contains(*address) => {
                return Err(NoEndpoint::NoAddress(address.ip()));
            }
            Self::Pod(address) => network.endpoint(*address, table.place_of(address.ip())),
            Self::LocalPod(address) => network.endpoint(*address, Place::Local),
        };
        let in_flight = endpoint.load.enter();
        Ok(Picked { endpoint, in_flight })
    }

    /// Whether a newer table may name other endpoints.
    fn is_service(&self) -> bool {
        !matches!(self, Self::Pod(_) | Self::LocalPod(_))
    }

    /// How to treat connections to it, before anything is read from them.
    pub(crate) fn protocol(&self, table: &ServiceTable) -> AppProtocol {
        match self {
            Self::Front(port) => table.front(*port).map_or(AppProtocol::Unknown, |port| port.protocol),
            Self::Cluster(address) => {
                table.by_cluster_address(*address).map_or(AppProtocol::Unknown, |port| port.protocol)
            }
            Self::Headless { .. } | Self::Pod(_) | Self::LocalPod(_) => AppProtocol::Tcp,
        }
    }
}

fn cluster_port(table: &ServiceTable, address: SocketAddr) -> Result<&Arc<ServicePort>, NoEndpoint> {
    let service = table.by_cluster_ip(address.ip()).ok_or(NoEndpoint::NoAddress(address.ip()))?;
    let no_port = || NoEndpoint::NoPort { service: service.name.clone(), port: address.port() };
    service.port(address.port()).ok_or_else(no_port)
}

fn pick_headless(
    table: &ServiceTable,
    network: &Network,
    namespace: &str,
    name: &str,
    port: u16,
    tried: &Tried,
) -> Result<Endpoint, NoEndpoint> {
    let service = table.service(namespace, name).ok_or(NoEndpoint::NoService(port))?;
    let pods = service.addresses().into_iter().map(|ip| network.endpoint((ip, port).into(), table.place_of(ip)));
    let pods: Vec<_> = pods.collect();
    let picked = pick_of(&pods, tried).cloned();
    picked.ok_or_else(|| match pods.len() {
        0 => NoEndpoint::NoneReady { service: service.name.clone(), not_ready: 0 },
        _ => NoEndpoint::Exhausted { service: service.name.clone() },
    })
}

/// Why a request got no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForwardError {
    #[error(transparent)]
    NoEndpoint(#[from] NoEndpoint),
    #[error("{endpoint} broke off: {why}")]
    Broken { endpoint: SocketAddr, why: String },
    #[error("{endpoint} does not answer: {why}")]
    Unreachable { endpoint: SocketAddr, why: String },
}

/// A response whose replica counts as busy until the body has ended.
pub(crate) type Forwarded = Response<Tracked>;

/// Sends a request to one endpoint of `target`; when that one is gone before it took the request, to another.
pub(crate) async fn forward(
    network: &Arc<Network>,
    target: &Target,
    client: Option<IpAddr>,
    mut request: Request<Body>,
) -> Result<Forwarded, ForwardError> {
    let mut attempts = Attempts::new(network);
    loop {
        let picked = attempts.pick(target, client).await?;
        let address = picked.endpoint.address;
        match send(network, &picked.endpoint, request).await {
            Ok(response) => return Ok(response.map(|body| Tracked::new(body, picked.in_flight))),
            Err(SendError::Lost(why)) => return Err(ForwardError::Broken { endpoint: address, why }),
            Err(SendError::Unsent(back, why)) => {
                request = *back;
                attempts.failed(address, why)?;
            }
        }
    }
}

/// The endpoints offered so far, and how long there is to find another.
pub(crate) struct Attempts<'a> {
    network: &'a Arc<Network>,
    tried: Tried,
    count: usize,
    last: Option<(SocketAddr, String)>,
    give_up: Option<Instant>,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(network: &'a Arc<Network>) -> Self {
        Self { network, tried: Tried::default(), count: 0, last: None, give_up: None }
    }

    /// The next endpoint to offer to. When all of this table have refused, the request is held for the next table.
    pub(crate) async fn pick(&mut self, target: &Target, client: Option<IpAddr>) -> Result<Picked, ForwardError> {
        loop {
            let mut changes = self.tried_changes();
            let picked = target.pick(&self.network.table(), self.network, client, &self.tried);
            let Err(refused) = picked else { return Ok(picked?) };
            let Some(changes) = changes.as_mut().filter(|_| target.is_service()) else {
                return Err(self.exhausted(refused));
            };
            let give_up = *self.give_up.get_or_insert_with(|| Instant::now() + HOLD_MAX);
            match tokio::time::timeout_at(give_up, changes.changed()).await {
                Ok(Ok(())) => self.tried.clear(),
                _ => return Err(self.exhausted(refused)),
            }
        }
    }

    /// Subscribed before the table is read, so that no change is missed. Only a request that was refused waits.
    fn tried_changes(&self) -> Option<tokio::sync::watch::Receiver<u64>> {
        (!self.tried.is_empty()).then(|| self.network.changes())
    }

    pub(crate) fn failed(&mut self, endpoint: SocketAddr, why: String) -> Result<(), ForwardError> {
        tracing::debug!(%endpoint, why, "replica did not take it, trying another");
        self.tried.add(endpoint);
        self.count += 1;
        if self.count >= ATTEMPTS_MAX {
            return Err(ForwardError::Unreachable { endpoint, why });
        }
        self.last = Some((endpoint, why));
        Ok(())
    }

    fn exhausted(&mut self, refused: NoEndpoint) -> ForwardError {
        match self.last.take() {
            Some((endpoint, why)) => ForwardError::Unreachable { endpoint, why },
            None => refused.into(),
        }
    }
}

async fn send(
    network: &Arc<Network>,
    endpoint: &Endpoint,
    request: Request<Body>,
) -> Result<Response<Body>, SendError> {
    match &endpoint.place {
        Place::Local => send_local(network, endpoint, request).await,
        Place::Node(node) => network.mesh().send(node, endpoint, request).await,
        Place::Outside => network.egress().send_to(endpoint, request).await,
    }
}

pub(crate) async fn send_local(
    network: &Arc<Network>,
    endpoint: &Endpoint,
    mut request: Request<Body>,
) -> Result<Response<Body>, SendError> {
    let backend = network.pod(endpoint.address.ip()).and_then(|pod| pod.backend(endpoint.address.port()));
    match backend {
        Some(LocalBackend::Http(replica)) => {
            to_origin_form(&mut request);
            match replica.call(request).await {
                Ok(response) => Ok(response),
                Err(CallError::Gone(request)) => Err(SendError::Unsent(request, "the replica has ended".into())),
                Err(CallError::Failed(error)) => Err(SendError::Lost(crate::backend::describe(&*error))),
            }
        }
        Some(LocalBackend::Tcp(backend)) => send_tcp(&backend, endpoint.protocol, request).await,
        None => Err(SendError::Unsent(Box::new(request), "nothing listens there".into())),
    }
}

pub(crate) async fn send_tcp(
    backend: &TcpBackend,
    protocol: AppProtocol,
    request: Request<Body>,
) -> Result<Response<Body>, SendError> {
    let response = match protocol {
        AppProtocol::H2c => backend.send_h2(request).await?,
        _ => backend.send(request).await?,
    };
    Ok(response.map(boxed))
}

/// A response body that keeps its replica counted as busy.
pub(crate) struct Tracked {
    body: Body,
    _in_flight: Option<InFlight>,
}

impl Tracked {
    pub(crate) fn new(body: Body, in_flight: InFlight) -> Self {
        Self { body, _in_flight: Some(in_flight) }
    }
}

impl From<Body> for Tracked {
    fn from(body: Body) -> Self {
        Self { body, _in_flight: None }
    }
}

impl HttpBody for Tracked {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
