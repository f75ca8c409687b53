use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use dashmap::DashMap;
use http::{Request, Response};
use wasmk_agent::{Credential, Image, ImageError, ImageSummary, Images};
use wasmk_images::{
    Blobs, Body, CHUNK_BYTES_MAX, DiskSpace, ImageStore, InvalidReference, LayerError, Login, OpenStoreError,
    PullError, Reference, Registries, Registry, StoreError, Transport, TransportError, UnpackError, UnpackedImage,
    disk_space, pull_from, registry_key,
};
use wasmk_runtime::Runtime;

use crate::NodeConfig;

/// The images of this node, filled from the cluster's registry or from outside.
pub(crate) struct NodeImages {
    store: Arc<ImageStore>,
    registry: KubeTransport,
    registries: Registries,
    dir: PathBuf,
    has_registry: bool,
    /// Images that were unpacked and verified since the start: hashing a file for each start of a container adds up.
    verified: DashMap<wasmk_images::Digest, Image>,
}

/// How long something without a name is left alone: a push sends its blobs before the manifest.
const GARBAGE_GRACE: Duration = Duration::from_secs(3600);

/// Images that nobody used for so long are pulled again when they are needed.
const IMAGE_AGE: Duration = Duration::from_secs(14 * 24 * 3600);

/// Native code that nobody used for so long is compiled again; that of older builds goes so.
const NATIVE_CODE_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Images remembered as verified; past it they are verified anew.
const VERIFIED_MAX: usize = 4096;

/// The registry of a cluster, behind its API: the same address, the same certificates.
#[derive(Clone)]
pub struct KubeTransport(pub kube::Client);

impl NodeImages {
    pub(crate) fn open(config: &NodeConfig, client: kube::Client) -> Result<Self, OpenStoreError> {
        Ok(Self {
            store: Arc::new(ImageStore::open(&config.image_dir)?),
            registry: KubeTransport(client),
            registries: config.registries.clone(),
            dir: config.image_dir.clone(),
            has_registry: config.has_registry,
            verified: DashMap::new(),
        })
    }

    /// Removes what no name leads to, what nobody used for long, and on a full disk what is used least: native code first,
    /// which can be made again, then images, which can be pulled again. Nothing goes that a container runs.
    pub(crate) async fn tidy(&self, runtime: &Arc<Runtime>) {
        // What is only remembered here is not in use.
        self.verified.retain(|_, image| Arc::strong_count(&image.held) > 1);
        let (store, runtime, dir, has_registry) =
            (self.store.clone(), runtime.clone(), self.dir.clone(), self.has_registry);
        let used: HashSet<wasmk_images::Digest> = self.verified.iter().map(|entry| entry.key().clone()).collect();
        let swept = tokio::task::spawn_blocking(move || sweep(&store, &runtime, &dir, has_registry, &used)).await;
        match swept {
            Ok(Ok(bytes)) => tracing::info!(bytes, "collected garbage of images"),
            Ok(Err(error)) => tracing::warn!(error = chain(&error), "collect garbage of images"),
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
    async fn unpacked(&self, digest: wasmk_images::Digest) -> Result<Image, Unusable> {
        let known = self.verified.get(&digest).map(|known| known.clone());
        if let Some(known) = known.filter(|known| known.wasm.exists()) {
            return Ok(known);
        }
        let (store, wanted) = (self.store.clone(), digest.clone());
        let unpacked = tokio::task::spawn_blocking(move || store.unpack(&wanted)).await;
        let image = image(unpacked.map_err(|error| Unusable::Broken(error.to_string()))?.map_err(unusable)?);
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
        let reference = parse(reference)?;
        let Some(digest) = self.store.find(&reference) else { return Ok(None) };
        self.store.touch(&reference, &digest);
        match self.unpacked(digest).await {
            Ok(image) => Ok(Some(image)),
            // As if it were not here: it is pulled again.
            Err(Unusable::Damaged(why)) => {
                tracing::warn!(image = %reference, why, "the image on this node is damaged");
                Ok(None)
            }
            Err(other) => Err(other.into()),
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
        let digest = pulled.map_err(pull_error)?;
        self.store.touch(&reference, &digest);
        Ok(self.unpacked(digest).await?)
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
        held: Arc::default(),
    }
}

fn pull_error(error: PullError) -> ImageError {
    let text = chain(&error);
    match error {
        PullError::NotFound(..) => ImageError::NotFound(text),
        PullError::Unauthorized(..) => ImageError::Unauthorized(text),
        PullError::Unreachable(..) => ImageError::Unreachable(text),
        PullError::Broken(..) => ImageError::NotKept(text),
        PullError::Refused(..) | PullError::NoWasm(_) => ImageError::Broken(text),
    }
}

/// Why an image of the store cannot be run.
enum Unusable {
    /// Its blobs are not what they were, or gone; what was wrong has been removed.
    Damaged(String),
    Disk(String),
    Broken(String),
}

fn unusable(error: UnpackError) -> Unusable {
    let text = chain(&error);
    match error {
        UnpackError::Store(StoreError::BlobUnknown(_) | StoreError::DigestMismatch { .. }) => Unusable::Damaged(text),
        UnpackError::Store(StoreError::Io { .. }) | UnpackError::Layer(LayerError::Io(_)) => Unusable::Disk(text),
        _ => Unusable::Broken(text),
    }
}

impl From<Unusable> for ImageError {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Damaged(text) | Unusable::Disk(text) => Self::NotKept(text),
            Unusable::Broken(text) => Self::Broken(text),
        }
    }
}

/// Answers how many bytes went.
fn sweep(
    store: &ImageStore,
    runtime: &Runtime,
    dir: &Path,
    has_registry: bool,
    used: &HashSet<wasmk_images::Digest>,
) -> Result<u64, StoreError> {
    let now = SystemTime::now();
    let mut freed = store.collect_garbage(|digest| used.contains(digest), now, GARBAGE_GRACE)?.bytes;
    freed += runtime.collect_native_code(NATIVE_CODE_AGE).unwrap_or_default();
    let mut to_free = disk_space(dir).map_or(0, DiskSpace::bytes_to_free);
    if to_free > 0 {
        let code = runtime.collect_native_code(Duration::ZERO).unwrap_or_default();
        (freed, to_free) = (freed + code, to_free.saturating_sub(code));
    }
    let stays = |repository: &str, digest: &wasmk_images::Digest| {
        used.contains(digest) || (has_registry && names_no_registry(repository))
    };
    let evicted = store.evict(stays, now, IMAGE_AGE, to_free)?;
    if evicted.bytes < to_free {
        let missing = to_free - evicted.bytes;
        tracing::warn!(dir = %dir.display(), missing, "the disk is full, and not of images that are not in use");
    }
    Ok(freed + evicted.bytes)
}

fn names_no_registry(repository: &str) -> bool {
    repository.parse::<Reference>().is_ok_and(|name| name.registry.is_none())
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
