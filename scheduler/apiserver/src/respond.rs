//! Writing answers: JSON or YAML, failures as `Status`, warnings as headers.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderName, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use wasmk_api::{Reason, Status};

use crate::request::Format;

/// How this client wants answers written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) format: Format,
    pub(crate) pretty: bool,
}

const WARNING: HeaderName = HeaderName::from_static("warning");
/// As in Kubernetes: what is beyond is dropped.
const WARNINGS_BYTES_MAX: usize = 4096;

impl Style {
    pub(crate) fn respond(self, code: StatusCode, value: &Value) -> Response {
        let (content_type, bytes) = match self.format {
            Format::Json => ("application/json", self.json(value)),
            Format::Yaml => ("application/yaml", yaml(value).into_bytes()),
        };
        (code, [(CONTENT_TYPE, content_type)], bytes).into_response()
    }

    /// An answer that exists as JSON text already.
    pub(crate) fn respond_encoded(self, code: StatusCode, encoded: axum::body::Bytes) -> Response {
        match self {
            Self { format: Format::Json, pretty: false } => {
                (code, [(CONTENT_TYPE, "application/json")], encoded).into_response()
            }
            _ => self.respond(code, &serde_json::from_slice(&encoded).expect("what was encoded decodes")),
        }
    }

    fn json(self, value: &Value) -> Vec<u8> {
        let encoded = if self.pretty { serde_json::to_vec_pretty(value) } else { serde_json::to_vec(value) };
        encoded.expect("JSON values always encode")
    }
}

fn yaml(value: &Value) -> String {
    serde_yaml::to_string(value).unwrap_or_else(|error| format!("# this answer cannot be written as YAML: {error}\n"))
}

/// The answer of actions that leave nothing to show.
pub(crate) fn created(style: Style) -> Response {
    let success = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    style.respond(StatusCode::CREATED, &success)
}

/// A failure, always as JSON: every client reads it.
pub(crate) fn status_response(status: &Status) -> Response {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(&status.to_json()).expect("JSON values always encode");
    let mut response = (code, [(CONTENT_TYPE, "application/json")], body).into_response();
    if status.reason == Reason::Unauthorized {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"wasmk\""));
    }
    if let Some(seconds) = status.retry_after_seconds {
        response.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
    }
    response
}

/// Puts each warning into a header of its own: `Warning: 299 - "…"`, which kubectl shows.
pub(crate) fn add_warnings(response: &mut Response, warnings: &[String]) {
    let mut room = WARNINGS_BYTES_MAX;
    for warning in warnings {
        let text: String = warning.chars().filter(|one| !one.is_control()).collect();
        let text = format!("299 - \"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let Some(rest) = room.checked_sub(text.len()) else { return };
        room = rest;
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(WARNING, value);
        }
    }
}
