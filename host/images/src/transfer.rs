//! Moving images between a store and a registry.

mod outside;

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::{Method, Request, Response, StatusCode, header};
use futures::StreamExt;
use tokio::io::AsyncWriteExt;

use crate::manifest::{Format, MANIFEST_BYTES_MAX, Manifest, accepted};
use crate::store::{ImageStore, StoreError};
use crate::{Body, Digest, InvalidManifest, Reference};

pub use outside::outside;

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

/// Times that a blob whose transfer broke off is taken up again.
const ATTEMPTS_MAX: usize = 4;

/// Brings an image into the store. Blobs that are here are not transferred; a broken transfer is taken up where it broke.
pub async fn pull(
    store: &Arc<ImageStore>,
    transport: &dyn Transport,
    reference: &Reference,
) -> Result<Digest, PullError> {
    let puller = Puller { store, transport, reference };
    let (bytes, manifest) = puller.manifest(reference.tag_or_digest()).await?;
    let (bytes, manifest) = match manifest.format() {
        Format::Index => {
            let entry = manifest.choose().ok_or_else(|| PullError::NoWasm(reference.clone()))?;
            puller.manifest(&entry.digest).await?
        }
        _ => (bytes, manifest),
    };
    for descriptor in manifest.descriptors() {
        let digest = descriptor.digest().map_err(|error| puller.broken(InvalidManifest::from(error).into()))?;
        if store.blob_size(&digest) != Some(descriptor.size) {
            puller.blob(&digest).await?;
        }
    }
    let tag = reference.tag.as_deref().filter(|_| reference.digest.is_none());
    store.put_manifest(&reference.full_repository(), tag, &bytes).map_err(|error| puller.broken(error))
}

struct Puller<'a> {
    store: &'a Arc<ImageStore>,
    transport: &'a dyn Transport,
    reference: &'a Reference,
}

impl Puller<'_> {
    async fn manifest(&self, tag_or_digest: &str) -> Result<(Vec<u8>, Manifest), PullError> {
        let uri = format!("/v2/{}/manifests/{tag_or_digest}", self.reference.repository);
        let request = Request::get(uri)
            .header(header::ACCEPT, accepted())
            .body(Body::empty())
            .expect("the request is well-formed");
        let response = self.checked(request).await?;
        let bytes = axum::body::to_bytes(response.into_body(), MANIFEST_BYTES_MAX).await;
        let bytes = bytes.map_err(|error| PullError::Unreachable(self.reference.clone(), error.to_string()))?;
        if let Ok(wanted) = tag_or_digest.parse::<Digest>() {
            let found = Digest::of(&bytes);
            if found != wanted {
                return Err(self.broken(StoreError::DigestMismatch { wanted, found }));
            }
        }
        let manifest = Manifest::parse(&bytes).map_err(|error| self.broken(error.into()))?;
        Ok((bytes.to_vec(), manifest))
    }

    async fn blob(&self, digest: &Digest) -> Result<(), PullError> {
        let upload = self.store.new_upload().map_err(|error| self.broken(error))?;
        let mut arrived = 0;
        let mut attempt = 1;
        while let Err(error) = self.fetch(digest, upload.path(), &mut arrived).await {
            if attempt == ATTEMPTS_MAX || !matches!(error, PullError::Unreachable(..)) {
                return Err(error);
            }
            attempt += 1;
        }
        let (store, wanted) = (self.store.clone(), digest.clone());
        let finished = tokio::task::spawn_blocking(move || store.finish(upload, Some(&wanted))).await;
        let finished = finished.map_err(|error| PullError::Unreachable(self.reference.clone(), error.to_string()))?;
        finished.map(drop).map_err(|error| self.broken(error))
    }

    /// Appends to the file from byte `arrived` on.
    async fn fetch(&self, digest: &Digest, path: &std::path::Path, arrived: &mut u64) -> Result<(), PullError> {
        let uri = format!("/v2/{}/blobs/{digest}", self.reference.repository);
        let mut request = Request::get(uri);
        if *arrived > 0 {
            request = request.header(header::RANGE, format!("bytes={arrived}-"));
        }
        let response = self.checked(request.body(Body::empty()).expect("the request is well-formed")).await?;
        let io = |source| self.broken(StoreError::Io { action: "write", path: path.to_owned(), source });
        let mut file = tokio::fs::OpenOptions::new().append(true).open(path).await.map_err(io)?;
        if *arrived > 0 && response.status() != StatusCode::PARTIAL_CONTENT {
            // The registry starts again, so do we.
            file.set_len(0).await.map_err(io)?;
            *arrived = 0;
        }
        let wanted = response
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
            .map(|length| length + *arrived);
        let mut chunks = response.into_body().into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| PullError::Unreachable(self.reference.clone(), error.to_string()))?;
            file.write_all(&chunk).await.map_err(io)?;
            *arrived += chunk.len() as u64;
        }
        file.flush().await.map_err(io)?;
        match wanted {
            Some(wanted) if *arrived < wanted => {
                Err(PullError::Unreachable(self.reference.clone(), "the transfer broke off".to_owned()))
            }
            _ => Ok(()),
        }
    }

    async fn checked(&self, request: Request<Body>) -> Result<Response<Body>, PullError> {
        let reference = || self.reference.clone();
        let response = self
            .transport
            .send(request)
            .await
            .map_err(|error| PullError::Unreachable(reference(), error.to_string()))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let said = said(response).await;
        Err(match status {
            StatusCode::NOT_FOUND => PullError::NotFound(reference()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => PullError::Unauthorized(reference(), said),
            status if status.is_server_error() => PullError::Unreachable(reference(), said),
            _ => PullError::Refused(reference(), said),
        })
    }

    fn broken(&self, error: StoreError) -> PullError {
        PullError::Broken(self.reference.clone(), error)
    }
}

/// Sends an image of the store to a registry. Blobs that are there are not transferred.
pub async fn push(store: &ImageStore, transport: &dyn Transport, reference: &Reference) -> Result<(), PushError> {
    let digest = store.find(reference).ok_or_else(|| PushError::NotFound(reference.clone()))?;
    let (manifest, bytes) = store.manifest(&digest)?;
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
