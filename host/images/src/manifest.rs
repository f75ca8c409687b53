//! What an image is made of. Formats: the OCI image specification 1.1, and the CNCF's wasm OCI artifact
//! (`tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact`).

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::store::{ImageStore, StoreError};
use crate::{Digest, Reference};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
const WASM_LAYERS: [&str; 2] = ["application/wasm", "application/vnd.wasm.content.layer.v1+wasm"];

/// Manifests are small; a larger one is refused.
pub(crate) const MANIFEST_BYTES_MAX: usize = 4 << 20;
const LAYERS_MAX: usize = 512;
/// Of one blob; larger ones are refused before the disk is full of them. The largest module seen, a Python interpreter
/// as a component, has 40 MB.
pub(crate) const BLOB_BYTES_MAX: u64 = 4 << 30;

/// A manifest, as far as wasmk reads it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    media_type: Option<String>,
    #[serde(default)]
    pub(crate) config: Option<Descriptor>,
    #[serde(default)]
    pub(crate) layers: Vec<Descriptor>,
    /// Of an index.
    #[serde(default)]
    pub(crate) manifests: Vec<Descriptor>,
    pub(crate) subject: Option<Descriptor>,
    artifact_type: Option<String>,
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    platform: Option<Platform>,
}

#[derive(Clone, Debug, Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

#[derive(Debug, thiserror::Error)]
pub enum InvalidManifest {
    #[error("the manifest is not valid JSON of its kind: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the manifest is larger than {MANIFEST_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the manifest has more than {LAYERS_MAX} layers")]
    TooManyLayers,
    #[error(transparent)]
    Digest(#[from] crate::InvalidDigest),
}

/// What kind of image a manifest describes.
pub(crate) enum Format<'a> {
    /// One wasm file.
    Artifact(&'a Descriptor),
    /// A file system.
    FileSystem,
    Index,
}

impl Manifest {
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidManifest> {
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(InvalidManifest::TooLarge);
        }
        let manifest: Self = serde_json::from_slice(bytes)?;
        if manifest.layers.len() + manifest.manifests.len() > LAYERS_MAX {
            return Err(InvalidManifest::TooManyLayers);
        }
        for descriptor in manifest.descriptors() {
            descriptor.digest()?;
        }
        Ok(manifest)
    }

    /// What to send as `Content-Type`.
    pub(crate) fn media_type(&self) -> &str {
        match &self.media_type {
            Some(media_type) => media_type,
            None if self.is_index() => OCI_INDEX,
            None => OCI_MANIFEST,
        }
    }

    pub(crate) fn artifact_type(&self) -> Option<&str> {
        self.artifact_type.as_deref().or_else(|| self.config.as_ref().map(|config| config.media_type.as_str()))
    }

    pub(crate) fn format(&self) -> Format<'_> {
        match self.layers.as_slice() {
            _ if self.is_index() => Format::Index,
            [one] if WASM_LAYERS.contains(&one.media_type.as_str()) => Format::Artifact(one),
            _ => Format::FileSystem,
        }
    }

    /// The entry of an index that runs here: a wasm platform, else the only one.
    pub(crate) fn choose(&self) -> Option<&Descriptor> {
        let is_wasm = |entry: &&Descriptor| {
            entry
                .platform
                .as_ref()
                .is_some_and(|platform| platform.architecture == "wasm" || platform.os.starts_with("wasi"))
        };
        self.manifests.iter().find(is_wasm).or_else(|| self.manifests.first().filter(|_| self.manifests.len() == 1))
    }

    /// The files of one image.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        self.config.iter().chain(&self.layers)
    }

    /// Everything that it points at, apart from its subject.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = &Descriptor> {
        self.config.iter().chain(&self.layers).chain(&self.manifests)
    }

    fn is_index(&self) -> bool {
        match self.media_type.as_deref() {
            Some(media_type) => media_type == OCI_INDEX || media_type == DOCKER_INDEX,
            None => !self.manifests.is_empty(),
        }
    }
}

impl Descriptor {
    pub(crate) fn digest(&self) -> Result<Digest, crate::InvalidDigest> {
        self.digest.parse()
    }
}

/// What a client says that it can read, best first.
pub(crate) fn accepted() -> String {
    [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX].join(", ")
}

/// Stores one wasm file as an artifact under a name. `created` is RFC 3339; the same file and time give the same digest.
/// `os` is `wasip1` or `wasip2`. Returns the manifest's digest.
pub fn store_module(
    store: &ImageStore,
    reference: &Reference,
    wasm: &Path,
    os: &str,
    created: &str,
) -> Result<Digest, StoreError> {
    let (layer, size) = store.import_file(wasm)?;
    let config = json!({"created": created, "architecture": "wasm", "os": os, "layerDigests": [layer.as_str()]});
    let config_bytes = to_bytes(&config);
    let config_digest = store.put_blob(&config_bytes)?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": WASM_CONFIG, "digest": config_digest.as_str(), "size": config_bytes.len()},
        "layers": [{"mediaType": WASM_LAYERS[0], "digest": layer.as_str(), "size": size}],
    });
    store.put_manifest(&reference.full_repository(), reference.tag.as_deref(), &to_bytes(&manifest))
}

pub(crate) fn to_bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("JSON values always encode")
}
