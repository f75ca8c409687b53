use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::{BLOBS, DOCKER_LIST, INDEX, NAME, REF_NAME};
use crate::manifest::{Format, Manifest, OCI_INDEX};
use crate::store::{ImageStore, StoreError, io_error};
use crate::{Digest, InvalidManifest, Reference};

#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("write the archive")]
    Write(#[from] io::Error),
}

/// Writes images as an OCI layout in a tar; the same images give the same bytes. `docker load` reads those that are file
/// systems. Each blob is verified. Blocks.
pub fn save(store: &ImageStore, images: &[(Option<Reference>, Digest)], out: impl Write) -> Result<(), SaveError> {
    let mut tar = tar::Builder::new(out);
    append(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    let mut written = BTreeSet::new();
    let (mut entries, mut docker) = (Vec::new(), Vec::new());
    for (name, digest) in images {
        let (manifest, bytes) = store.manifest(digest)?;
        append_image(store, &mut tar, digest, &manifest, &mut written)?;
        let mut entry = json!({"mediaType": manifest.media_type(), "digest": digest.as_str(), "size": bytes.len()});
        if let Some(name) = name {
            entry["annotations"] = annotations(name);
        }
        entries.push(entry);
        docker.extend(docker_entry(name.as_ref(), &manifest));
    }
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries});
    append(&mut tar, INDEX, index.to_string().as_bytes())?;
    if !docker.is_empty() {
        append(&mut tar, DOCKER_LIST, Value::from(docker).to_string().as_bytes())?;
    }
    tar.into_inner()?.flush()?;
    Ok(())
}

/// A manifest with everything that it leads to.
fn append_image<W: Write>(
    store: &ImageStore,
    tar: &mut tar::Builder<W>,
    digest: &Digest,
    manifest: &Manifest,
    written: &mut BTreeSet<Digest>,
) -> Result<(), SaveError> {
    for blob in manifest.blobs() {
        append_blob(store, tar, &blob.digest().map_err(broken)?, written)?;
    }
    for entry in &manifest.manifests {
        let digest = entry.digest().map_err(broken)?;
        let (child, _) = store.manifest(&digest)?;
        append_image(store, tar, &digest, &child, written)?;
    }
    append_blob(store, tar, digest, written)
}

fn append_blob<W: Write>(
    store: &ImageStore,
    tar: &mut tar::Builder<W>,
    digest: &Digest,
    written: &mut BTreeSet<Digest>,
) -> Result<(), SaveError> {
    if !written.insert(digest.clone()) {
        return Ok(());
    }
    store.verify_blob(digest)?;
    let path = store.blob_path(digest);
    let file = File::open(&path).map_err(io_error("read", &path))?;
    let size = file.metadata().map_err(io_error("read", &path))?.len();
    tar.append_data(&mut header(size), format!("{BLOBS}{}", digest.hex()), file)?;
    Ok(())
}

fn append<W: Write>(tar: &mut tar::Builder<W>, name: &str, content: &[u8]) -> io::Result<()> {
    tar.append_data(&mut header(content.len() as u64), name, content)
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header
}

fn annotations(name: &Reference) -> Value {
    let tag = name.tag.as_deref().unwrap_or_default();
    json!({NAME: name.to_string(), REF_NAME: tag})
}

/// What `docker load` goes by; it knows no artifacts.
fn docker_entry(name: Option<&Reference>, manifest: &Manifest) -> Option<Value> {
    let Format::FileSystem = manifest.format() else { return None };
    let path = |digest: &str| format!("{BLOBS}{}", digest.trim_start_matches("sha256:"));
    let layers: Vec<String> = manifest.layers.iter().map(|layer| path(&layer.digest)).collect();
    let tags: Vec<String> = name.into_iter().map(Reference::to_string).collect();
    Some(json!({"Config": path(&manifest.config.as_ref()?.digest), "RepoTags": tags, "Layers": layers}))
}

fn broken(error: crate::InvalidDigest) -> SaveError {
    StoreError::from(InvalidManifest::from(error)).into()
}
