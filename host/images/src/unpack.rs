mod compression;
mod layers;

use std::fs;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::config::{ImageConfig, RunConfig};
use crate::manifest::{Format, MANIFEST_BYTES_MAX, Manifest};
use crate::store::{ImageStore, StoreError, io_error, write_atomically};
use crate::{Digest, InvalidManifest};
use layers::{Unpacker, inside};

pub(crate) use compression::Compression;
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
    /// TCP only, in order.
    pub exposed_ports: Vec<u16>,
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
    #[error("the layer's compression {0} is not supported: use tar, tar+gzip or tar+zstd")]
    Compression(String),
    #[error(transparent)]
    Layer(#[from] LayerError),
    #[error("the image's {0} does not begin as a wasm binary does; is it an image of another platform?")]
    NotWasm(String),
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
                    exposed_ports: Vec::new(),
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
        let config = self.config(manifest)?.config;
        let rootfs = self.rootfs_path(digest);
        let (wasm, wasm_digest) = match self.intact_program(digest, &config) {
            Some(found) => found,
            // Never unpacked, or damaged since: the layers are verified, what they once made is not.
            None => {
                fs::remove_dir_all(&rootfs).or_else(gone_is_well).map_err(io_error("remove", &rootfs))?;
                self.unpack_layers(manifest, &rootfs)?;
                let found = program(&rootfs, &config)?;
                self.remember_program(digest, &found.1)?;
                found
            }
        };
        let exposed_ports = tcp_ports(&config);
        let entrypoint = config.entrypoint.unwrap_or_default();
        let cmd = config.cmd.unwrap_or_default();
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
            exposed_ports,
            working_dir: config.working_dir.filter(|dir| !dir.is_empty()),
            size_bytes,
        })
    }

    /// The wasm file of an unpacked image, if it is still what it was.
    fn intact_program(&self, digest: &Digest, config: &RunConfig) -> Option<(PathBuf, Digest)> {
        let known = fs::read_to_string(self.program_mark(digest)).ok()?;
        program(&self.rootfs_path(digest), config).ok().filter(|(_, found)| found.as_str() == known)
    }

    fn remember_program(&self, digest: &Digest, wasm: &Digest) -> Result<(), StoreError> {
        write_atomically(&self.program_mark(digest), wasm.as_str().as_bytes())
    }

    /// The files of an image, whether it can be run or not: others may be built from it. Verifies what it unpacks.
    pub fn unpack_files(&self, digest: &Digest) -> Result<PathBuf, UnpackError> {
        let (manifest, _) = self.manifest(digest)?;
        let rootfs = self.rootfs_path(digest);
        if !rootfs.is_dir() {
            self.unpack_layers(&manifest, &rootfs)?;
        }
        Ok(rootfs)
    }

    /// What an image says about itself.
    pub(crate) fn config(&self, manifest: &Manifest) -> Result<ImageConfig, UnpackError> {
        let Some(descriptor) = &manifest.config else { return Ok(ImageConfig::default()) };
        let digest = descriptor.digest().map_err(|error| StoreError::from(InvalidManifest::from(error)))?;
        let bytes = self.read_blob(&digest, MANIFEST_BYTES_MAX)?;
        serde_json::from_slice(&bytes).map_err(UnpackError::Config)
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
            let compression = Compression::of(&layer.media_type);
            let compression = compression.ok_or_else(|| UnpackError::Compression(layer.media_type.clone()))?;
            unpacker.unpack(file, compression)?;
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

/// The file that the entry point names, and its digest.
fn program(rootfs: &Path, config: &RunConfig) -> Result<(PathBuf, Digest), UnpackError> {
    let words = [&config.entrypoint, &config.cmd].into_iter().flatten().flatten();
    let named = words.into_iter().next().ok_or(UnpackError::NoEntrypoint)?;
    let missing = || UnpackError::NoWasm(named.clone());
    let path = module_path(named, config.working_dir.as_deref()).ok_or_else(missing)?;
    // The entry point may be a link; it must still end inside.
    let root = fs::canonicalize(rootfs).map_err(io_error("read", rootfs))?;
    let wasm = fs::canonicalize(root.join(path)).ok().filter(|path| path.starts_with(&root) && path.is_file());
    let wasm = wasm.ok_or_else(missing)?;
    check_magic(&wasm, named)?;
    let content = fs::File::open(&wasm).map_err(io_error("read", &wasm))?;
    let digest = digest_of(content).map_err(io_error("read", &wasm))?;
    Ok((wasm, digest))
}

fn gone_is_well(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Of `8080/tcp`, `8080` and `53/udp`.
fn tcp_ports(config: &RunConfig) -> Vec<u16> {
    let tcp = |port: &String| port.strip_suffix("/tcp").unwrap_or(port).parse().ok();
    let mut ports: Vec<u16> = config.exposed_ports.keys().filter_map(tcp).collect();
    ports.sort_unstable();
    ports
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde_json::{Value, json};

    use super::*;

    fn gzipped_tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, name, *content).unwrap();
        }
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&builder.into_inner().unwrap()).unwrap();
        encoder.finish().unwrap()
    }

    /// Unpacks an image as a Docker build makes it.
    fn unpack(config: &Value, layers: &[&[(&str, &[u8])]]) -> (tempfile::TempDir, Result<UnpackedImage, UnpackError>) {
        let dir = tempfile::tempdir().unwrap();
        let store = ImageStore::open(dir.path()).unwrap();
        let blob = |media_type: &str, content: &[u8]| {
            let digest = store.put_blob(content).unwrap();
            json!({"mediaType": media_type, "digest": digest.as_str(), "size": content.len()})
        };
        let layer = |files: &&[(&str, &[u8])]| blob("application/vnd.oci.image.layer.v1.tar+gzip", &gzipped_tar(files));
        let config = blob("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
        let layers: Vec<Value> = layers.iter().map(layer).collect();
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers}).to_string();
        let digest = store.put_manifest("a", Some("v1"), manifest.as_bytes()).unwrap();
        let unpacked = store.unpack(&digest);
        (dir, unpacked)
    }

    #[test]
    fn a_docker_style_image_says_how_it_is_run() {
        let config = json!({"architecture": "wasm", "os": "wasip1", "config": {
            "Entrypoint": ["/app.wasm", "--serve"], "Cmd": ["x"], "Env": ["A=1", "B=2=3"], "WorkingDir": "/srv",
            "ExposedPorts": {"8080/tcp": {}, "443": {}, "53/udp": {}},
        }});
        let layers: [&[(&str, &[u8])]; 2] = [
            &[("app.wasm", b"\0asm old"), ("srv/old.txt", b"x")],
            &[("app.wasm", b"\0asm new"), ("srv/.wh.old.txt", b"")],
        ];
        let (_dir, image) = unpack(&config, &layers);
        let image = image.unwrap();
        assert_eq!(fs::read(&image.wasm).unwrap(), b"\0asm new");
        assert_eq!(image.wasm_digest, Digest::of(b"\0asm new").to_string());
        assert_eq!(
            (image.entrypoint, image.cmd),
            (vec!["/app.wasm".to_owned(), "--serve".to_owned()], vec!["x".to_owned()])
        );
        assert_eq!(image.env, [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2=3".to_owned())]);
        assert_eq!((image.working_dir.as_deref(), image.exposed_ports), (Some("/srv"), vec![443, 8080]));
        assert!(!image.rootfs.unwrap().join("srv/old.txt").exists());
    }

    #[test]
    fn an_entry_point_is_found_from_the_working_directory() {
        let config = json!({"config": {"Cmd": ["app.wasm"], "WorkingDir": "/srv"}});
        let (_dir, image) = unpack(&config, &[&[("srv/app.wasm", b"\0asm")]]);
        assert!(image.unwrap().wasm.ends_with("srv/app.wasm"));
    }

    /// Layers are verified; what they were unpacked to could be damaged on disk unseen.
    #[test]
    fn a_program_that_was_damaged_after_unpacking_is_unpacked_again() {
        let config = json!({"config": {"Entrypoint": ["/app.wasm"]}});
        let (dir, image) = unpack(&config, &[&[("app.wasm", b"\0asm good")]]);
        let image = image.unwrap();
        let store = ImageStore::open(dir.path()).unwrap();
        for damage in [b"\0asm evil".as_slice(), b"\0as"] {
            fs::write(&image.wasm, damage).unwrap();
            let again = store.unpack(&image.digest).unwrap();
            assert_eq!(fs::read(&again.wasm).unwrap(), b"\0asm good");
            assert_eq!(again.wasm_digest, image.wasm_digest);
        }
        store.collect_garbage(|_| false, std::time::SystemTime::now() + 100 * HOUR, HOUR).unwrap();
        assert!(store.program_mark(&image.digest).is_file());
    }

    const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

    #[test]
    fn images_that_are_no_wasm_say_so() {
        let run = |entrypoint: Value| json!({"config": {"Entrypoint": entrypoint}});
        let files: &[(&str, &[u8])] = &[("bin/sh", b"\x7fELF...")];
        let refused = |config: Value| unpack(&config, &[files]).1.unwrap_err();
        assert!(matches!(refused(run(json!(["/bin/sh"]))), UnpackError::NotWasm(_)));
        assert!(matches!(refused(run(json!(["/app.wasm"]))), UnpackError::NoWasm(_)));
        assert!(matches!(refused(run(json!(["../../etc/passwd"]))), UnpackError::NoWasm(_)));
        assert!(matches!(refused(run(Value::Null)), UnpackError::NoEntrypoint));
    }
}
