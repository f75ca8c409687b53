//! `/metrics`: how many requests, how long they take, what is open. Names and labels are kube-apiserver's, so that
//! people's dashboards work.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use wasmk_api::kind;

use crate::ApiServer;
use crate::request::{Query, ResourcePath, Target, Verb};
use crate::subresource::{self, Lasts, Subresource};

/// The bounds of the buckets in seconds: from a read of memory to the end of a request's time.
const SECONDS: [f64; 9] = [0.005, 0.025, 0.1, 0.2, 0.5, 1.0, 5.0, 15.0, 60.0];

pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Family<What, Histogram, fn() -> Histogram>,
    in_flight: Family<Sort, Gauge>,
    watches: Family<What, Gauge>,
}

/// What a request is about. Kinds are the served ones only, so there are so many and no more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct What {
    verb: &'static str,
    group: &'static str,
    version: &'static str,
    resource: &'static str,
    subresource: &'static str,
    scope: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Answered {
    verb: &'static str,
    group: &'static str,
    version: &'static str,
    resource: &'static str,
    subresource: &'static str,
    scope: &'static str,
    code: u16,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Sort {
    request_kind: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let requests = Family::default();
        let seconds = Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram);
        let (in_flight, watches) = (Family::default(), Family::default());
        registry.register("apiserver_request", "Requests that were answered", requests.clone());
        registry.register("apiserver_request_duration_seconds", "Time until the answer began", seconds.clone());
        registry.register(
            "apiserver_current_inflight_requests",
            "Requests that are being worked on",
            in_flight.clone(),
        );
        registry.register("apiserver_longrunning_requests", "Watches that are open", watches.clone());
        Self { registry, requests, seconds, in_flight, watches }
    }
}

/// Counts every request, whatever becomes of it.
pub(crate) async fn observe(State(server): State<Arc<ApiServer>>, request: Request, next: Next) -> Response {
    let metrics = &server.metrics;
    let watching = Query::parse(request.uri().query().unwrap_or_default()).flag("watch");
    let target = Target::parse(request.method(), request.uri().path(), watching);
    let what = What::of(target.as_ref());
    let sort =
        Sort { request_kind: if target.is_none_or(|target| target.verb.is_read()) { "readOnly" } else { "mutating" } };
    let begun = Instant::now();
    let at_work = Held::new(metrics.in_flight.get_or_create_owned(&sort));
    let response = next.run(request).await;
    drop(at_work);
    metrics.seconds.get_or_create(&what).observe(begun.elapsed().as_secs_f64());
    metrics.requests.get_or_create(&what.answered(response.status())).inc();
    if what.verb != "WATCH" || !response.status().is_success() {
        return response;
    }
    let open = Held::new(metrics.watches.get_or_create_owned(&what));
    let hold = move |frame| {
        let _ = &open;
        frame
    };
    response.map(|body| Body::new(body.map_frame(hold)))
}

/// `GET /metrics`
pub(crate) async fn metrics(State(server): State<Arc<ApiServer>>) -> Response {
    let mut out = String::new();
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match text::encode(&mut out, &server.metrics.registry) {
        Ok(()) => (StatusCode::OK, [(CONTENT_TYPE, content_type)], out).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("write the metrics: {error}\n")).into_response(),
    }
}

/// Counted in a gauge as long as it lives.
struct Held(Gauge);

impl Held {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl What {
    fn of(target: Option<&Target>) -> Self {
        let path = target.and_then(|target| target.resource.as_ref());
        let subresource = path.and_then(subresource::of_path);
        let verb = match (target, subresource) {
            (Some(_), Some(Subresource { lasts: Lasts::Connection, .. })) => "CONNECT",
            (Some(target), _) => label(target.verb),
            (None, _) => "other",
        };
        let known = path.and_then(|path| Some((path, kind::by_path(&path.group, &path.version, &path.resource)?)));
        let Some((path, kind)) = known else {
            return Self { verb, group: "", version: "", resource: "", subresource: "", scope: "" };
        };
        let subresource = subresource.map_or("", |subresource| subresource.name);
        let (group, version, resource) = (kind.group, kind.version, kind.plural);
        Self { verb, group, version, resource, subresource, scope: scope(path) }
    }

    fn answered(&self, code: StatusCode) -> Answered {
        let Self { verb, group, version, resource, subresource, scope } = *self;
        Answered { verb, group, version, resource, subresource, scope, code: code.as_u16() }
    }
}

fn scope(path: &ResourcePath) -> &'static str {
    match (path.name.as_str(), path.namespace.as_str()) {
        ("", "") => "cluster",
        ("", _) => "namespace",
        _ => "resource",
    }
}

fn label(verb: Verb) -> &'static str {
    match verb {
        Verb::Get => "GET",
        Verb::List => "LIST",
        Verb::Watch => "WATCH",
        Verb::Create => "POST",
        Verb::Update => "PUT",
        Verb::Patch => "PATCH",
        Verb::Delete => "DELETE",
        Verb::DeleteCollection => "DELETECOLLECTION",
    }
}
