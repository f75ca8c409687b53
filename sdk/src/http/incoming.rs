//! From `wasi:http` to the router and back.

use std::cell::RefCell;
use std::time::Instant;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tower_service::Service;
use tracing::Instrument;
use wstd::__internal::wasip2::http::types::{IncomingRequest, ResponseOutparam};
use wstd::http::request::try_from_incoming;
use wstd::http::server::Responder;

use super::{App, Error, health};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What a call that is made for a request takes along from it.
static TRACED: [HeaderName; 3] =
    [REQUEST_ID, HeaderName::from_static("traceparent"), HeaderName::from_static("tracestate")];
/// Headers of a connection, not of a response: `wasi:http` refuses them, and would end the request with a trap.
static FORBIDDEN: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::HOST,
    HeaderName::from_static("http2-settings"),
];

/// One request, from the node's call to the last byte of its response.
#[doc(hidden)]
pub fn handle<A: App>(request: IncomingRequest, response: ResponseOutparam, app: impl FnOnce() -> A) {
    #[cfg(feature = "logs")]
    crate::logs::init();
    let responder = Responder::new(response);
    wstd::runtime::block_on(async move {
        let request = match try_from_incoming(request) {
            Ok(request) => request.map(|body| Body::new(body.into_boxed_body())),
            Err(error) => return responder.fail(error),
        };
        let span = span(&request);
        async move {
            let response = answer(request, app).await;
            let response = response.map(wstd::http::Body::from_http_body);
            if let Err(error) = responder.respond(response).await {
                tracing::warn!("the response was broken off: {error:#}");
            }
        }
        .instrument(span)
        .await;
    });
}

/// The response as `wasi:http` takes it, and the request's line in the log.
async fn answer<A: App>(request: Request, app: impl FnOnce() -> A) -> Response {
    let started = Instant::now();
    Trace::begin(request.headers());
    let (is_head, is_probe) = (request.method() == Method::HEAD, health::is_probe(request.uri().path()));
    let mut response = match app().into_router() {
        Ok(mut router) => router.call(request).await.unwrap_or_else(|never| match never {}),
        Err(error) => Error::from(anyhow::anyhow!("the service cannot start: {error:#}")).into_response(),
    };
    for name in &FORBIDDEN {
        response.headers_mut().remove(name);
    }
    if is_head {
        *response.body_mut() = Body::empty();
    }
    log(response.status(), started, is_probe);
    response
}

fn span(request: &Request) -> tracing::Span {
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    tracing::error_span!("request", method = %request.method(), path = request.uri().path(), request_id = id)
}

fn log(status: StatusCode, started: Instant, is_probe: bool) {
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let status_code = status.as_u16();
    match (status.is_server_error(), is_probe) {
        // An unready service says so to each probe: once a second is no news.
        (_, true) => tracing::debug!(status = status_code, ms, "probed"),
        (true, _) => tracing::error!(status = status_code, ms, "failed"),
        (false, _) => tracing::info!(status = status_code, ms, "answered"),
    }
}

/// Headers by which calls and logs of several services are known to belong to one request.
pub(crate) struct Trace;

thread_local! {
    /// An instance serves one request at a time.
    static CURRENT: RefCell<Vec<(HeaderName, HeaderValue)>> = const { RefCell::new(Vec::new()) };
}

impl Trace {
    fn begin(headers: &HeaderMap) {
        let traced = TRACED.iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone())));
        CURRENT.set(traced.collect());
    }

    /// Gives an outgoing call what it does not have of its own.
    pub(crate) fn continue_in(headers: &mut HeaderMap) {
        CURRENT.with_borrow(|traced| {
            for (name, value) in traced {
                headers.entry(name).or_insert_with(|| value.clone());
            }
        });
    }
}
