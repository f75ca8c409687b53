//! Docker-style images: how one is stored, and read to be built on.

use std::path::PathBuf;

use serde_json::json;

use crate::config::{ImageConfig, RootFs};
use crate::manifest::{Format, OCI_MANIFEST, to_bytes};
use crate::store::{ImageStore, StoreError};
use crate::{Digest, InvalidManifest, Reference, UnpackError};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const GZIP_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// An image of files: what to store, or what is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSystemImage {
    pub config: ImageConfig,
    pub layers: Vec<ImageLayer>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageLayer {
    /// `sha256:…` of the tar without compression.
    pub diff_id: String,
    pub source: LayerSource,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerSource {
    /// A tar with gzip, anywhere on this machine.
    File(PathBuf),
    /// A blob of the store.
    Blob { media_type: String, digest: String, size: u64 },
}

/// Stores an image of files under a name. The same files, configuration and times give the same digest, which is answered.
pub fn store_file_system(
    store: &ImageStore,
    reference: &Reference,
    image: &FileSystemImage,
) -> Result<Digest, StoreError> {
    let mut layers = Vec::new();
    for layer in &image.layers {
        layers.push(match &layer.source {
            LayerSource::File(path) => {
                let (digest, size) = store.import_file(path)?;
                json!({"mediaType": GZIP_LAYER, "digest": digest.as_str(), "size": size})
            }
            LayerSource::Blob { media_type, digest, size } => {
                json!({"mediaType": media_type, "digest": digest, "size": size})
            }
        });
    }
    let diff_ids = image.layers.iter().map(|layer| layer.diff_id.clone()).collect();
    let config = ImageConfig { rootfs: RootFs::of_layers(diff_ids), ..image.config.clone() };
    let config = to_bytes(&serde_json::to_value(&config).expect("strings always encode"));
    let digest = store.put_blob(&config)?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest.as_str(), "size": config.len()},
        "layers": layers,
    });
    store.put_manifest(&reference.full_repository(), reference.tag.as_deref(), &to_bytes(&manifest))
}

impl ImageStore {
    /// The configuration and the layers of an image of files that is here.
    pub fn file_system(&self, digest: &Digest) -> Result<FileSystemImage, UnpackError> {
        let (manifest, _) = self.manifest(digest)?;
        let config = self.config(&manifest)?;
        let diff_id = |index: usize| config.rootfs.diff_ids.get(index).cloned().unwrap_or_default();
        let layers = manifest.layers.iter().enumerate().map(|(index, layer)| ImageLayer {
            diff_id: diff_id(index),
            source: LayerSource::Blob {
                media_type: layer.media_type.clone(),
                digest: layer.digest.clone(),
                size: layer.size,
            },
        });
        let layers = layers.collect();
        Ok(FileSystemImage { config, layers })
    }

    /// The wasm file of an image that is nothing else, verified.
    pub fn module(&self, digest: &Digest) -> Result<Option<PathBuf>, UnpackError> {
        let (manifest, _) = self.manifest(digest)?;
        let Format::Artifact(layer) = manifest.format() else { return Ok(None) };
        let digest = layer.digest().map_err(|error| StoreError::from(InvalidManifest::from(error)))?;
        self.verify_blob(&digest)?;
        Ok(Some(self.blob_path(&digest)))
    }
}
