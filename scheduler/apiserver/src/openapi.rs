//! The API described: OpenAPI v3 with schemas, from the embedded schema and the kind registry, and the least of v2
//! that older clients need.

mod v2;
mod v3;

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::discovery::{group_names, versions};
use crate::server::page_not_found;

/// `GET /openapi/v2`: a document without schemas, which is what kubectl up to 1.26 asks for before it applies.
/// It is protobuf whatever is asked for. The media type is one that every version takes.
pub(crate) async fn v2(_: HeaderMap) -> Response {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| v2::document().into());
    (StatusCode::OK, [(CONTENT_TYPE, "application/octet-stream")], DOCUMENT.clone()).into_response()
}

/// `GET /openapi/v3`: where the documents are. The hash in each address lets clients keep them.
pub(crate) async fn v3_index() -> Json<Value> {
    let entry = |(path, document): (&String, &Document)| {
        (path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={}", document.hash)}))
    };
    let paths: Map<String, Value> = DOCUMENTS.iter().map(entry).collect();
    Json(json!({"paths": paths}))
}

/// `GET /openapi/v3/api/v1`, `GET /openapi/v3/apis/<group>/<version>`
pub(crate) async fn v3_document(Path(path): Path<String>) -> Response {
    let Some(document) = DOCUMENTS.get(&path) else { return page_not_found() };
    let headers = [(CONTENT_TYPE, "application/json".to_owned()), (ETAG, format!("\"{}\"", document.hash))];
    (StatusCode::OK, headers, document.bytes.clone()).into_response()
}

struct Document {
    bytes: Bytes,
    hash: String,
}

/// By path below `/openapi/v3/`. Made on first use: only clients that apply or explain ask.
static DOCUMENTS: LazyLock<HashMap<String, Document>> = LazyLock::new(|| {
    let group_versions =
        group_names().into_iter().flat_map(|group| versions(group).into_iter().map(move |one| (group, one)));
    group_versions
        .map(|(group, version)| {
            let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
            let bytes = serde_json::to_vec(&v3::document(group, version)).expect("JSON values always encode");
            let hash = hex::encode_upper(Sha256::digest(&bytes));
            (path, Document { bytes: bytes.into(), hash })
        })
        .collect()
});
