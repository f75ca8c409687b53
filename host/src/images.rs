use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use dashmap::DashMap;
use http::{Request, Response};
use wasmk_agent::{Credential, Image, ImageError, ImageSummary, Images};
use wasmk_images::{
    Body, ImageStore, InvalidReference, OpenStoreError, PullError, Reference, Transport, TransportError, UnpackError,
    UnpackedImage,
};

/// The images of this node, filled from the cluster's registry or from outside.
pub(crate) struct NodeImages {
    store: Arc<ImageStore>,
    registry: KubeTransport,
    /// Images that were unpacked and verified since the start: hashing a file for each start of a container adds up.
    verified: DashMap<wasmk_images::Digest, Image>,
}

/// How long something without a name is left alone: a push sends its blobs before the manifest.
const GARBAGE_GRACE: Duration = Duration::from_secs(3600);

/// Images remembered as verified; past it they are verified anew.
const VERIFIED_MAX: usize = 4096;

/// The client of the API takes bodies as a whole; wasm files are some megabytes.
const SENT_BYTES_MAX: usize = 1 << 30;

/// The registry of a cluster, behind its API: the same address, the same certificates.
#[derive(Clone)]
pub struct KubeTransport(pub kube::Client);

impl NodeImages {
    pub(crate) fn open(dir: &Path, client: kube::Client) -> Result<Self, OpenStoreError> {
        Ok(Self { store: Arc::new(ImageStore::open(dir)?), registry: KubeTransport(client), verified: DashMap::new() })
    }

    /// Removes what no name leads to and no container of this process was started from.
    pub(crate) async fn tidy(&self) {
        let (store, used) = (self.store.clone(), self.verified.clone());
        let collected = tokio::task::spawn_blocking(move || {
            store.collect_garbage(|digest| used.contains_key(digest), SystemTime::now(), GARBAGE_GRACE)
        });
        match collected.await {
            Ok(Ok(collected)) => {
                tracing::info!(files = collected.files, bytes = collected.bytes, "collected garbage of images")
            }
            Ok(Err(error)) => tracing::warn!(%error, "collect garbage of images"),
            Err(_) => {}
        }
    }

    /// Verifying reads the whole file: not on a thread that others wait for.
    async fn unpacked(&self, digest: wasmk_images::Digest) -> Result<Image, ImageError> {
        let known = self.verified.get(&digest).map(|known| known.clone());
        if let Some(known) = known.filter(|known| known.wasm.exists()) {
            return Ok(known);
        }
        let (store, wanted) = (self.store.clone(), digest.clone());
        let unpacked = tokio::task::spawn_blocking(move || store.unpack(&wanted)).await;
        let unpacked = unpacked.map_err(|error| ImageError::Broken(error.to_string()))?;
        let image = unpacked.map(image).map_err(|error| broken(&error))?;
        if self.verified.len() >= VERIFIED_MAX {
            self.verified.clear();
        }
        self.verified.insert(digest, image.clone());
        Ok(image)
    }
}

#[async_trait]
impl Images for NodeImages {
    async fn find(&self, reference: &str) -> Result<Option<Image>, ImageError> {
        match self.store.find(&parse(reference)?) {
            Some(digest) => Ok(Some(self.unpacked(digest).await?)),
            None => Ok(None),
        }
    }

    async fn pull(&self, reference: &str, credentials: &[Credential]) -> Result<Image, ImageError> {
        let reference = parse(reference)?;
        let pulled = match &reference.registry {
            None => wasmk_images::pull(&self.store, &self.registry, &reference).await,
            Some(host) => {
                let login = credentials.iter().find(|credential| credential.registry == *host);
                let login = login.map(|login| (login.username.as_str(), login.password.as_str()));
                wasmk_images::outside(&self.store, &reference, login).await
            }
        };
        self.unpacked(pulled.map_err(pull_error)?).await
    }

    async fn list(&self) -> Vec<ImageSummary> {
        let store = self.store.clone();
        let listed = tokio::task::spawn_blocking(move || store.list()).await.unwrap_or_default();
        let summary = |image: wasmk_images::ImageSummary| {
            let repository = image.name.rsplit_once(':').map_or(image.name.as_str(), |(repository, _)| repository);
            let by_digest = format!("{repository}@{}", image.digest);
            ImageSummary { names: vec![by_digest, image.name], size_bytes: image.size_bytes }
        };
        listed.into_iter().map(summary).collect()
    }
}

#[async_trait]
impl Transport for KubeTransport {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, SENT_BYTES_MAX).await;
        let body = body.map_err(|_| {
            TransportError(format!("a blob of over {SENT_BYTES_MAX} bytes cannot be sent to the cluster"))
        })?;
        let request = Request::from_parts(parts, kube::client::Body::from(body));
        let response = self.0.send(request).await.map_err(|error| TransportError(chain(&error)))?;
        Ok(response.map(Body::new))
    }
}

fn parse(reference: &str) -> Result<Reference, ImageError> {
    reference.parse().map_err(|error: InvalidReference| ImageError::InvalidName(error.to_string()))
}

fn image(unpacked: UnpackedImage) -> Image {
    Image {
        digest: unpacked.digest.to_string(),
        wasm: unpacked.wasm,
        rootfs: unpacked.rootfs,
        entrypoint: unpacked.entrypoint,
        cmd: unpacked.cmd,
        env: unpacked.env,
        working_dir: unpacked.working_dir,
        size_bytes: unpacked.size_bytes,
    }
}

fn pull_error(error: PullError) -> ImageError {
    let text = chain(&error);
    match error {
        PullError::NotFound(_) => ImageError::NotFound(text),
        PullError::Unauthorized(..) => ImageError::Unauthorized(text),
        PullError::Unreachable(..) => ImageError::Unreachable(text),
        PullError::Refused(..) | PullError::Broken(..) | PullError::NoWasm(_) => ImageError::Broken(text),
    }
}

fn broken(error: &UnpackError) -> ImageError {
    ImageError::Broken(chain(error))
}

/// An error with its causes, as far as they say something new.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}
