mod layers;

use std::fs;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::manifest::{Format, MANIFEST_BYTES_MAX, Manifest};
use crate::store::{ImageStore, StoreError, io_error};
use crate::{Digest, InvalidManifest};
use layers::{Unpacker, inside};

pub use layers::LayerError;

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
    #[error(transparent)]
    Layer(#[from] LayerError),
    #[error("the image's {0} does not begin as a wasm binary does; is it an image of another platform?")]
    NotWasm(String),
}

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
                check_magic(&self.blob_path(&wasm_digest), "layer")?;
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
        let missing = || UnpackError::NoWasm(named.clone());
        let path = module_path(named, config.working_dir.as_deref()).ok_or_else(missing)?;
        // The entry point may be a link; it must still end inside.
        let root = fs::canonicalize(&rootfs).map_err(io_error("read", &rootfs))?;
        let wasm = fs::canonicalize(root.join(path)).ok().filter(|path| path.starts_with(&root) && path.is_file());
        let wasm = wasm.ok_or_else(missing)?;
        check_magic(&wasm, named)?;
        let content = fs::File::open(&wasm).map_err(io_error("read", &wasm))?;
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
        let mut unpacker = Unpacker::new(making.path());
        for layer in &manifest.layers {
            let digest = layer.digest().map_err(|error| StoreError::from(InvalidManifest::from(error)))?;
            self.verify_blob(&digest)?;
            let path = self.blob_path(&digest);
            let file = BufReader::new(fs::File::open(&path).map_err(io_error("read", &path))?);
            match layer.media_type.as_str() {
                kind if kind.ends_with("gzip") => unpacker.unpack(file, true)?,
                kind if kind.ends_with(".tar") || kind.ends_with("+tar") => unpacker.unpack(file, false)?,
                kind => return Err(UnpackError::Compression(kind.to_owned())),
            }
        }
        // Once renamed, there is nothing left for the temporary directory to remove.
        match fs::rename(making.path(), target) {
            Ok(()) => Ok(()),
            // Another process was faster; its result is the same.
            Err(_) if target.is_dir() => Ok(()),
            Err(source) => Err(io_error("write", target)(source).into()),
        }
    }
}

/// Relative to the working directory, unless absolute.
fn module_path(program: &str, working_dir: Option<&str>) -> Option<PathBuf> {
    match working_dir {
        Some(dir) if !program.starts_with('/') => Some(inside(dir)?.join(inside(program)?)),
        _ => inside(program),
    }
}

fn check_magic(wasm: &Path, what: &str) -> Result<(), UnpackError> {
    let mut magic = [0; 4];
    let read = fs::File::open(wasm).and_then(|mut file| file.read_exact(&mut magic));
    if read.is_ok() && magic == *b"\0asm" { Ok(()) } else { Err(UnpackError::NotWasm(what.to_owned())) }
}

fn digest_of(mut content: impl Read) -> io::Result<Digest> {
    use sha2::Digest as _;
    let mut hasher = sha2::Sha256::new();
    io::copy(&mut content, &mut hasher)?;
    Ok(Digest::from_hasher(hasher))
}
