use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use wasmk_agent::{AgentHandle, LogError, LogOptions, LogQuery, PodUid, Stream};

/// `PodLogOptions`, as the API server hands them on.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogParameters {
    follow: bool,
    previous: bool,
    timestamps: bool,
    tail_lines: Option<u64>,
    since_seconds: Option<i64>,
    since_time: Option<jiff::Timestamp>,
    limit_bytes: Option<u64>,
    stream: Option<String>,
}

pub(super) async fn logs(
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
