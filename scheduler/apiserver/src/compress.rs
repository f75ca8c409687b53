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

/// Marks a response whose body is no answer of ours: what a pod says passes as it comes, and may be of any size.
#[derive(Clone, Copy)]
pub(crate) struct Passed;

pub(crate) async fn compress(request: Request, next: Next) -> Response {
    let wanted = request.method() == Method::GET && takes_gzip(request.headers());
    let response = next.run(request).await;
    if !wanted || !is_large(&response) || response.extensions().get::<Passed>().is_some() {
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

#[cfg(test)]
mod tests {
    use axum::middleware::from_fn;
    use axum::routing::get;
    use axum::{Extension, Router};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn what_passes_is_known_by_who_passes_it_not_by_its_path() {
        let large = || ([(CONTENT_TYPE, "application/json")], vec![b' '; 2 * COMPRESSED_BYTES_MIN as usize]);
        let router = Router::new()
            .route("/api/v1/namespaces/a/pods/p/proxy", get(move || async move { (Extension(Passed), large()) }))
            .fallback(move || async move { large() })
            .layer(from_fn(compress));
        for (path, is_compressed) in
            [("/api/v1/namespaces/a/pods/p/proxy", false), ("/v2/proxy/x/manifests/y", true), ("/api/v1/pods", true)]
        {
            let request = Request::get(path).header(ACCEPT_ENCODING, "gzip").body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.headers().contains_key(CONTENT_ENCODING), is_compressed, "{path}");
        }
    }
}
