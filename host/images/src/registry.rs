//! The OCI distribution protocol (specification 1.1) over an [`ImageStore`].

mod answer;
mod path;
mod uploads;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio_util::io::ReaderStream;

use crate::manifest::{MANIFEST_BYTES_MAX, Manifest, OCI_INDEX};
use crate::reference::check_tag;
use crate::{Body, Digest, ImageStore};
use answer::{Code, Failure, failed};
use path::{Resource, parse};

/// Serves `/v2/`. Who may use it is for the caller to decide.
pub fn registry(store: ImageStore) -> Router {
    Router::new()
        .route("/v2/", axum::routing::any(root))
        .route("/v2/{*path}", axum::routing::any(serve))
        .with_state(Arc::new(store))
}

type Store = State<Arc<ImageStore>>;

async fn root() -> Response {
    ([("docker-distribution-api-version", "registry/2.0")], axum::Json(json!({}))).into_response()
}

async fn serve(State(store): Store, request: Request) -> Response {
    answer(&store, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(store: &Arc<ImageStore>, request: Request) -> Result<Response, Failure> {
    let path = request.uri().path().trim_start_matches("/v2/").to_owned();
    if path == "_catalog" {
        return Ok(axum::Json(json!({"repositories": store.repositories()})).into_response());
    }
    let (name, resource) = parse(&path)?;
    let method = request.method().clone();
    match (method, resource) {
        (Method::GET | Method::HEAD, Resource::Manifest(reference)) => {
            get_manifest(store, name, reference, request.method())
        }
        (Method::PUT, Resource::Manifest(reference)) => put_manifest(store, name, reference, request).await,
        (Method::DELETE, Resource::Manifest(reference)) => match store.remove(name, reference).map_err(failed)? {
            true => Ok(StatusCode::ACCEPTED.into_response()),
            false => Err(manifest_unknown(name, reference)),
        },
        (Method::GET | Method::HEAD, Resource::Blob(digest)) => {
            get_blob(store, digest, request.method(), request.headers()).await
        }
        (Method::DELETE, Resource::Blob(_)) => {
            Err(Failure::new(Code::Unsupported, "blobs are shared between images and not deleted one by one"))
        }
        (Method::POST, Resource::Uploads) => uploads::begin(store, name, request).await,
        (Method::PATCH, Resource::Upload(id)) => uploads::append(store, name, id, request).await,
        (Method::PUT, Resource::Upload(id)) => uploads::finish(store, name, id, request).await,
        (Method::GET, Resource::Upload(id)) => uploads::status(store, name, id),
        (Method::DELETE, Resource::Upload(id)) => uploads::cancel(store, id),
        (Method::GET, Resource::Tags) => tags(store, name, request.uri().query().unwrap_or_default()),
        (Method::GET, Resource::Referrers(digest)) => referrers(store, name, digest),
        _ => Err(Failure::new(Code::Unsupported, "this method is not for this path")),
    }
}

fn get_manifest(store: &ImageStore, name: &str, reference: &str, method: &Method) -> Result<Response, Failure> {
    let digest = store.resolve(name, reference).ok_or_else(|| manifest_unknown(name, reference))?;
    let (manifest, bytes) = store.manifest(&digest).map_err(failed)?;
    let headers = [
        (header::CONTENT_TYPE, manifest.media_type().to_owned()),
        (header::CONTENT_LENGTH, bytes.len().to_string()),
        (header::HeaderName::from_static("docker-content-digest"), digest.to_string()),
    ];
    let body = if method == Method::HEAD { Body::empty() } else { Body::from(bytes) };
    Ok((headers, body).into_response())
}

async fn put_manifest(store: &ImageStore, name: &str, reference: &str, request: Request) -> Result<Response, Failure> {
    let bytes = axum::body::to_bytes(request.into_body(), MANIFEST_BYTES_MAX).await;
    let bytes = bytes.map_err(|error| Failure::new(Code::ManifestInvalid, error.to_string()))?;
    let tag = match reference.parse::<Digest>() {
        Ok(wanted) if wanted == Digest::of(&bytes) => None,
        Ok(wanted) => return Err(Failure::new(Code::DigestInvalid, format!("the manifest's digest is not {wanted}"))),
        Err(_) => {
            check_tag(reference).map_err(|why| Failure::new(Code::ManifestInvalid, why))?;
            Some(reference)
        }
    };
    let manifest = Manifest::parse(&bytes).map_err(|error| Failure::new(Code::ManifestInvalid, error.to_string()))?;
    let digest = store.put_manifest(name, tag, &bytes).map_err(failed)?;
    let mut response = StatusCode::CREATED.into_response();
    answer::set(&mut response, "location", format!("/v2/{name}/manifests/{digest}"));
    answer::set(&mut response, "docker-content-digest", digest.to_string());
    if let Some(subject) = &manifest.subject {
        answer::set(&mut response, "oci-subject", subject.digest.clone());
    }
    Ok(response)
}

async fn get_blob(
    store: &ImageStore,
    digest: Digest,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let unknown = || Failure::new(Code::BlobUnknown, format!("blob {digest} is not here"));
    let size = store.blob_size(&digest).ok_or_else(unknown)?;
    let first = match headers.get(header::RANGE).and_then(|range| range.to_str().ok()) {
        None => 0,
        Some(range) => first_byte(range)
            .filter(|first| *first < size)
            .ok_or_else(|| Failure::new(Code::RangeInvalid, "the range is not within the blob"))?,
    };
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        use tokio::io::AsyncSeekExt;
        let mut file = tokio::fs::File::open(store.blob_path(&digest)).await.map_err(|_| unknown())?;
        file.seek(std::io::SeekFrom::Start(first))
            .await
            .map_err(|error| Failure::new(Code::Unknown, error.to_string()))?;
        Body::from_stream(ReaderStream::with_capacity(file, 256 << 10))
    };
    let mut response = body.into_response();
    answer::set(&mut response, "content-type", "application/octet-stream".to_owned());
    answer::set(&mut response, "content-length", (size - first).to_string());
    answer::set(&mut response, "accept-ranges", "bytes".to_owned());
    answer::set(&mut response, "docker-content-digest", digest.to_string());
    if first > 0 {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        answer::set(&mut response, "content-range", format!("bytes {first}-{}/{size}", size - 1));
    }
    Ok(response)
}

/// The start of `bytes=N-`, which is how a broken transfer is taken up again.
fn first_byte(range: &str) -> Option<u64> {
    range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

fn tags(store: &ImageStore, name: &str, query: &str) -> Result<Response, Failure> {
    let mut tags = store.tags(name);
    if tags.is_empty() && store.manifests(name).is_empty() {
        return Err(Failure::new(Code::NameUnknown, format!("repository {name} is not here")));
    }
    let parameter = |wanted: &str| {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == wanted)
            .map(|(_, value)| value.to_owned())
    };
    if let Some(last) = parameter("last") {
        tags.retain(|tag| **tag > *last);
    }
    let mut link = None;
    if let Some(count) =
        parameter("n").and_then(|count| count.parse::<usize>().ok()).filter(|count| *count < tags.len())
    {
        tags.truncate(count);
        link = tags.last().map(|last| format!("</v2/{name}/tags/list?n={count}&last={last}>; rel=\"next\""));
    }
    let mut response = axum::Json(json!({"name": name, "tags": tags})).into_response();
    if let Some(link) = link {
        answer::set(&mut response, "link", link);
    }
    Ok(response)
}

fn referrers(store: &ImageStore, name: &str, subject: Digest) -> Result<Response, Failure> {
    let mut found = Vec::new();
    for digest in store.manifests(name) {
        let (manifest, bytes) = store.manifest(&digest).map_err(failed)?;
        if manifest.subject.as_ref().is_some_and(|one| one.digest == subject.as_str()) {
            found.push(json!({
                "mediaType": manifest.media_type(), "digest": digest.as_str(), "size": bytes.len(), "artifactType": manifest.artifact_type(),
            }));
        }
    }
    let mut response =
        axum::Json(json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found})).into_response();
    answer::set(&mut response, "content-type", OCI_INDEX.to_owned());
    Ok(response)
}

fn manifest_unknown(name: &str, reference: &str) -> Failure {
    Failure::new(Code::ManifestUnknown, format!("{name}:{reference} is not in this registry"))
}
