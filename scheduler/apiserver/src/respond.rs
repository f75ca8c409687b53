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
/// As in Kubernetes: all warnings together. Beyond it each is cut, and what still is beyond is dropped.
const WARNINGS_LENGTH_MAX: usize = 4096;
/// What each is cut to.
const WARNING_LENGTH: usize = 256;

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

pub(crate) fn yaml(value: &Value) -> String {
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
    for warning in fit(warnings) {
        let text: String = warning.chars().filter(|one| !one.is_control()).collect();
        let text = format!("299 - \"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
            response.headers_mut().append(WARNING, value);
        }
    }
}

/// Each once, and no more than clients can bear.
fn fit(warnings: &[String]) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for warning in warnings.iter().filter(|warning| !warning.is_empty()) {
        if !texts.contains(warning) {
            texts.push(warning.clone());
        }
    }
    let total: usize = texts.iter().map(|text| text.chars().count()).sum();
    if total <= WARNINGS_LENGTH_MAX {
        return texts;
    }
    let cut = texts.iter().map(|text| text.chars().take(WARNING_LENGTH).collect());
    cut.take(WARNINGS_LENGTH_MAX / WARNING_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(warnings: &[String]) -> Vec<String> {
        let mut response = StatusCode::OK.into_response();
        add_warnings(&mut response, warnings);
        let values = response.headers().get_all(WARNING).iter();
        values.map(|value| String::from_utf8(value.as_bytes().to_vec()).unwrap()).collect()
    }

    #[test]
    fn warnings_are_quoted_and_told_once() {
        let warnings = ["a \"b\" \\ c\n", "grün", "a \"b\" \\ c\n", ""].map(str::to_owned);
        assert_eq!(warned(&warnings), [r#"299 - "a \"b\" \\ c""#, "299 - \"grün\""]);
    }

    #[test]
    fn many_warnings_are_cut() {
        let warnings: Vec<String> = (0..100).map(|number| format!("{number} {}", "x".repeat(1000))).collect();
        let told = warned(&warnings);
        assert_eq!(told.len(), WARNINGS_LENGTH_MAX / WARNING_LENGTH);
        assert!(told.iter().all(|text| text.len() == WARNING_LENGTH + "299 - \"\"".len()));
    }
}
