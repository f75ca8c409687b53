use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::{
    CONNECT_TIMEOUT, CONNECTION_WINDOW, PING_EVERY, PING_TIMEOUT, POD, PeerIdentity, REFUSED, STREAM_WINDOW,
    STREAMS_MAX,
};
use crate::backend::{SendError, describe};
use crate::body::{Body, boxed, empty, text_response};
use crate::forward::{Target, Tracked, send_local};
use crate::mesh::MeshIdentity;
use crate::network::Network;
use crate::stream::{open, splice};
use crate::table::Tried;

/// Connections from other nodes and clients of the node API; nodes need one each.
const CONNECTIONS_MAX: usize = 8192;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What answers on the node port besides the mesh: logs, health, metrics. Requests carry a [`PeerIdentity`].
///
/// A function rather than a `tower::Service`, for an axum router: `Arc::new(move |request| router.clone()…boxed())`.
pub type NodeApi = Arc<dyn Fn(Request<Body>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// The node port: HTTPS for peers with a certificate of the cluster.
pub struct MeshServer {
    network: Arc<Network>,
    listener: TcpListener,
    api: NodeApi,
}

impl MeshServer {
    pub async fn bind(network: &Arc<Network>, address: SocketAddr, api: NodeApi) -> io::Result<Self> {
        Ok(Self::new(network, TcpListener::bind(address).await?, api))
    }

    /// Over a port that is open already: whoever answers the node API may have to know where it is.
    pub fn new(network: &Arc<Network>, listener: TcpListener, api: NodeApi) -> Self {
        Self { network: network.clone(), listener, api }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("a bound listener has an address")
    }

    /// Serves until the network shuts down. Peers without a trusted certificate get no answer.
    pub async fn run(self) {
        let Self { network, listener, api } = self;
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
            // Both arms are cancel-safe.
            let accepted = tokio::select! {
                () = network.stopping().cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, client)) => {
                    let (network_, api) = (network.clone(), api.clone());
                    network.spawn(async move {
                        if let Err(error) = serve(&network_, stream, api).await {
                            tracing::debug!(%client, error = describe(&*error), "node connection ended");
                        }
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "accept on the node port");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn serve(network: &Arc<Network>, stream: TcpStream, api: NodeApi) -> Result<(), crate::BoxError> {
    let identity: Arc<MeshIdentity> = network.mesh().identity().ok_or("this node has no certificate yet")?;
    stream.set_nodelay(true)?;
    let acceptor = TlsAcceptor::from(identity.server());
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, acceptor.accept(stream)).await??;
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let peer = certificate.and_then(PeerIdentity::of).ok_or("the peer's certificate has no subject")?;
    if !peer.is_trusted() {
        return Err(format!("{} is no node", peer.common_name).into());
    }
    let door = Arc::new(Inside { network: network.clone(), api, peer });
    let service = service_fn(move |request| {
        let inside = door.clone();
        async move { Ok::<_, Infallible>(inside.answer(request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    tokio::select! {
        ended = connection.as_mut() => ended,
        () = network.stopping().cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

/// What a trusted peer may ask for.
struct Inside {
    network: Arc<Network>,
    api: NodeApi,
    peer: PeerIdentity,
}

impl Inside {
    async fn answer(&self, mut request: Request<Incoming>) -> Response<Tracked> {
        if request.method() == Method::CONNECT {
            return self.tunnel(request).await.map(Tracked::from);
        }
        if let Some(pod) = request.headers_mut().remove(POD) {
            return match pod.to_str().ok().and_then(|pod| pod.parse().ok()) {
                Some(pod) => self.forward(pod, request).await,
                None => text_response(StatusCode::BAD_REQUEST, "wasmk-pod is not an address").map(Tracked::from),
            };
        }
        request.extensions_mut().insert(self.peer.clone());
        (self.api)(request.map(boxed)).await.map(Tracked::from)
    }

    async fn forward(&self, pod: SocketAddr, request: Request<Incoming>) -> Response<Tracked> {
        let Ok(picked) = Target::LocalPod(pod).pick(&self.network.table(), &self.network, None, &Tried::default())
        else {
            return refused("no such pod").map(Tracked::from);
        };
        match send_local(&self.network, &picked.endpoint, request.map(boxed)).await {
            Ok(mut response) => {
                // Only this node says that nobody looked, never a guest.
                response.headers_mut().remove(REFUSED);
                response.map(|body| Tracked::new(body, picked.in_flight))
            }
            Err(SendError::Unsent(_, why)) => refused(&why).map(Tracked::from),
            Err(SendError::Lost(why)) => {
                text_response(StatusCode::BAD_GATEWAY, format!("{pod} broke off: {why}")).map(Tracked::from)
            }
        }
    }

    /// `CONNECT pod:port`: the stream goes to the pod's listener, or to a replica that is called.
    async fn tunnel(&self, request: Request<Incoming>) -> Response<Body> {
        let pod = request.uri().authority().and_then(|authority| authority.as_str().parse().ok());
        let Some(pod) = pod else {
            return text_response(StatusCode::BAD_REQUEST, "CONNECT wants the address of a pod");
        };
        let picked = Target::LocalPod(pod).pick(&self.network.table(), &self.network, None, &Tried::default());
        let Ok(picked) = picked else { return refused("no such pod") };
        let opened = match open(&self.network, &picked.endpoint).await {
            Ok(opened) => opened,
            Err(why) => return refused(&why),
        };
        let network = self.network.clone();
        self.network.spawn(async move {
            if let Ok(stream) = hyper::upgrade::on(request).await {
                splice(&network, picked, opened, TokioIo::new(stream)).await;
            }
        });
        Response::new(empty())
    }
}

fn refused(why: &str) -> Response<Body> {
    let mut response = text_response(StatusCode::MISDIRECTED_REQUEST, why);
    response.headers_mut().insert(REFUSED, HeaderValue::from_static("true"));
    response
}
