use std::time::Duration;

use axum::body::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use wasmk_api::{Reason, Status};

use super::document::Document;
use super::go_json::json_fault;
use crate::{heavy, protobuf};

/// As in kube-apiserver: twice what etcd takes, because JSON is longer than what is stored there.
const BODY_BYTES_MAX: usize = 3 * 1024 * 1024;

/// As kube-apiserver gives a request; who is slower would hold up others.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// A request's body with what its `Content-Type` says it is.
pub(crate) struct Body {
    pub(crate) media_type: BodyType,
    pub(crate) bytes: Bytes,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BodyType {
    Json,
    Yaml,
    Protobuf,
    JsonPatch,
    MergePatch,
    StrategicMergePatch,
    ApplyPatch,
    Other,
}

impl BodyType {
    /// Without a header it is JSON: old kubectl sends none with `scale`.
    fn parse(headers: &HeaderMap) -> Self {
        let header = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "" | "application/json" | "*/*" => Self::Json,
            "application/yaml" | "text/yaml" | "application/x-yaml" => Self::Yaml,
            "application/vnd.kubernetes.protobuf" => Self::Protobuf,
            "application/json-patch+json" => Self::JsonPatch,
            "application/merge-patch+json" => Self::MergePatch,
            "application/strategic-merge-patch+json" => Self::StrategicMergePatch,
            "application/apply-patch+yaml" | "application/apply-patch+json" => Self::ApplyPatch,
            _ => Self::Other,
        }
    }
}

/// Reads the whole body; 413 when it is larger than Kubernetes allows.
pub(crate) async fn read_body(headers: &HeaderMap, body: axum::body::Body) -> Result<Body, Status> {
    let too_large =
        || Status::new(Reason::RequestEntityTooLarge, format!("Request entity too large: limit is {BODY_BYTES_MAX}"));
    let read = Limited::new(body, BODY_BYTES_MAX).collect();
    let read = tokio::time::timeout(BODY_TIMEOUT, read).await.map_err(|_| {
        Status::new(
            Reason::Timeout,
            format!("the request's body did not come within {} seconds", BODY_TIMEOUT.as_secs()),
        )
    })?;
    match read {
        Ok(collected) => Ok(Body { media_type: BodyType::parse(headers), bytes: collected.to_bytes() }),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(Status::bad_request(format!("read the request's body: {error}"))),
    }
}

impl Body {
    /// Reading it takes milliseconds.
    pub(crate) fn is_large(&self) -> bool {
        self.bytes.len() > heavy::LARGE_BYTES
    }

    fn read<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.is_large() { heavy::in_place(work) } else { work() }
    }

    /// The document, which is to be of `kind`, in whichever encoding it came.
    pub(crate) fn document(&self, kind: &str) -> Result<Document, Status> {
        let read = match self.media_type {
            BodyType::Json => {
                self.read_json().map_err(|fault| format!("couldn't get version/kind; json parse error: {fault}"))
            }
            BodyType::Yaml => self.read_yaml().map_err(|fault| format!("error converting YAML to JSON: yaml: {fault}")),
            BodyType::Protobuf => self
                .read(|| protobuf::decode(&self.bytes))
                .map(|value| Document { value, duplicates: Vec::new() })
                .map_err(|status| status.message),
            _ => return Err(unsupported("application/json, application/yaml, application/vnd.kubernetes.protobuf")),
        };
        read.map_err(|fault| {
            let shown = self.summary();
            Status::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): {fault} ({shown})"
            ))
        })
    }

    /// As [`Body::document`]; null when the body is empty, as it may be with DELETE.
    pub(crate) fn optional_document(&self, kind: &str) -> Result<Value, Status> {
        if self.bytes.is_empty() { Ok(Value::Null) } else { Ok(self.document(kind)?.value) }
    }

    /// For patches, whose media types say that they are JSON.
    pub(crate) fn json(&self) -> Result<Document, Status> {
        self.read_json().map_err(Status::bad_request)
    }

    pub(crate) fn yaml(&self) -> Result<Document, Status> {
        self.read_yaml().map_err(|fault| Status::bad_request(format!("error decoding YAML: {fault}")))
    }

    fn read_json(&self) -> Result<Document, String> {
        self.read(|| serde_json::from_slice(&self.bytes))
            .map_err(|error| json_fault(&self.bytes).unwrap_or_else(|| error.to_string()))
    }

    /// JSON is YAML, and what most clients send as such: it is read as what it is.
    fn read_yaml(&self) -> Result<Document, String> {
        if self.bytes.trim_ascii_start().starts_with(b"{")
            && let Ok(document) = self.read_json()
        {
            return Ok(document);
        }
        let text = std::str::from_utf8(&self.bytes).map_err(|error| error.to_string())?;
        // As kubectl reads them: 0644 is octal. What is there twice is told by the document.
        let options = serde_yaml::options! {
            legacy_octal_numbers: true,
            duplicate_keys: serde_yaml::DuplicateKeyPolicy::LastWins,
        };
        self.read(|| serde_yaml::from_str_with_options(text, options)).map_err(|error| error.to_string())
    }

    /// The beginning of the body, as Kubernetes shows it: what is no JSON object in hexadecimal digits.
    fn summary(&self) -> String {
        let (shown, rest) = self.bytes.split_at(self.bytes.len().min(SUMMARY_BYTES));
        let more = if rest.is_empty() { "" } else { " ..." };
        match shown.first() {
            None => "<empty>".to_owned(),
            Some(b'{') => String::from_utf8_lossy(shown).into_owned() + more,
            Some(_) => hex::encode(shown) + more,
        }
    }
}

/// As much of a body as a refusal shows.
const SUMMARY_BYTES: usize = 30;

pub(crate) fn unsupported(accepted: &str) -> Status {
    Status::new(
        Reason::UnsupportedMediaType,
        format!("the body of the request was in an unknown format - accepted media types include: {accepted}"),
    )
}
