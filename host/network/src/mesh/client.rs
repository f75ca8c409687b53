use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::client::conn::http2;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::{
    CONNECT_TIMEOUT, CONNECTION_WINDOW, MeshIdentity, PING_EVERY, PING_TIMEOUT, POD, REFUSED, STREAM_WINDOW,
    STREAMS_MAX,
};
use crate::BoxError;
use crate::backend::{SendError, after, describe, to_absolute_form, unsent};
use crate::body::{Body, boxed, empty};
use crate::replay::Replay;
use crate::table::{Endpoint, NodeRoute, ServiceTable};

/// Pauses between attempts to reach a node that is down.
const RECONNECT_FIRST: Duration = Duration::from_millis(50);
const RECONNECT_MAX: Duration = Duration::from_secs(2);

/// The connections to the other nodes: one each, made when it is first needed, kept until the node leaves.
pub(crate) struct MeshClient {
    identity: Arc<ArcSwapOption<MeshIdentity>>,
    peers: ArcSwap<HashMap<Arc<str>, Arc<Peer>>>,
    stop: CancellationToken,
}

impl MeshClient {
    pub(crate) fn new(identity: Option<&MeshIdentity>, stop: CancellationToken) -> Self {
        let identity = Arc::new(ArcSwapOption::new(identity.cloned().map(Arc::new)));
        Self { identity, peers: ArcSwap::default(), stop }
    }

    pub(crate) fn identity(&self) -> Option<Arc<MeshIdentity>> {
        self.identity.load_full()
    }

    pub(crate) fn set_identity(&self, identity: &MeshIdentity) {
        self.identity.store(Some(Arc::new(identity.clone())));
    }

    /// Keeps the peers whose route is the same object, and drops the others with their connections.
    /// Called by one task at a time, in the runtime.
    pub(crate) fn set_nodes(&self, table: &ServiceTable) {
        let known = self.peers.load();
        let peers = table.nodes().map(|route| {
            let kept = known.get(&route.name).filter(|peer| Arc::ptr_eq(&peer.route, route));
            let peer = kept.cloned().unwrap_or_else(|| Peer::spawn(route.clone(), self.identity.clone(), &self.stop));
            (route.name.clone(), peer)
        });
        self.peers.store(Arc::new(peers.collect()));
    }

    /// Has `endpoint` on `node` answer a request.
    pub(crate) async fn send(
        &self,
        node: &NodeRoute,
        endpoint: &Endpoint,
        request: Request<Body>,
    ) -> Result<Response<Body>, SendError> {
        let (mut request, replay) = Replay::record(request);
        let mut sender = match self.sender(node).await {
            Ok(sender) => sender,
            Err(error) => return Err(unsent(replay, request, error)),
        };
        to_absolute_form(&mut request);
        *request.version_mut() = Version::HTTP_2;
        let pod = HeaderValue::try_from(endpoint.address.to_string()).expect("an address is a header value");
        request.headers_mut().insert(POD, pod);
        match sender.try_send_request(request).await {
            Ok(response) if response.headers().contains_key(REFUSED) => {
                let why = format!("node {}: it is not there any more", node.name);
                Err(match replay.take_back() {
                    Some(back) => SendError::Unsent(Box::new(back), why),
                    None => SendError::Lost(why),
                })
            }
            Ok(response) => {
                replay.forget();
                Ok(response.map(boxed))
            }
            Err(mut error) => {
                let message = error.take_message();
                Err(after(replay, message, format!("node {}: {}", node.name, describe(&error.into_error()))))
            }
        }
    }

    /// Opens a byte stream to a pod of `node`.
    pub(crate) async fn tunnel(&self, node: &NodeRoute, pod: SocketAddr) -> Result<TokioIo<Upgraded>, String> {
        let mut sender = self.sender(node).await?;
        let mut request = Request::new(empty());
        *request.method_mut() = Method::CONNECT;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = pod.to_string().parse().expect("an address is an authority");
        let response = sender.send_request(request).await.map_err(|error| describe(&error))?;
        if response.status() != StatusCode::OK {
            return Err(format!("node {}: nothing listens on {pod}", node.name));
        }
        let upgraded = hyper::upgrade::on(response).await.map_err(|error| describe(&error))?;
        Ok(TokioIo::new(upgraded))
    }

    async fn sender(&self, node: &NodeRoute) -> Result<Sender, String> {
        let peer = self.peers.load().get(&node.name).cloned();
        let peer = peer.ok_or_else(|| format!("node {} has left", node.name))?;
        peer.sender().await.map_err(|why| format!("node {}: {why}", node.name))
    }
}

type Sender = http2::SendRequest<Body>;

/// One other node.
struct Peer {
    route: Arc<NodeRoute>,
    /// Present while the connection stands; read without a lock by every request.
    sender: Arc<ArcSwapOption<Sender>>,
    state: watch::Receiver<PeerState>,
    needed: Arc<Notify>,
    stop: CancellationToken,
}

#[derive(Clone)]
enum PeerState {
    /// Never needed, or being connected for the first time.
    Unknown,
    Up(Sender),
    Down(Arc<str>),
}

impl Peer {
    fn spawn(route: Arc<NodeRoute>, identity: Arc<ArcSwapOption<MeshIdentity>>, stop: &CancellationToken) -> Arc<Self> {
        let (news, state) = watch::channel(PeerState::Unknown);
        let peer = Arc::new(Self {
            route: route.clone(),
            sender: Arc::default(),
            state,
            needed: Arc::default(),
            stop: stop.child_token(),
        });
        let task = PeerTask { route, identity, sender: peer.sender.clone(), news, needed: peer.needed.clone() };
        let stop = peer.stop.clone();
        // Ends with its peer (see `Drop`) or with the network, whichever is first.
        tokio::spawn(async move { stop.run_until_cancelled_owned(task.run()).await });
        peer
    }

    async fn sender(&self) -> Result<Sender, String> {
        if let Some(sender) = &*self.sender.load()
            && !sender.is_closed()
        {
            return Ok(Sender::clone(sender));
        }
        self.needed.notify_one();
        let mut state = self.state.clone();
        let known = state.wait_for(|state| !matches!(state, PeerState::Unknown));
        match tokio::time::timeout(CONNECT_TIMEOUT, known).await {
            Ok(Ok(state)) => match &*state {
                PeerState::Up(sender) => Ok(sender.clone()),
                PeerState::Down(why) => Err(why.to_string()),
                PeerState::Unknown => unreachable!("invariant: waited for another state"),
            },
            Ok(Err(_)) => Err("it has left".into()),
            Err(_) => Err("no connection in time".into()),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Keeps one peer connected from the moment it is needed.
struct PeerTask {
    route: Arc<NodeRoute>,
    identity: Arc<ArcSwapOption<MeshIdentity>>,
    sender: Arc<ArcSwapOption<Sender>>,
    news: watch::Sender<PeerState>,
    needed: Arc<Notify>,
}

impl PeerTask {
    async fn run(self) {
        self.needed.notified().await;
        let mut pause = RECONNECT_FIRST;
        loop {
            let connected = tokio::time::timeout(CONNECT_TIMEOUT, self.connect()).await;
            let why = match connected.unwrap_or_else(|_| Err("no connection in time".into())) {
                Ok((sender, connection)) => {
                    pause = RECONNECT_FIRST;
                    self.up(sender);
                    let ended = connection.await;
                    ended.map_or_else(|error| describe(&error), |()| "it closed the connection".into())
                }
                Err(error) => describe(&*error),
            };
            self.down(why);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RECONNECT_MAX);
        }
    }

    fn up(&self, sender: Sender) {
        if self.route.is_down() {
            tracing::info!(node = %self.route.name, "reachable again");
        }
        self.sender.store(Some(Arc::new(sender.clone())));
        self.route.set_down(false);
        self.news.send_replace(PeerState::Up(sender));
    }

    fn down(&self, why: String) {
        if !self.route.is_down() {
            tracing::warn!(node = %self.route.name, why, "not reachable");
        }
        self.route.set_down(true);
        self.sender.store(None);
        self.news.send_replace(PeerState::Down(why.into()));
    }

    async fn connect(&self) -> Result<(Sender, impl Future<Output = hyper::Result<()>> + use<>), BoxError> {
        let identity = self.identity.load_full().ok_or("this node has no certificate yet")?;
        // A node's certificate names it: whoever took over its address is not taken for it.
        let name = ServerName::try_from(self.route.name.to_string())?;
        let stream = TcpStream::connect(self.route.address).await?;
        stream.set_nodelay(true)?;
        let stream = TlsConnector::from(identity.client()).connect(name, stream).await?;
        let handshake = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_max_send_streams(STREAMS_MAX as usize)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(TokioIo::new(stream));
        Ok(handshake.await?)
    }
}
