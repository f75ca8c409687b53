use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use dashmap::DashMap;
use http::{Request, Response};
use wasmk_agent::{Credential, Image, ImageError, ImageSummary, Images};
use wasmk_images::{
    Blobs, Body, CHUNK_BYTES_MAX, ImageStore, InvalidReference, Login, OpenStoreError, PullError, Reference,
    Registries, Registry, Transport, TransportError, UnpackError, UnpackedImage, pull_from, registry_key,
};

/// The images of this node, filled from the cluster's registry or from outside.
pub(crate) struct NodeImages {
    store: Arc<ImageStore>,
    registry: KubeTransport,
    registries: Registries,
    /// Images that were unpacked and verified since the start: hashing a file for each start of a container adds up.
    verified: DashMap<wasmk_images::Digest, Image>,
}

/// How long something without a name is left alone: a push sends its blobs before the manifest.
const GARBAGE_GRACE: Duration = Duration::from_secs(3600);

/// Images remembered as verified; past it they are verified anew.
const VERIFIED_MAX: usize = 4096;

/// The registry of a cluster, behind its API: the same address, the same certificates.
#[derive(Clone)]
pub struct KubeTransport(pub kube::Client);

impl NodeImages {
    pub(crate) fn open(dir: &Path, client: kube::Client, registries: Registries) -> Result<Self, OpenStoreError> {
        let (store, registry) = (Arc::new(ImageStore::open(dir)?), KubeTransport(client));
        Ok(Self { store, registry, registries, verified: DashMap::new() })
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

    /// From the cluster's registry, and where that has no such image from the default one.
    async fn pull_ours(&self, reference: &Reference) -> Result<wasmk_images::Digest, PullError> {
        let pulled = pull_from(&self.store, Registry::Cluster(&self.registry), reference, &Blobs::silent()).await;
        let Err(missing @ PullError::NotFound(..)) = pulled else { return pulled };
        let registries = self.registries.clone();
        let default = tokio::task::spawn_blocking(move || registries.default_registry().ok().flatten()).await;
        match default.ok().flatten() {
            Some(host) => self.pull_outside(reference, &host, Vec::new()).await,
            None => Err(missing),
        }
    }

    /// With the logins of the pod, and then with the node's own.
    async fn pull_outside(
        &self,
        reference: &Reference,
        host: &str,
        mut logins: Vec<Login>,
    ) -> Result<wasmk_images::Digest, PullError> {
        let (registries, key) = (self.registries.clone(), registry_key(host));
        let own = tokio::task::spawn_blocking(move || registries.login(&key)).await;
        match own {
            Ok(Ok(own)) => logins.extend(own),
            Ok(Err(error)) => tracing::warn!(error = chain(&error), "logins at registries"),
            Err(_) => {}
        }
        let outside = Registry::Outside(&self.registries, &logins);
        pull_from(&self.store, outside, reference, &Blobs::silent()).await
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
            None => self.pull_ours(&reference).await,
            Some(host) => {
                let own = credentials.iter().filter(|one| registry_key(&one.registry) == registry_key(host));
                let own = own.map(|one| Login { username: one.username.clone(), password: one.password.clone() });
                self.pull_outside(&reference, host, own.collect()).await
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
        // The client of the API takes bodies as a whole; what is larger than a chunk comes in several.
        let body = axum::body::to_bytes(body, CHUNK_BYTES_MAX).await;
        let body = body.map_err(|error| TransportError(chain(&error)))?;
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
        wasm_digest: unpacked.wasm_digest,
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
        PullError::NotFound(..) => ImageError::NotFound(text),
        PullError::Unauthorized(..) => ImageError::Unauthorized(text),
        PullError::Unreachable(..) => ImageError::Unreachable(text),
        PullError::Refused(..) | PullError::Broken(..) | PullError::NoWasm(_) => ImageError::Broken(text),
    }
}

fn broken(error: &UnpackError) -> ImageError {
    ImageError::Broken(chain(error))
}

/// An error with its causes, as far as they say something new.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
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
