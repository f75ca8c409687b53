use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead, Read};

use serde::Deserialize;
use serde_json::json;
use tar::EntryType;

use super::{BLOBS, DOCKER_LIST, INDEX, NAME, REF_NAME};
use crate::manifest::{BLOB_BYTES_MAX, Format, MANIFEST_BYTES_MAX, Manifest, OCI_MANIFEST};
use crate::store::{ImageStore, StoreError};
use crate::unpack::Compression;
use crate::{Digest, InvalidManifest, InvalidReference, Reference};

/// Images have some dozens.
const ENTRIES_MAX: usize = 100_000;
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("read the archive: {0}")]
    Read(#[from] io::Error),
    #[error("this is no archive of images: it has neither {INDEX} nor {DOCKER_LIST}")]
    NoImages,
    #[error("the archive's {file}: {why}")]
    Invalid { file: String, why: String },
    #[error("the archive has more than {ENTRIES_MAX} entries")]
    TooMany,
    #[error("the archive does not have {0}, which it lists")]
    Missing(String),
    #[error("the archive does not say what image {0} is called: say it by --name NAME")]
    NoName(Digest),
    #[error("the archive names an image wrongly")]
    Name(#[from] InvalidReference),
    #[error("the archive's image {0} has no part for wasm")]
    NoWasm(Digest),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An image that was in an archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loaded {
    pub name: Reference,
    pub digest: Digest,
}

/// What an archive had, besides blobs that are in the store by now.
#[derive(Default)]
struct Contents {
    /// Small files, by their paths.
    texts: BTreeMap<String, Vec<u8>>,
    /// Blobs that are not called by their digests, by their paths.
    files: HashMap<String, Digest>,
    /// Links to those.
    links: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<IndexEntry>,
}

#[derive(Deserialize)]
struct IndexEntry {
    digest: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerEntry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Reads the images of an archive into the store: an OCI layout, or what `docker save` writes, plain or compressed. `name`
/// is what an image is called that has no name there. Streams; blocks.
pub fn load(store: &ImageStore, archive: impl BufRead, name: Option<&Reference>) -> Result<Vec<Loaded>, LoadError> {
    let contents = read(store, archive)?;
    if let Some(text) = contents.texts.get(INDEX) {
        return from_index(store, &parse(INDEX, text)?, name);
    }
    let list = contents.texts.get(DOCKER_LIST).ok_or(LoadError::NoImages)?;
    from_docker(store, &contents, &parse::<Vec<DockerEntry>>(DOCKER_LIST, list)?, name)
}

fn read(store: &ImageStore, mut archive: impl BufRead) -> Result<Contents, LoadError> {
    let compression = Compression::guess(archive.fill_buf()?);
    let mut tar = tar::Archive::new(compression.reader(archive));
    let mut contents = Contents::default();
    // Raw entries: the tar crate would read a name of any length into memory, and all names here are short.
    for (count, entry) in tar.entries()?.raw(true).enumerate() {
        if count >= ENTRIES_MAX {
            return Err(LoadError::TooMany);
        }
        let mut entry = entry?;
        let path = String::from_utf8_lossy(&entry.header().path_bytes()).trim_start_matches("./").to_owned();
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => contents.take(store, path, &mut entry)?,
            EntryType::Symlink | EntryType::Link => {
                let target = entry.header().link_name_bytes().unwrap_or_default();
                let target = String::from_utf8_lossy(&target).trim_start_matches("../").to_owned();
                contents.links.insert(path, target);
            }
            _ => {}
        }
    }
    Ok(contents)
}

impl Contents {
    fn take(&mut self, store: &ImageStore, path: String, entry: &mut impl Read) -> Result<(), LoadError> {
        if let Some(hex) = path.strip_prefix(BLOBS) {
            let invalid =
                |error: crate::InvalidDigest| LoadError::Invalid { file: path.clone(), why: error.to_string() };
            let digest: Digest = format!("sha256:{hex}").parse().map_err(invalid)?;
            if store.claim_blob(&digest).is_none() {
                store.put_stream(entry, BLOB_BYTES_MAX, Some(&digest))?;
            }
        } else if path.ends_with("layer.tar") {
            let digest = store.put_stream(entry, BLOB_BYTES_MAX, None)?;
            self.files.insert(path, digest);
        } else if path.ends_with(".json") {
            let mut text = Vec::new();
            entry.take(MANIFEST_BYTES_MAX as u64 + 1).read_to_end(&mut text)?;
            if text.len() > MANIFEST_BYTES_MAX {
                return Err(LoadError::Invalid { file: path, why: format!("more than {MANIFEST_BYTES_MAX} bytes") });
            }
            self.texts.insert(path, text);
        }
        Ok(())
    }

    /// The blob that a path of Docker's list means.
    fn find(&self, store: &ImageStore, path: &str) -> Result<Digest, LoadError> {
        let missing = || LoadError::Missing(path.to_owned());
        if let Some(hex) = path.strip_prefix(BLOBS) {
            return format!("sha256:{hex}").parse().map_err(|_| missing());
        }
        if let Some(text) = self.texts.get(path) {
            return Ok(store.put_blob(text)?);
        }
        let target = self.links.get(path).map_or(path, String::as_str);
        self.files.get(target).cloned().ok_or_else(missing)
    }
}

fn from_index(store: &ImageStore, index: &Index, name: Option<&Reference>) -> Result<Vec<Loaded>, LoadError> {
    let mut loaded = Vec::new();
    for entry in &index.manifests {
        let digest: Digest = entry
            .digest
            .parse()
            .map_err(|error: crate::InvalidDigest| LoadError::Invalid { file: INDEX.into(), why: error.to_string() })?;
        let (manifest, bytes) = present(store, &digest)?;
        let (image, bytes) = match manifest.format() {
            Format::Index => {
                let chosen = manifest.choose().ok_or_else(|| LoadError::NoWasm(digest.clone()))?;
                let chosen = chosen.digest().map_err(|error| StoreError::from(InvalidManifest::from(error)))?;
                (chosen.clone(), present(store, &chosen)?.1)
            }
            _ => (digest, bytes),
        };
        let called = match name_of(&entry.annotations)? {
            Some(known) => known,
            None => name.cloned().ok_or(LoadError::NoName(image))?,
        };
        loaded.push(keep(store, called, &bytes)?);
    }
    Ok(loaded)
}

fn from_docker(
    store: &ImageStore,
    contents: &Contents,
    entries: &[DockerEntry],
    name: Option<&Reference>,
) -> Result<Vec<Loaded>, LoadError> {
    let mut loaded = Vec::new();
    for entry in entries {
        let config = contents.find(store, &entry.config)?;
        let mut layers = Vec::new();
        for path in &entry.layers {
            let digest = contents.find(store, path)?;
            let suffix = match beginning(store, &digest).map(|bytes| Compression::guess(&bytes))? {
                Compression::None => "",
                Compression::Gzip => "+gzip",
                Compression::Zstd => "+zstd",
            };
            let size = store.blob_size(&digest).ok_or_else(|| LoadError::Missing(path.clone()))?;
            layers.push(json!({"mediaType": format!("{OCI_LAYER}{suffix}"), "digest": digest.as_str(), "size": size}));
        }
        let size = store.blob_size(&config).ok_or_else(|| LoadError::Missing(entry.config.clone()))?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": config.as_str(), "size": size},
            "layers": layers,
        });
        let bytes = serde_json::to_vec(&manifest).expect("JSON values always encode");
        let tags = entry.repo_tags.as_deref().unwrap_or_default();
        if tags.is_empty() {
            let called = name.cloned().ok_or_else(|| LoadError::NoName(Digest::of(&bytes)))?;
            loaded.push(keep(store, called, &bytes)?);
        }
        for tag in tags {
            loaded.push(keep(store, short(tag).parse()?, &bytes)?);
        }
    }
    Ok(loaded)
}

fn keep(store: &ImageStore, name: Reference, manifest: &[u8]) -> Result<Loaded, LoadError> {
    let digest = store.put_manifest(&name.full_repository(), name.tag.as_deref(), manifest)?;
    Ok(Loaded { name, digest })
}

fn present(store: &ImageStore, digest: &Digest) -> Result<(Manifest, Vec<u8>), LoadError> {
    match store.manifest(digest) {
        Err(StoreError::BlobUnknown(digest)) => Err(LoadError::Missing(format!("{BLOBS}{}", digest.hex()))),
        other => Ok(other?),
    }
}

fn beginning(store: &ImageStore, digest: &Digest) -> Result<Vec<u8>, LoadError> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(store.blob_path(digest)).map_err(|_| StoreError::BlobUnknown(digest.clone()))?;
    file.take(4).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A tag alone, which some tools write, is no name.
fn name_of(annotations: &BTreeMap<String, String>) -> Result<Option<Reference>, LoadError> {
    let full = annotations.get(NAME).or_else(|| annotations.get(REF_NAME).filter(|name| name.contains([':', '/'])));
    Ok(full.map(|name| short(name).parse()).transpose()?)
}

/// Docker writes the names that it was given without a registry with its own.
fn short(name: &str) -> &str {
    name.strip_prefix("docker.io/library/").unwrap_or(name)
}

fn parse<T: for<'de> Deserialize<'de>>(file: &str, text: &[u8]) -> Result<T, LoadError> {
    serde_json::from_slice(text).map_err(|error| LoadError::Invalid { file: file.to_owned(), why: error.to_string() })
}
