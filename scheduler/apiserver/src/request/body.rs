use std::time::Duration;

use axum::body::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use wasmk_api::{Reason, Status};

use crate::protobuf;

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
    /// The document, in whichever encoding it came.
    pub(crate) fn document(&self) -> Result<Value, Status> {
        match self.media_type {
            BodyType::Json => self.json(),
            BodyType::Yaml => self.yaml(),
            BodyType::Protobuf => protobuf::decode(&self.bytes),
            _ => Err(unsupported("application/json, application/yaml, application/vnd.kubernetes.protobuf")),
        }
    }

    /// As [`Body::document`]; null when the body is empty, as it may be with DELETE.
    pub(crate) fn optional_document(&self) -> Result<Value, Status> {
        if self.bytes.is_empty() { Ok(Value::Null) } else { self.document() }
    }

    pub(crate) fn json(&self) -> Result<Value, Status> {
        serde_json::from_slice(&self.bytes).map_err(|error| Status::bad_request(format!("decode JSON: {error}")))
    }

    pub(crate) fn yaml(&self) -> Result<Value, Status> {
        let text =
            std::str::from_utf8(&self.bytes).map_err(|error| Status::bad_request(format!("decode YAML: {error}")))?;
        // As kubectl reads them: 0644 is octal.
        let options = serde_yaml::options! { legacy_octal_numbers: true };
        serde_yaml::from_str_with_options(text, options)
            .map_err(|error| Status::bad_request(format!("decode YAML: {error}")))
    }
}

pub(crate) fn unsupported(accepted: &str) -> Status {
    Status::new(
        Reason::UnsupportedMediaType,
        format!("the body of the request was in an unknown format - accepted media types include: {accepted}"),
    )
}
