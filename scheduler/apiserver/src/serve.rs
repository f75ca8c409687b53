use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::server::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};
use tracing::{debug, warn};

use crate::Identity;

/// Open connections at once. A node needs two or three, a client one; file descriptors are commonly limited to 20,000,
/// and the store and the node's own listeners need theirs.
const CONNECTIONS_MAX: usize = 8192;
/// Watches and requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 1024;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Above the 90 seconds after which clients drop idle connections themselves, so that none is closed under a request.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(120);
/// A peer that vanished without a word is noticed after the interval and the timeout.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Connections without a certificate that have not shown a token: they see health and join, and must not keep nodes out.
const STRANGERS_MAX: usize = 256;
/// Ample for what they may ask, and to show a token in.
const STRANGER_TIMEOUT: Duration = Duration::from_secs(30);
/// Watches end at once on shutdown; this is for writes under way and slow readers.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// After `accept` failed, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `router` over TLS until `shutdown`, then lets requests under way finish, within a deadline.
///
/// A request from a client with a certificate carries the client's [`Identity`] as an extension. Spawns one task a
/// connection; all have ended when this returns.
pub async fn serve(listener: TcpListener, tls: Arc<ServerConfig>, router: Router, shutdown: CancellationToken) {
    let acceptor = TlsAcceptor::from(tls);
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let strangers = Arc::new(Semaphore::new(STRANGERS_MAX));
    let graceful = GracefulShutdown::new();
    let mut connections = tokio::task::JoinSet::new();
    loop {
        // Both arms are cancel-safe: a permit not taken and a connection not accepted stay where they are.
        let (slot, stream) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let connection =
            serve_connection(acceptor.clone(), stream, router.clone(), strangers.clone(), graceful.watcher());
        connections.spawn(async move {
            let _slot = slot;
            connection.await;
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        warn!(connections = connections.len(), "connections still open at the deadline are closed");
    }
    connections.shutdown().await;
}

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (OwnedSemaphorePermit, TcpStream) {
    let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (slot, stream),
            Err(error) => {
                warn!(%error, "accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    router: Router,
    strangers: Arc<Semaphore>,
    watcher: Watcher,
) {
    let _ = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return debug!(%error, "TLS handshake"),
        Err(_) => return debug!("TLS handshake took too long"),
    };
    let identity = peer_identity(&stream);
    let stranger = match identity.is_none().then(|| strangers.try_acquire_owned()).transpose() {
        Ok(slot) => slot.map(|slot| Arc::new(Stranger::new(slot))),
        Err(_) => return debug!("too many connections without a certificate"),
    };
    let shown = stranger.clone();
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        if let Some(identity) = &identity {
            request.extensions_mut().insert(identity.clone());
        }
        if let Some(stranger) = &shown {
            request.extensions_mut().insert(stranger.clone());
        }
        let mut router = router.clone();
        async move {
            let Ok(router) = ServiceExt::<Request<Incoming>>::ready(&mut router).await;
            let Ok(response) = router.call(request).await;
            Ok::<_, Infallible>(response)
        }
    });
    let builder = connection_builder();
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let connection = watcher.watch(connection.into_owned());
    let ended = match &stranger {
        // Cancel-safe: a connection that is dropped is closed, which is what is wanted.
        Some(stranger) => tokio::select! {
            ended = connection => ended,
            () = stranger.overstays() => Ok(()),
        },
        None => connection.await,
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended");
    }
}

/// A connection without a certificate: few of them, and not for long, until a request on it shows a token that counts.
pub(crate) struct Stranger {
    slot: Mutex<Option<OwnedSemaphorePermit>>,
    vouched: CancellationToken,
}

impl Stranger {
    fn new(slot: OwnedSemaphorePermit) -> Self {
        Self { slot: Mutex::new(Some(slot)), vouched: CancellationToken::new() }
    }

    /// From now on it is a connection like others.
    pub(crate) fn vouch(&self) {
        self.vouched.cancel();
        drop(self.slot.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Returns when it has had its time and nobody has vouched for it.
    async fn overstays(&self) {
        if tokio::time::timeout(STRANGER_TIMEOUT, self.vouched.cancelled()).await.is_ok() {
            std::future::pending().await
        }
    }
}

fn connection_builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    builder
}

fn peer_identity(stream: &TlsStream<TcpStream>) -> Option<Identity> {
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    Identity::from_certificate(certificate)
}
