mod door;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::server::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};
use tracing::{debug, warn};

use crate::Identity;
pub(crate) use door::Stranger;
use door::{Door, Knock, LIMITS, Limits};

/// Watches and requests at once on one HTTP/2 connection: all watches that a user may have, and as many requests beside them
/// as a busy node sends. A node watches each object that its pods name; were the connection full of watches, its Lease would
/// wait behind them.
const STREAMS_MAX: u32 = crate::watch::USER_WATCHES_MAX as u32 + 512;
/// Above the 90 seconds after which clients drop idle connections themselves, so that none is closed under a request.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(120);
/// A peer that vanished without a word is noticed after the interval and the timeout.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Watches end at once on shutdown; this is for writes under way and slow readers.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// After `accept` failed, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// From which address a request came, among its extensions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Serves `router` over TLS until `shutdown`, then lets requests under way finish, within a deadline.
///
/// A request from a client with a certificate carries the client's [`Identity`] as an extension. Spawns one task a
/// connection; all have ended when this returns.
pub async fn serve(listener: TcpListener, tls: Arc<ServerConfig>, router: Router, shutdown: CancellationToken) {
    serve_within(LIMITS, listener, tls, router, shutdown).await;
}

/// What the connections share.
struct Front {
    acceptor: TlsAcceptor,
    door: Door,
    router: Router,
}

async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    router: Router,
    shutdown: CancellationToken,
) {
    let front = Arc::new(Front { acceptor: TlsAcceptor::from(tls), door: Door::new(limits), router });
    let graceful = GracefulShutdown::new();
    let mut connections = tokio::task::JoinSet::new();
    loop {
        // Both arms are cancel-safe: a connection not accepted stays where it is.
        let (stream, peer) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener) => accepted,
        };
        while connections.try_join_next().is_some() {}
        let Some(knock) = front.door.knock(peer.ip()) else {
            debug!(%peer, "too many connections of whom nothing is known");
            continue;
        };
        connections.spawn(serve_connection(front.clone(), stream, peer, knock, graceful.watcher()));
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        warn!(connections = connections.len(), "connections still open at the deadline are closed");
    }
    connections.shutdown().await;
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                warn!(%error, "accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(front: Arc<Front>, stream: TcpStream, peer: SocketAddr, knock: Knock, watcher: Watcher) {
    let Front { acceptor, door, router } = &*front;
    let _ = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(door.handshake_timeout(), acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return debug!(%peer, %error, "TLS handshake"),
        Err(_) => return debug!(%peer, "TLS handshake took too long"),
    };
    let identity = peer_identity(&stream);
    let Some(entered) = door.enter(knock, identity.is_some()) else {
        return match &identity {
            Some(identity) => warn!(%peer, user = identity.user, "no room for another connection"),
            None => debug!(%peer, "no room for another connection without a certificate"),
        };
    };
    let stranger = entered.stranger.clone();
    let shown = stranger.clone();
    let router = router.clone();
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer.ip().to_canonical()));
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
        debug!(%peer, %error, "connection ended");
    }
    drop(entered);
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
