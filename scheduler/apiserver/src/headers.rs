//! What every answer bears, whoever gives it.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue};

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
/// As in Kubernetes: what is longer is cut.
const AUDIT_ID_LENGTH_MAX: usize = 64;

/// Names the request, as the client did or else anew, and keeps caches on the way from keeping the answer.
pub(crate) async fn stamp(request: Request, next: Next) -> Response {
    let id = audit_id(request.headers());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(AUDIT_ID, id);
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
    let is_text = headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/plain"));
    if is_text {
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}

fn audit_id(headers: &HeaderMap) -> HeaderValue {
    let given = headers.get(AUDIT_ID).map(HeaderValue::as_bytes).filter(|id| !id.is_empty());
    let cut = given.map(|id| &id[..id.len().min(AUDIT_ID_LENGTH_MAX)]);
    let anew = || HeaderValue::try_from(uuid::Uuid::new_v4().to_string()).expect("a uuid is a header value");
    cut.and_then(|id| HeaderValue::from_bytes(id).ok()).unwrap_or_else(anew)
}
