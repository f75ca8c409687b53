//! `proxy`: HTTP requests of any method to a pod's port, or to a pod behind a service.

mod destination;
mod headers;
mod location;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::{HOST, LOCATION, UPGRADE};
use http::{HeaderValue, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tracing::debug;
use wasmk_api::{Reason, Status};

use super::forward::Pod;
use super::slot::Slot;
use crate::compress::Passed;
use crate::rest::Call;
use crate::serve::Peer;
use destination::Destination;
use location::Prefix;

pub(super) async fn answer(call: &Call, request: Request) -> Result<Response, Status> {
    let Destination { node, pod, port } = destination::find(&call.server.store.snapshot(), call.kind, &call.path)?;
    let is_upgrade = headers::is_upgrade(request.headers());
    if call.path.tail.is_empty() && !is_upgrade {
        return Ok(to_directory(request.uri()));
    }
    let slot = Slot::take(call)?;
    let prefix = Prefix::of(request.uri().path(), &call.path.tail);
    let pod = Pod { server: call.server.clone(), node, target: pod };
    let connection = pod.connect(port).await.map_err(|status| unreachable(&status))?;
    let (sender, driver) = handshake(TokioIo::new(connection)).await.map_err(|error| unreachable(&error))?;
    // Ends when the answer has been read or is read by nobody any more.
    call.server.settings.streams.spawn({
        let shutdown = call.server.settings.shutdown.clone();
        async move {
            tokio::select! {
                ended = driver.with_upgrades() => if let Err(error) = ended {
                    debug!(%error, "a proxied connection broke off");
                },
                () = shutdown.cancelled() => {}
            }
        }
    });
    if is_upgrade {
        upgrade(call, request, sender, &prefix, slot).await
    } else {
        let (method, request) = (request.method().clone(), outgoing(request, &prefix, &call.path.tail, false)?);
        let response = send(sender, request).await?;
        debug!(%method, status = %response.status(), "proxied");
        Ok(pass(call, response, &prefix, slot))
    }
}

/// A path without its slash would make relative links point beside it.
fn to_directory(uri: &Uri) -> Response {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    (StatusCode::MOVED_PERMANENTLY, [(LOCATION, format!("{}/{query}", uri.path()))]).into_response()
}

async fn send(mut sender: SendRequest<Body>, request: Request) -> Result<http::Response<Incoming>, Status> {
    sender.send_request(request).await.map_err(|error| unreachable(&error))
}

/// What the pod answers, as the client gets it.
fn pass(call: &Call, mut response: http::Response<Incoming>, prefix: &Prefix, slot: Slot) -> Response {
    headers::strip(response.headers_mut());
    rewrite(&mut response, prefix);
    response.extensions_mut().insert(Passed);
    response.map(|body| slot.hold(&call.server, Body::new(body)))
}

/// A request that wants another protocol: when the pod agrees, bytes pass through both ways.
async fn upgrade(
    call: &Call,
    mut request: Request,
    sender: SendRequest<Body>,
    prefix: &Prefix,
    slot: Slot,
) -> Result<Response, Status> {
    let upgrading = hyper::upgrade::on(&mut request);
    let tail = if call.path.tail.is_empty() { "/" } else { &call.path.tail };
    let request = outgoing(request, prefix, tail, true)?;
    let mut response = send(sender, request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(pass(call, response, prefix, slot));
    }
    let pods = hyper::upgrade::on(&mut response);
    slot.spawn(&call.server, upgrading, async move |mut client| match pods.await {
        Ok(pod) => {
            if let Err(error) = copy_bidirectional(&mut client, &mut TokioIo::new(pod)).await {
                debug!(%error, "a proxied stream broke off");
            }
        }
        Err(error) => debug!(%error, "the pod did not upgrade"),
    });
    Ok(response.map(|_| Body::empty()))
}

/// The request as the pod sees it.
fn outgoing(request: Request, prefix: &Prefix, tail: &str, is_upgrade: bool) -> Result<Request, Status> {
    let (mut parts, body) = request.into_parts();
    let peer = parts.extensions.get::<Peer>().copied();
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{tail}{query}");
    let uri = target.parse().map_err(|error| Status::bad_request(format!("the path of the proxy: {error}")))?;
    // HTTP/2 says the host in the address, and a pod is spoken to in HTTP/1.1.
    let host = parts.headers.get(HOST).cloned();
    let authority = parts.uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    let host = host.or(authority).unwrap_or(HeaderValue::from_static("localhost"));
    let upgrade = parts.headers.get(UPGRADE).cloned().filter(|_| is_upgrade);
    headers::strip(&mut parts.headers);
    headers::forwarded(&mut parts.headers, &host, &prefix.join(tail), peer);
    if let Some(protocol) = upgrade {
        headers::ask_for(&mut parts.headers, protocol);
    }
    parts.headers.insert(HOST, host);
    parts.uri = uri;
    parts.version = http::Version::HTTP_11;
    Ok(Request::from_parts(parts, body))
}

fn rewrite<B>(response: &mut http::Response<B>, prefix: &Prefix) {
    let headers = response.headers_mut();
    let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
    let location = location.and_then(|location| HeaderValue::from_str(&prefix.rewrite(location)).ok());
    if let Some(location) = location {
        headers.insert(LOCATION, location);
    }
}

fn unreachable(why: &dyn std::fmt::Display) -> Status {
    Status::new(Reason::ServiceUnavailable, format!("error trying to reach service: {why}"))
}
