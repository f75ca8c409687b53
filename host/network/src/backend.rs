use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use http::uri::{self, Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderValue, Request, Response, Version, header};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;

use crate::body::{Body, BoxError, boxed};
use crate::replay::Replay;

/// A local guest answers a connect at once or not at all.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Idle connections kept to one listener; more are closed after their request.
const IDLE_MAX: usize = 64;

/// A guest's own listener that speaks HTTP, with its pooled connections.
pub(crate) struct TcpBackend {
    address: SocketAddr,
    idle: Mutex<Vec<http1::SendRequest<Body>>>,
    h2: Mutex<Option<http2::SendRequest<Body>>>,
}

/// What became of a request that got no response.
pub(crate) enum SendError {
    /// It may be sent to another replica.
    Unsent(Box<Request<Body>>, String),
    /// It may have been acted upon, or its body is gone.
    Lost(String),
}

impl TcpBackend {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, idle: Mutex::default(), h2: Mutex::default() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn connect(&self) -> std::io::Result<TcpStream> {
        connect(self.address).await
    }

    /// Sends over a pooled HTTP/1.1 connection.
    pub(crate) async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, SendError> {
        let (mut request, replay) = Replay::record(request);
        to_origin_form(&mut request);
        *request.version_mut() = Version::HTTP_11;
        let mut sender = match self.idle_or_connect().await {
            Ok(sender) => sender,
            Err(error) => return Err(unsent(replay, request, error.to_string())),
        };
        match sender.try_send_request(request).await {
            Ok(response) => {
                replay.forget();
                self.keep(sender);
                Ok(response)
            }
            Err(mut error) => Err(after(replay, error.take_message(), describe(&error.into_error()))),
        }
    }

    /// Sends over a new connection, and gives no second chance: for probes.
    pub(crate) async fn send_once(&self, mut request: Request<Body>) -> io::Result<Response<Body>> {
        to_origin_form(&mut request);
        *request.version_mut() = Version::HTTP_11;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(self.connect().await?)).await.map_err(io::Error::other)?;
        tokio::spawn(async move {
            let _ = connection.await;
        });
        let response = sender.send_request(request).await.map_err(|error| io::Error::other(describe(&error)))?;
        Ok(response.map(boxed))
    }

    /// Sends over the one HTTP/2 connection, without TLS.
    pub(crate) async fn send_h2(&self, request: Request<Body>) -> Result<Response<Incoming>, SendError> {
        let (mut request, replay) = Replay::record(request);
        to_absolute_form(&mut request);
        *request.version_mut() = Version::HTTP_2;
        let mut sender = match self.h2_sender().await {
            Ok(sender) => sender,
            Err(error) => return Err(unsent(replay, request, error)),
        };
        match sender.try_send_request(request).await {
            Ok(response) => {
                replay.forget();
                Ok(response)
            }
            Err(mut error) => Err(after(replay, error.take_message(), describe(&error.into_error()))),
        }
    }

    async fn idle_or_connect(&self) -> Result<http1::SendRequest<Body>, BoxError> {
        if let Some(sender) = self.pop_idle() {
            return Ok(sender);
        }
        let (sender, connection) = http1::handshake(TokioIo::new(self.connect().await?)).await?;
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(sender)
    }

    fn pop_idle(&self) -> Option<http1::SendRequest<Body>> {
        let mut idle = self.idle.lock().expect("no panic while held");
        idle.retain(|sender| !sender.is_closed());
        let ready = idle.iter().position(http1::SendRequest::is_ready)?;
        Some(idle.swap_remove(ready))
    }

    /// Back to the pool at once; it is ready again when the response's body is through.
    fn keep(&self, sender: http1::SendRequest<Body>) {
        let mut idle = self.idle.lock().expect("no panic while held");
        if idle.len() < IDLE_MAX {
            idle.push(sender);
        }
    }

    async fn h2_sender(&self) -> Result<http2::SendRequest<Body>, String> {
        if let Some(sender) = self.h2.lock().expect("no panic while held").clone()
            && !sender.is_closed()
        {
            return Ok(sender);
        }
        let stream = self.connect().await.map_err(|error| error.to_string())?;
        let handshake =
            http2::Builder::new(TokioExecutor::new()).timer(TokioTimer::new()).handshake(TokioIo::new(stream));
        let (sender, connection) = handshake.await.map_err(|error| describe(&error))?;
        tokio::spawn(async move {
            let _ = connection.await;
        });
        *self.h2.lock().expect("no panic while held") = Some(sender.clone());
        Ok(sender)
    }
}

pub(crate) async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Nothing was sent: the request comes back as long as its body was not read.
pub(crate) fn unsent(replay: Replay, request: Request<Body>, why: impl std::fmt::Display) -> SendError {
    drop(request);
    match replay.take_back() {
        Some(request) => SendError::Unsent(Box::new(request), why.to_string()),
        None => SendError::Lost(why.to_string()),
    }
}

/// The connection broke. `message` is the request if none of it was written; else only an idempotent one comes back.
pub(crate) fn after(replay: Replay, message: Option<Request<Body>>, why: String) -> SendError {
    match message {
        Some(request) => unsent(replay, request, why),
        None if replay.is_idempotent() => match replay.take_back() {
            Some(request) => SendError::Unsent(Box::new(request), why),
            None => SendError::Lost(why),
        },
        None => SendError::Lost(why),
    }
}

/// The whole chain of causes: hyper's own text says little.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// `/path?query` with a `Host` header, as HTTP/1.1 wants it.
pub(crate) fn to_origin_form(request: &mut Request<Body>) {
    if !request.headers().contains_key(header::HOST) {
        let host = request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
        // HTTP/1.0 clients may name no host.
        let host = host.unwrap_or_else(|| HeaderValue::from_static("localhost"));
        request.headers_mut().insert(header::HOST, host);
    }
    let uri = request.uri();
    if uri.authority().is_some() || uri.scheme().is_some() {
        let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from(path);
    }
}

/// `http://host/path?query`, as HTTP/2 wants it.
pub(crate) fn to_absolute_form(request: &mut Request<Body>) {
    if request.uri().authority().is_some() && request.uri().scheme().is_some() {
        return;
    }
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = request.uri().authority().cloned().or_else(|| host?.parse::<Authority>().ok());
    let path = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let mut parts = uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority.unwrap_or_else(|| Authority::from_static("localhost")));
    parts.path_and_query = Some(path);
    *request.uri_mut() = Uri::from_parts(parts).expect("scheme, authority and path are all there");
}
