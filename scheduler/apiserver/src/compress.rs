//! Large answers go compressed to those who take them so, as from kube-apiserver.

use std::io::Write;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, VARY};
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::BodyExt;
use tracing::error;

/// As in Kubernetes: below this, compressing costs more than it saves.
const COMPRESSED_BYTES_MIN: u64 = 128 * 1024;

pub(crate) async fn compress(request: Request, next: Next) -> Response {
    // What a pod answers is no answer of ours: it has no bound and passes as it comes.
    let is_passed = request.uri().path().contains("/proxy/");
    let wanted = request.method() == Method::GET && !is_passed && takes_gzip(request.headers());
    let response = next.run(request).await;
    if !wanted || !is_large(&response) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(collected) = body.collect().await else { return Response::from_parts(parts, Body::empty()) };
    let bytes = collected.to_bytes();
    let plain = bytes.clone();
    // Off the threads that serve: a large list takes a while.
    match tokio::task::spawn_blocking(move || gzip(&plain)).await {
        Ok(Ok(compressed)) => {
            parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            parts.headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
            parts.headers.remove(CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(compressed))
        }
        failed => {
            error!(?failed, "compress an answer");
            Response::from_parts(parts, Body::from(bytes))
        }
    }
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| one.split(';').next().is_some_and(|name| name.trim() == "gzip"))
}

/// A whole answer of the API itself: streams have no size yet, and images are compressed already.
fn is_large(response: &Response) -> bool {
    let size = http_body::Body::size_hint(response.body()).exact();
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_text = content_type.starts_with("application/json") || content_type.starts_with("application/yaml");
    let is_document = response.headers().contains_key(ETAG);
    size.is_some_and(|size| size >= COMPRESSED_BYTES_MIN)
        && (is_text || is_document)
        && !response.headers().contains_key(CONTENT_ENCODING)
}

fn gzip(bytes: &Bytes) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}
