use std::fs;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use serde::Deserialize;

use crate::manifest::{Format, MANIFEST_BYTES_MAX, Manifest};
use crate::store::{ImageStore, StoreError, io_error};
use crate::{Digest, InvalidManifest};

/// An image that can be run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnpackedImage {
    /// Of its manifest.
    pub digest: Digest,
    pub wasm: PathBuf,
    /// Of the wasm file: what native code is kept by.
    pub wasm_digest: String,
    /// The files that come with it.
    pub rootfs: Option<PathBuf>,
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    pub env: Vec<(String, String)>,
    pub working_dir: Option<String>,
    pub size_bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the image's configuration is not valid: {0}")]
    Config(#[source] serde_json::Error),
    #[error("the image is an index, not an image")]
    Index,
    #[error("the image has no ENTRYPOINT or CMD that names its wasm file")]
    NoEntrypoint,
    #[error("the image has no file {0}, which its entrypoint names")]
    NoWasm(String),
    #[error("the layer's compression {0} is not supported: use tar or tar+gzip")]
    Compression(String),
    #[error("the layer has an entry that may not be unpacked: {0}")]
    Entry(String),
    #[error("the layers unpack to more than {0} bytes")]
    TooLarge(u64),
}

/// All layers of an image together, unpacked: a small tar can hold a great many zeros.
const ROOTFS_BYTES_MAX: u64 = 4 << 30;
const ENTRIES_MAX: usize = 200_000;

#[derive(Deserialize, Default)]
#[serde(default)]
struct ImageConfig {
    config: RunConfig,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RunConfig {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    env: Option<Vec<String>>,
    working_dir: Option<String>,
}

impl ImageStore {
    /// Makes an image of the store ready to run. Verifies what it uses. Blocks on the disk.
    pub fn unpack(&self, digest: &Digest) -> Result<UnpackedImage, UnpackError> {
        let (manifest, _) = self.manifest(digest)?;
        let size_bytes = manifest.descriptors().map(|one| one.size).sum();
        match manifest.format() {
            Format::Index => Err(UnpackError::Index),
            Format::Artifact(layer) => {
                let wasm_digest = layer.digest().map_err(|error| StoreError::from(InvalidManifest::from(error)))?;
                self.verify_blob(&wasm_digest)?;
                Ok(UnpackedImage {
                    digest: digest.clone(),
                    wasm: self.blob_path(&wasm_digest),
                    wasm_digest: wasm_digest.to_string(),
                    rootfs: None,
                    entrypoint: Vec::new(),
                    cmd: Vec::new(),
                    env: Vec::new(),
                    working_dir: None,
                    size_bytes,
                })
            }
            Format::FileSystem => self.unpack_file_system(digest, &manifest, size_bytes),
        }
    }

    fn unpack_file_system(
        &self,
        digest: &Digest,
        manifest: &Manifest,
        size_bytes: u64,
    ) -> Result<UnpackedImage, UnpackError> {
        let config = self.config(manifest)?;
        let rootfs = self.rootfs_path(digest);
        if !rootfs.is_dir() {
            self.unpack_layers(manifest, &rootfs)?;
        }
        let entrypoint = config.entrypoint.unwrap_or_default();
        let cmd = config.cmd.unwrap_or_default();
        let named = entrypoint.first().or(cmd.first()).ok_or(UnpackError::NoEntrypoint)?;
        let inside = inner_path(named).ok_or_else(|| UnpackError::NoWasm(named.clone()))?;
        let wasm = rootfs.join(&inside);
        let content = fs::File::open(&wasm).map_err(|_| UnpackError::NoWasm(named.clone()))?;
        let wasm_digest = digest_of(content).map_err(io_error("read", &wasm))?;
        let pairs = config.env.unwrap_or_default();
        let env = pairs
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Ok(UnpackedImage {
            digest: digest.clone(),
            wasm,
            wasm_digest: wasm_digest.to_string(),
            rootfs: Some(rootfs),
            entrypoint,
            cmd,
            env,
            working_dir: config.working_dir.filter(|dir| !dir.is_empty()),
            size_bytes,
        })
    }

    fn config(&self, manifest: &Manifest) -> Result<RunConfig, UnpackError> {
        let Some(descriptor) = &manifest.config else { return Ok(RunConfig::default()) };
        let digest = descriptor.digest().map_err(|error| StoreError::from(InvalidManifest::from(error)))?;
        let bytes = self.read_blob(&digest, MANIFEST_BYTES_MAX)?;
        Ok(serde_json::from_slice::<ImageConfig>(&bytes).map_err(UnpackError::Config)?.config)
    }

    /// Unpacks beside the target and renames, so that the target is only ever whole.
    fn unpack_layers(&self, manifest: &Manifest, target: &Path) -> Result<(), UnpackError> {
        let parent = target.parent().expect("paths of the store have a directory");
        let making = tempfile::tempdir_in(parent).map_err(io_error("make a directory below", parent))?;
        let mut budget = Budget { bytes: ROOTFS_BYTES_MAX, entries: ENTRIES_MAX };
        for layer in &manifest.layers {
            let digest = layer.digest().map_err(|error| StoreError::from(InvalidManifest::from(error)))?;
            self.verify_blob(&digest)?;
            let path = self.blob_path(&digest);
            let file = BufReader::new(fs::File::open(&path).map_err(io_error("read", &path))?);
            match layer.media_type.as_str() {
                kind if kind.ends_with("gzip") => unpack_tar(GzDecoder::new(file), making.path(), &mut budget)?,
                kind if kind.ends_with(".tar") || kind.ends_with("+tar") => {
                    unpack_tar(file, making.path(), &mut budget)?
                }
                kind => return Err(UnpackError::Compression(kind.to_owned())),
            }
        }
        match fs::rename(making.keep(), target) {
            Ok(()) => Ok(()),
            // Another process was faster; its result is the same.
            Err(_) if target.is_dir() => Ok(()),
            Err(source) => Err(io_error("write", target)(source).into()),
        }
    }
}

struct Budget {
    bytes: u64,
    entries: usize,
}

/// Regular files, directories and white-outs only: no links, no devices, nothing outside of `root`.
fn unpack_tar(layer: impl Read, root: &Path, budget: &mut Budget) -> Result<(), UnpackError> {
    let mut archive = tar::Archive::new(layer);
    let broken = |error: io::Error| UnpackError::Entry(format!("the archive is damaged: {error}"));
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.to_string_lossy().into_owned();
        let Some(inside) = inner_path(&name) else {
            return Err(UnpackError::Entry(format!("{name} leads out of the image")));
        };
        budget.entries = budget
            .entries
            .checked_sub(1)
            .ok_or_else(|| UnpackError::Entry(format!("there are more than {ENTRIES_MAX}")))?;
        budget.bytes = budget.bytes.checked_sub(entry.size()).ok_or(UnpackError::TooLarge(ROOTFS_BYTES_MAX))?;
        let path = root.join(&inside);
        match entry.header().entry_type() {
            tar::EntryType::Directory => fs::create_dir_all(&path).map_err(io_error("make", &path))?,
            tar::EntryType::Regular | tar::EntryType::Continuous => write_entry(&mut entry, &path, root)?,
            tar::EntryType::XGlobalHeader | tar::EntryType::XHeader => {}
            kind => {
                return Err(UnpackError::Entry(format!(
                    "{name} is a {kind:?}; wasm images hold files and directories"
                )));
            }
        }
    }
    Ok(())
}

fn write_entry(entry: &mut impl Read, path: &Path, root: &Path) -> Result<(), UnpackError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let parent = path.parent().unwrap_or(root);
    fs::create_dir_all(parent).map_err(io_error("make", parent))?;
    // White-outs of the OCI layer format: what a later layer deletes of an earlier one.
    if name == ".wh..wh..opq" {
        for sibling in fs::read_dir(parent).into_iter().flatten().flatten() {
            remove(&sibling.path());
        }
        return Ok(());
    }
    if let Some(deleted) = name.strip_prefix(".wh.") {
        remove(&parent.join(deleted));
        return Ok(());
    }
    let mut file = fs::File::create(path).map_err(io_error("write", path))?;
    io::copy(entry, &mut file).map_err(io_error("write", path))?;
    Ok(())
}

fn remove(path: &Path) {
    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

/// A path of an image relative to its root; `None` when it leads out of it.
fn inner_path(path: &str) -> Option<PathBuf> {
    let mut inside = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(part) => inside.push(part),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(inside)
}

fn digest_of(mut content: impl Read) -> io::Result<Digest> {
    use sha2::Digest as _;
    let mut hasher = sha2::Sha256::new();
    io::copy(&mut content, &mut hasher)?;
    Ok(Digest::from_hasher(hasher))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar_with(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in entries {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            // The builder's own checks would refuse the paths that are to be tried.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn unpack(entries: &[(&str, &[u8])], root: &Path) -> Result<(), UnpackError> {
        unpack_tar(tar_with(entries).as_slice(), root, &mut Budget { bytes: 100, entries: 10 })
    }

    #[test]
    fn entries_stay_inside_and_within_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        unpack(&[("a/b.txt", b"hi"), ("/c.txt", b"ho")], &root).unwrap();
        assert_eq!(fs::read(root.join("a/b.txt")).unwrap(), b"hi");
        assert!(root.join("c.txt").exists());
        assert!(matches!(unpack(&[("../evil", b"x")], &root), Err(UnpackError::Entry(_))));
        assert!(!dir.path().join("evil").exists());
        assert!(matches!(unpack(&[("big", &[0; 101])], &root), Err(UnpackError::TooLarge(_))));
    }

    #[test]
    fn white_outs_delete_what_earlier_layers_had() {
        let dir = tempfile::tempdir().unwrap();
        unpack(&[("a", b"1"), ("b", b"2")], dir.path()).unwrap();
        unpack(&[(".wh.a", b"")], dir.path()).unwrap();
        assert!(!dir.path().join("a").exists() && dir.path().join("b").exists());
    }
}
