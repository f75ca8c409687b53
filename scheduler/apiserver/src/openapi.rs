//! The API described, from the kinds that are served and the embedded schema alone: OpenAPI v3 a group version, and
//! OpenAPI v2 as JSON and as protobuf, which is what kubectl up to 1.26 reads.

mod definitions;
mod document;
mod operations;
mod parameters;
mod v2;
mod v2_protobuf;
mod v3;

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, LOCATION, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};
use wasmk_api::kind::{self, Kind};

use crate::ApiServer;
use crate::request::Format;
use crate::respond::Style;
use crate::server::page_not_found;
use document::Document;
pub(crate) use document::Documents;

/// The documents of the kinds that were served when somebody last asked.
#[derive(Default)]
pub(crate) struct Cache(Mutex<Option<Arc<Documents>>>);

impl Cache {
    /// The documents of `kinds`; they are made when other kinds were served the last time.
    pub(crate) fn documents(&self, kinds: impl Iterator<Item = &'static Kind>) -> Arc<Documents> {
        let kinds: Vec<&'static Kind> = kinds.collect();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(documents) if documents.are_of(&kinds) => documents.clone(),
            _ => known.insert(Arc::new(Documents::new(kinds))).clone(),
        }
    }
}

fn documents(server: &ApiServer) -> Arc<Documents> {
    server.openapi.documents(kind::served(&server.store.snapshot()).into_iter())
}

const V2_JSON: &str = "application/json";
/// A media type that every version takes; the one with `@v1.0`, which clients ask for, breaks kubectl 1.20.
const V2_PROTOBUF: &str = "application/octet-stream";

/// `GET /openapi/v2`: JSON where the client names it first, else protobuf.
pub(crate) async fn v2(State(server): State<Arc<ApiServer>>, headers: HeaderMap) -> Response {
    let documents = documents(&server);
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let first = accept.split([',', ';']).next().unwrap_or_default().trim();
    let mut response = match first {
        "" | "application/json" | "*/*" => documents.v2_json().respond(V2_JSON, &headers),
        _ => documents.v2_protobuf().respond(V2_PROTOBUF, &headers),
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    response
}

/// `GET /openapi/v3`: where the documents are. The hash in each address lets clients keep them.
pub(crate) async fn v3_index(State(server): State<Arc<ApiServer>>) -> Response {
    let documents = documents(&server);
    let paths: Map<String, Value> = documents
        .v3_paths()
        .map(|path| {
            let hash = documents.v3(&path).map_or("", Document::hash).to_owned();
            let address = format!("/openapi/v3/{path}?hash={hash}");
            (path, json!({"serverRelativeURL": address}))
        })
        .collect();
    Style { format: Format::Json, pretty: false }.respond(StatusCode::OK, &json!({"paths": paths}))
}

/// `GET /openapi/v3/api/v1`, `GET /openapi/v3/apis/<group>/<version>`. With the right hash it may be kept for ever; with
/// another one the client is sent to the right one.
pub(crate) async fn v3_document(
    State(server): State<Arc<ApiServer>>,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let documents = documents(&server);
    let Some(document) = documents.v3(&path) else { return page_not_found() };
    let query = query.unwrap_or_default();
    let asked = query.split('&').find_map(|pair| pair.strip_prefix("hash=")).filter(|hash| !hash.is_empty());
    match asked {
        None => document.respond("application/json", &headers),
        Some(hash) if hash == document.hash() => document.respond_for_ever("application/json", &headers),
        Some(_) => {
            let address = format!("/openapi/v3/{path}?hash={}", document.hash());
            (StatusCode::MOVED_PERMANENTLY, [(LOCATION, address)]).into_response()
        }
    }
}
