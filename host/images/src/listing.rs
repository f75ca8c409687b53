//! What is in a store, for people.

use crate::config::{HistoryEntry, ImageConfig, RunConfig};
use crate::manifest::{Format, Manifest};
use crate::store::{ImageStore, StoreError};
use crate::{Digest, Reference, UnpackError};

/// An image of the store, once for each of its names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredImage {
    /// With the registry.
    pub repository: String,
    /// `None` when the name went to another image.
    pub tag: Option<String>,
    pub digest: Digest,
    /// RFC 3339; `None` when the image does not say.
    pub created: Option<String>,
    pub labels: Vec<(String, String)>,
    /// Of its manifest and blobs.
    pub size_bytes: u64,
}

/// All that an image says about itself.
#[derive(Clone, Debug)]
pub struct ImageDetails {
    pub digest: Digest,
    /// `NAME:TAG` of each of its names.
    pub tags: Vec<String>,
    /// `NAME@DIGEST` of each repository that has it.
    pub by_digest: Vec<String>,
    /// Whether it is one wasm file, rather than a file system with one.
    pub is_artifact: bool,
    pub created: Option<String>,
    pub author: Option<String>,
    pub architecture: String,
    pub os: String,
    pub config: RunConfig,
    pub layers: Vec<LayerDetails>,
    pub history: Vec<HistoryEntry>,
    pub size_bytes: u64,
}

#[derive(Clone, Debug)]
pub struct LayerDetails {
    pub digest: String,
    /// Before compression; that of the layer itself for a wasm file.
    pub diff_id: String,
    pub media_type: String,
    pub size_bytes: u64,
}

/// What builders write that are to make the same image each time.
const NO_TIME: [&str; 2] = ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z"];

impl ImageStore {
    /// Every image, those without a tag last in their repository. What cannot be read is left out.
    pub fn images(&self) -> Vec<StoredImage> {
        let mut images = Vec::new();
        for repository in self.repositories() {
            let mut tagged = Vec::new();
            for tag in self.tags(&repository) {
                let Some(digest) = self.resolve(&repository, &tag) else { continue };
                images.extend(self.stored(&repository, Some(tag), &digest));
                tagged.push(digest);
            }
            let untagged = self.manifests(&repository).into_iter().filter(|digest| !tagged.contains(digest));
            let untagged = untagged.filter(|digest| !self.is_part(&repository, digest));
            images.extend(untagged.filter_map(|digest| self.stored(&repository, None, &digest)));
        }
        images
    }

    /// The image that a name means; else the one whose digest begins so.
    pub fn find_any(&self, name: &str) -> Option<Digest> {
        if let Some(digest) = name.parse::<Reference>().ok().and_then(|reference| self.find(&reference)) {
            return Some(digest);
        }
        let wanted = name.strip_prefix("sha256:").unwrap_or(name);
        let is_prefix = wanted.len() >= 4 && wanted.chars().all(|one| one.is_ascii_hexdigit());
        let mut found: Vec<Digest> = Vec::new();
        for repository in self.repositories().iter().filter(|_| is_prefix) {
            found.extend(self.manifests(repository).into_iter().filter(|digest| digest.hex().starts_with(wanted)));
        }
        found.sort();
        found.dedup();
        // A beginning that several have means none of them.
        if found.len() == 1 { found.pop() } else { None }
    }

    /// Of an index: of the image in it that runs here.
    pub fn details(&self, digest: &Digest) -> Result<ImageDetails, UnpackError> {
        let (manifest, bytes) = self.manifest(digest)?;
        let (image, own_bytes) = match manifest.format() {
            Format::Index => {
                let entry = manifest.choose().ok_or(UnpackError::Index)?;
                self.manifest(&entry.digest().map_err(|error| StoreError::from(crate::InvalidManifest::from(error)))?)?
            }
            _ => (manifest, bytes),
        };
        let config = self.config(&image)?;
        let (tags, by_digest) = self.names(digest);
        Ok(ImageDetails {
            digest: digest.clone(),
            tags,
            by_digest,
            is_artifact: matches!(image.format(), Format::Artifact(_)),
            layers: layers(&image, &config),
            size_bytes: size(&image, &own_bytes),
            created: created(&config),
            author: config.author,
            architecture: config.architecture,
            os: config.os,
            config: config.config,
            history: config.history,
        })
    }

    /// The tags of an image, and its repositories with its digest.
    pub fn names(&self, digest: &Digest) -> (Vec<String>, Vec<String>) {
        let (mut tags, mut by_digest) = (Vec::new(), Vec::new());
        for repository in self.repositories() {
            let own = self.tags(&repository);
            let own = own.into_iter().filter(|tag| self.resolve(&repository, tag).as_ref() == Some(digest));
            tags.extend(own.map(|tag| format!("{repository}:{tag}")));
            if self.resolve(&repository, digest.as_str()).is_some() {
                by_digest.push(format!("{repository}@{digest}"));
            }
        }
        (tags, by_digest)
    }

    fn stored(&self, repository: &str, tag: Option<String>, digest: &Digest) -> Option<StoredImage> {
        let details = self.details(digest).ok()?;
        Some(StoredImage {
            repository: repository.to_owned(),
            tag,
            digest: digest.clone(),
            created: details.created,
            labels: details.config.labels.into_iter().collect(),
            size_bytes: details.size_bytes,
        })
    }

    /// Whether a manifest without a tag belongs to another that has one: as an image of an index, or as a referrer.
    fn is_part(&self, repository: &str, digest: &Digest) -> bool {
        let is_subject = self.manifest(digest).is_ok_and(|(manifest, _)| manifest.subject.is_some());
        let lists = |tag: &String| {
            let top = self.resolve(repository, tag).and_then(|top| self.manifest(&top).ok());
            top.is_some_and(|(top, _)| top.manifests.iter().any(|entry| entry.digest == digest.as_str()))
        };
        is_subject || self.tags(repository).iter().any(lists)
    }
}

fn layers(image: &Manifest, config: &ImageConfig) -> Vec<LayerDetails> {
    let with_diffs = image.layers.iter().enumerate();
    with_diffs
        .map(|(index, layer)| LayerDetails {
            digest: layer.digest.clone(),
            diff_id: config.rootfs.diff_ids.get(index).unwrap_or(&layer.digest).clone(),
            media_type: layer.media_type.clone(),
            size_bytes: layer.size,
        })
        .collect()
}

fn size(image: &Manifest, own_bytes: &[u8]) -> u64 {
    own_bytes.len() as u64 + image.blobs().map(|blob| blob.size).sum::<u64>()
}

fn created(config: &ImageConfig) -> Option<String> {
    config.created.clone().filter(|created| !NO_TIME.contains(&created.as_str()))
}
