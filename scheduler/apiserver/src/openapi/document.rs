use std::sync::OnceLock;

use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;
use sha2::{Digest, Sha256};
use wasmk_api::kind::Kind;

use super::{v2, v2_protobuf, v3};

/// The documents about some kinds, each made when it is first asked for: only clients that apply or explain ask.
pub(crate) struct Documents {
    kinds: Vec<&'static Kind>,
    /// By path below `/openapi/v3/`.
    v3: Vec<(String, OnceLock<Document>)>,
    v2_json: OnceLock<Document>,
    v2_protobuf: OnceLock<Document>,
}

pub(super) struct Document {
    bytes: Bytes,
    hash: String,
}

impl Documents {
    pub(super) fn new(kinds: Vec<&'static Kind>) -> Self {
        let mut v3: Vec<(String, OnceLock<Document>)> = Vec::new();
        for kind in &kinds {
            let path = v3_path(kind);
            if !v3.iter().any(|(known, _)| *known == path) {
                v3.push((path, OnceLock::new()));
            }
        }
        Self { kinds, v3, v2_json: OnceLock::new(), v2_protobuf: OnceLock::new() }
    }

    /// Kinds live as long as the process and never change, so the same ones mean the same documents.
    pub(super) fn are_of(&self, kinds: &[&'static Kind]) -> bool {
        self.kinds.len() == kinds.len() && self.kinds.iter().zip(kinds).all(|(one, other)| std::ptr::eq(*one, *other))
    }

    pub(super) fn v3_paths(&self) -> impl Iterator<Item = String> {
        self.v3.iter().map(|(path, _)| path.clone())
    }

    pub(super) fn v3(&self, path: &str) -> Option<&Document> {
        let (_, document) = self.v3.iter().find(|(known, _)| known == path)?;
        let kinds = || self.kinds.iter().copied().filter(|kind| v3_path(kind) == path);
        Some(document.get_or_init(|| Document::json(&v3::document(kinds()))))
    }

    pub(super) fn v2_json(&self) -> &Document {
        self.v2_json.get_or_init(|| Document::json(&self.v2()))
    }

    pub(super) fn v2_protobuf(&self) -> &Document {
        self.v2_protobuf.get_or_init(|| Document::new(v2_protobuf::document(&self.v2())))
    }

    fn v2(&self) -> Value {
        v2::document(self.kinds.iter().copied())
    }
}

fn v3_path(kind: &Kind) -> String {
    match kind.group {
        "" => format!("api/{}", kind.version),
        group => format!("apis/{group}/{}", kind.version),
    }
}

impl Document {
    fn new(bytes: Vec<u8>) -> Self {
        let hash = hex::encode_upper(Sha256::digest(&bytes));
        Self { bytes: bytes.into(), hash }
    }

    fn json(value: &Value) -> Self {
        Self::new(serde_json::to_vec(value).expect("JSON values always encode"))
    }

    pub(super) fn hash(&self) -> &str {
        &self.hash
    }

    /// Nothing but 304 when the client has it already.
    pub(super) fn respond(&self, content_type: &'static str, headers: &HeaderMap) -> Response {
        let tag = format!("\"{}\"", self.hash);
        let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let is_known = known.flat_map(|value| value.split(',')).any(|one| {
            let one = one.trim();
            one == "*" || one.trim_start_matches("W/") == tag
        });
        if is_known {
            return (StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response();
        }
        let headers = [(CONTENT_TYPE, content_type.to_owned()), (ETAG, tag)];
        (StatusCode::OK, headers, self.bytes.clone()).into_response()
    }

    pub(super) fn respond_for_ever(&self, content_type: &'static str, headers: &HeaderMap) -> Response {
        let mut response = self.respond(content_type, headers);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
        response
    }
}
