//! Moving images between a store and a registry.

mod cluster;
mod outside;
mod pull;
mod source;

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::{Method, Request, Response, header};

use crate::blocking::blocking;
use crate::store::{ImageStore, StoreError};
use crate::{Body, Digest, InvalidManifest, Reference};

/// Sends requests for `/v2/…` to one registry: whoever implements it knows the host and proves who we are.
#[async_trait]
pub trait Transport: Send + Sync {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError>;
}

/// No answer at all.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TransportError(pub String);

#[derive(Debug, thiserror::Error)]
pub enum PullError {
    #[error("image {0} not found: build it with `wasmk build DIR -t {0}`, or check the name and tag")]
    NotFound(Reference),
    #[error("image {0}: the registry does not let this node pull it: {1}")]
    Unauthorized(Reference, String),
    #[error("image {0}: the registry does not answer: {1}")]
    Unreachable(Reference, String),
    #[error("image {0}: the registry answered {1}")]
    Refused(Reference, String),
    #[error("image {0}: {1}")]
    Broken(Reference, #[source] StoreError),
    #[error("image {0} has no part for wasm")]
    NoWasm(Reference),
}

#[derive(Debug, thiserror::Error)]
pub enum PushError {
    #[error("image {0} is not in the store")]
    NotFound(Reference),
    #[error("the registry does not answer: {0}")]
    Unreachable(#[from] TransportError),
    #[error("the registry answered {0}")]
    Refused(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Brings an image from the cluster's registry into the store. Blobs that are here are not transferred, nor is one
/// fetched twice at once; a broken transfer is taken up where it broke.
pub async fn pull(
    store: &Arc<ImageStore>,
    transport: &dyn Transport,
    reference: &Reference,
) -> Result<Digest, PullError> {
    let source = cluster::Cluster { transport, repository: &reference.repository };
    pull::Puller { store, source: &source, reference }.pull().await
}

/// As [`pull`], from a registry that is not the cluster's. Plain HTTP is spoken to loopback hosts only.
pub async fn outside(
    store: &Arc<ImageStore>,
    reference: &Reference,
    login: Option<(&str, &str)>,
) -> Result<Digest, PullError> {
    let source = outside::Outside::new(reference, login);
    pull::Puller { store, source: &source, reference }.pull().await
}

/// Sends an image of the store to a registry. Blobs that are there are not transferred.
pub async fn push(store: &ImageStore, transport: &dyn Transport, reference: &Reference) -> Result<(), PushError> {
    let (own, name) = (store.clone(), reference.clone());
    let found = blocking(move || own.find(&name).map(|digest| own.manifest(&digest))).await;
    let (manifest, bytes) = found.ok_or_else(|| PushError::NotFound(reference.clone()))??;
    let repository = &reference.repository;
    for descriptor in manifest.descriptors() {
        let uri = format!("/v2/{repository}/blobs/{}", descriptor.digest);
        let head =
            Request::builder().method(Method::HEAD).uri(uri).body(Body::empty()).expect("the request is well-formed");
        if !transport.send(head).await?.status().is_success() {
            push_blob(
                store,
                transport,
                repository,
                &descriptor.digest().map_err(|error| StoreError::from(InvalidManifest::from(error)))?,
            )
            .await?;
        }
    }
    let uri = format!("/v2/{repository}/manifests/{}", reference.tag_or_digest());
    let put = Request::put(uri)
        .header(header::CONTENT_TYPE, manifest.media_type())
        .body(Body::from(bytes))
        .expect("the request is well-formed");
    expect_success(transport.send(put).await?).await.map(drop)
}

async fn push_blob(
    store: &ImageStore,
    transport: &dyn Transport,
    repository: &str,
    digest: &Digest,
) -> Result<(), PushError> {
    let begin = Request::post(format!("/v2/{repository}/blobs/uploads/"))
        .body(Body::empty())
        .expect("the request is well-formed");
    let begun = expect_success(transport.send(begin).await?).await?;
    let location = begun.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
    let location = location.ok_or_else(|| PushError::Refused("an upload without a location".to_owned()))?;
    let parameter = if location.contains('?') { '&' } else { '?' };
    let path = store.blob_path(digest);
    let io = |source| StoreError::Io { action: "read", path: path.clone(), source };
    let file = tokio::fs::File::open(&path).await.map_err(io)?;
    let size = file.metadata().await.map_err(io)?.len();
    let put = Request::put(format!("{location}{parameter}digest={digest}"))
        .header(header::CONTENT_LENGTH, size)
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .body(Body::from_stream(tokio_util::io::ReaderStream::with_capacity(file, 256 << 10)))
        .map_err(|error| PushError::Refused(error.to_string()))?;
    expect_success(transport.send(put).await?).await.map(drop)
}

async fn expect_success(response: Response<Body>) -> Result<Response<Body>, PushError> {
    match response.status() {
        status if status.is_success() => Ok(response),
        _ => Err(PushError::Refused(said(response).await)),
    }
}

/// What a registry says of an error, in its own words.
async fn said(response: Response<Body>) -> String {
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), 64 << 10).await.unwrap_or_default();
    let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let message = json["errors"][0]["message"].as_str().or_else(|| json["message"].as_str());
    message.map_or_else(|| status.to_string(), |message| format!("{status}: {message}"))
}

#[cfg(test)]
mod tests;
