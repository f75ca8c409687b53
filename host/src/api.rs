//! The node API, on the node port beside the mesh: logs, health, metrics.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::FutureExt;
use serde::Deserialize;
use tower::ServiceExt;
use wasmk_agent::{AgentHandle, LogError, LogOptions, LogQuery, PodUid, Stream};
use wasmk_network::{NodeApi, PeerIdentity};

/// The group of administrators and of the API server itself.
const MASTERS: &str = "system:masters";

pub(crate) fn node_api(agent: AgentHandle) -> NodeApi {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/metrics", get(metrics))
        .route("/wasmk/v1/logs/{namespace}/{pod}/{uid}/{container}", get(logs))
        .with_state(agent);
    Arc::new(move |request| {
        let router = router.clone();
        // Other nodes are trusted with requests to pods, not with what pods write.
        let peer = request.extensions().get::<PeerIdentity>();
        let is_admitted = peer.is_some_and(|peer| peer.organizations.iter().any(|group| group == MASTERS));
        async move {
            if !is_admitted && request.uri().path() != "/healthz" {
                let refusal = (StatusCode::FORBIDDEN, "the node API is for the control plane").into_response();
                return refusal.map(wasmk_network::boxed);
            }
            let response = router.oneshot(request.map(Body::new)).await.unwrap_or_else(|never| match never {});
            response.map(wasmk_network::boxed)
        }
        .boxed()
    })
}

/// `PodLogOptions`, as the API server hands them on.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct LogParameters {
    follow: bool,
    previous: bool,
    timestamps: bool,
    tail_lines: Option<u64>,
    since_seconds: Option<i64>,
    since_time: Option<jiff::Timestamp>,
    limit_bytes: Option<u64>,
    stream: Option<String>,
}

async fn logs(
    State(agent): State<AgentHandle>,
    Path((namespace, pod, uid, container)): Path<(String, String, String, String)>,
    Query(parameters): Query<LogParameters>,
) -> Response {
    let query = LogQuery { namespace, pod, uid: Some(PodUid(uid)), container, options: parameters.options() };
    match agent.logs(query) {
        Ok(stream) => {
            ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], Body::from_stream(stream)).into_response()
        }
        Err(error) => {
            let status = match &error {
                LogError::NotFound(_) => StatusCode::NOT_FOUND,
                LogError::Waiting(_) => StatusCode::BAD_REQUEST,
                LogError::Io { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            };
            (status, error.to_string()).into_response()
        }
    }
}

impl LogParameters {
    fn options(self) -> LogOptions {
        let ago = |seconds: i64| jiff::Timestamp::now().checked_sub(jiff::SignedDuration::from_secs(seconds)).ok();
        LogOptions {
            follow: self.follow,
            previous: self.previous,
            timestamps: self.timestamps,
            tail_lines: self.tail_lines,
            since: self.since_time.or_else(|| self.since_seconds.and_then(ago)),
            limit_bytes: self.limit_bytes,
            stream: match self.stream.as_deref() {
                Some("Stdout" | "stdout") => Some(Stream::Stdout),
                Some("Stderr" | "stderr") => Some(Stream::Stderr),
                _ => None,
            },
        }
    }
}

/// Prometheus text: what each running container uses.
async fn metrics(State(agent): State<AgentHandle>) -> impl IntoResponse {
    let mut text = String::from(
        "# TYPE container_cpu_usage_seconds_total counter\n# TYPE container_memory_working_set_bytes gauge\n",
    );
    for pod in agent.usage().pods {
        for (container, usage) in &pod.containers {
            let labels = format!("{{namespace=\"{}\",pod=\"{}\",container=\"{container}\"}}", pod.namespace, pod.name);
            let seconds = usage.cpu_nanos as f64 / 1e9;
            text.push_str(&format!("container_cpu_usage_seconds_total{labels} {seconds}\n"));
            text.push_str(&format!("container_memory_working_set_bytes{labels} {}\n", usage.memory_bytes));
        }
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
