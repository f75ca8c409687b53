mod flights;
mod garbage;
mod removal;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::manifest::{MANIFEST_BYTES_MAX, Manifest};
use crate::{Digest, InvalidManifest, Reference};

pub(crate) use flights::Flights;
pub use garbage::Collected;
pub use removal::Removed;

/// A directory of blobs by digest and of names that point at manifests:
///
/// ```text
/// blobs/sha256/HEX               a blob, whole and verified
/// repositories/NAME/tags/TAG     holds the digest of a manifest; slashes of NAME are written %2F
/// repositories/NAME/manifests/HEX  marks a manifest as part of a repository
/// uploads/ID                     what is on its way
/// rootfs/HEX                     unpacked file systems
/// rootfs/HEX.wasm                holds the digest of the wasm file in one
/// lock                           held while names change and while garbage is collected
/// ```
///
/// Every change is a rename, so any number of processes may use it at once, and a crash leaves nothing half-done.
/// Its methods block on the disk.
#[derive(Clone, Debug)]
pub struct ImageStore {
    dir: PathBuf,
    pub(crate) flights: Flights,
}

#[derive(Debug, thiserror::Error)]
#[error("open the image store {path}")]
pub struct OpenStoreError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("blob {0} is not here")]
    BlobUnknown(Digest),
    #[error("the content has digest {found}, not {wanted}")]
    DigestMismatch { wanted: Digest, found: Digest },
    #[error(transparent)]
    Manifest(#[from] InvalidManifest),
}

/// One image that has a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImageSummary {
    pub name: String,
    pub digest: Digest,
    /// Of all its blobs.
    pub size_bytes: u64,
}

const PROGRAM: &str = "wasm";
const READ_BYTES: usize = 1 << 20;

impl ImageStore {
    /// Opens a store, making it if need be. The directory is private to the user: native code is made from what is in it.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, OpenStoreError> {
        let dir = dir.into();
        let make = || -> io::Result<()> {
            for part in ["blobs/sha256", "repositories", "uploads", "rootfs"] {
                fs::create_dir_all(dir.join(part))?;
            }
            #[cfg(unix)]
            fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
            let layout = dir.join("oci-layout");
            if !layout.exists() {
                fs::write(layout, r#"{"imageLayoutVersion":"1.0.0"}"#)?;
            }
            Ok(())
        };
        make().map_err(|source| OpenStoreError { path: dir.clone(), source })?;
        Ok(Self { dir, flights: Flights::default() })
    }

    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.dir.join("blobs/sha256").join(digest.hex())
    }

    /// The size of a blob that is here.
    pub fn blob_size(&self, digest: &Digest) -> Option<u64> {
        fs::metadata(self.blob_path(digest)).ok().map(|metadata| metadata.len())
    }

    /// As [`ImageStore::blob_size`], and keeps the blob from the garbage collection for its grace: somebody is about to
    /// build on it.
    pub(crate) fn claim_blob(&self, digest: &Digest) -> Option<u64> {
        let file = File::options().append(true).open(self.blob_path(digest)).ok()?;
        file.set_modified(SystemTime::now()).ok()?;
        Some(file.metadata().ok()?.len())
    }

    /// A small blob, verified. One that was damaged on disk is removed, so that it is fetched again.
    pub fn read_blob(&self, digest: &Digest, bytes_max: usize) -> Result<Vec<u8>, StoreError> {
        let path = self.blob_path(digest);
        let file = File::open(&path).map_err(|_| StoreError::BlobUnknown(digest.clone()))?;
        let mut bytes = Vec::new();
        file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(io_error("read", &path))?;
        if bytes.len() > bytes_max {
            return Err(InvalidManifest::TooLarge.into());
        }
        let found = Digest::of(&bytes);
        self.check(digest, found)?;
        Ok(bytes)
    }

    /// Reads a whole blob to see whether it is what its name says; a damaged one is removed.
    pub fn verify_blob(&self, digest: &Digest) -> Result<(), StoreError> {
        let path = self.blob_path(digest);
        let file = File::open(&path).map_err(|_| StoreError::BlobUnknown(digest.clone()))?;
        let (found, _) = hash(file).map_err(io_error("read", &path))?;
        self.check(digest, found)
    }

    fn check(&self, wanted: &Digest, found: Digest) -> Result<(), StoreError> {
        if found == *wanted {
            return Ok(());
        }
        let _ = fs::remove_file(self.blob_path(wanted));
        Err(StoreError::DigestMismatch { wanted: wanted.clone(), found })
    }

    /// Stores content; what is here already is left as it is.
    pub fn put_blob(&self, content: &[u8]) -> Result<Digest, StoreError> {
        let mut upload = self.new_upload()?;
        upload.write_all(content).map_err(io_error("write", upload.path()))?;
        self.finish(upload, None)
    }

    /// Stores what a reader has, at most so many bytes of it, if it is what it should be.
    pub(crate) fn put_stream(
        &self,
        content: &mut impl Read,
        bytes_max: u64,
        wanted: Option<&Digest>,
    ) -> Result<Digest, StoreError> {
        let mut upload = self.new_upload()?;
        let size = io::copy(&mut content.take(bytes_max + 1), &mut upload).map_err(io_error("write", upload.path()))?;
        if size > bytes_max {
            return Err(InvalidManifest::TooLarge.into());
        }
        self.finish(upload, wanted)
    }

    /// Stores a copy of a file; answers its digest and size.
    pub fn import_file(&self, path: &Path) -> Result<(Digest, u64), StoreError> {
        let mut source = File::open(path).map_err(io_error("read", path))?;
        let mut upload = self.new_upload()?;
        let size = io::copy(&mut source, &mut upload).map_err(io_error("copy", path))?;
        Ok((self.finish(upload, None)?, size))
    }

    /// A file on its way to become a blob; it goes away unless it is finished.
    pub(crate) fn new_upload(&self) -> Result<NamedTempFile, StoreError> {
        let dir = self.dir.join("uploads");
        NamedTempFile::new_in(&dir).map_err(io_error("write below", &dir))
    }

    /// Makes an upload a blob, if it is what it should be.
    pub(crate) fn finish(&self, upload: NamedTempFile, wanted: Option<&Digest>) -> Result<Digest, StoreError> {
        let path = upload.path().to_owned();
        let (found, _) = File::open(&path).and_then(hash).map_err(io_error("read", &path))?;
        if let Some(wanted) = wanted.filter(|wanted| **wanted != found) {
            return Err(StoreError::DigestMismatch { wanted: wanted.clone(), found });
        }
        upload.as_file().sync_all().map_err(io_error("write", &path))?;
        let target = self.blob_path(&found);
        upload.persist(&target).map_err(|error| io_error("write", &target)(error.error))?;
        sync_dir(&target)?;
        Ok(found)
    }

    /// Where the bytes of a named upload of the registry are.
    pub(crate) fn upload_path(&self, id: &str) -> PathBuf {
        self.dir.join("uploads").join(format!("{id}.part"))
    }

    /// How many uploads are under way, given up ones included.
    pub(crate) fn uploads_count(&self) -> usize {
        fs::read_dir(self.dir.join("uploads")).map(Iterator::count).unwrap_or_default()
    }

    /// Makes a named upload a blob.
    pub(crate) fn finish_upload(&self, id: &str, wanted: &Digest) -> Result<Digest, StoreError> {
        let path = self.upload_path(id);
        let file = File::open(&path).map_err(io_error("read", &path))?;
        file.sync_all().map_err(io_error("write", &path))?;
        let (found, _) = hash(file).map_err(io_error("read", &path))?;
        if found != *wanted {
            let _ = fs::remove_file(&path);
            return Err(StoreError::DigestMismatch { wanted: wanted.clone(), found });
        }
        let target = self.blob_path(&found);
        fs::rename(&path, &target).map_err(io_error("write", &target))?;
        sync_dir(&target)?;
        Ok(found)
    }

    /// Stores a manifest whose blobs are here, and has the tag point at it.
    pub fn put_manifest(&self, repository: &str, tag: Option<&str>, bytes: &[u8]) -> Result<Digest, StoreError> {
        let manifest = Manifest::parse(bytes)?;
        // So that no garbage is collected between the look and the name.
        let _lock = self.lock()?;
        for descriptor in manifest.descriptors() {
            let digest = descriptor.digest().map_err(InvalidManifest::from)?;
            if self.blob_size(&digest).is_none() {
                return Err(StoreError::BlobUnknown(digest));
            }
        }
        let digest = self.put_blob(bytes)?;
        self.name(repository, tag, &digest)?;
        Ok(digest)
    }

    /// Gives an image that is here another name; `false` when it is not here.
    pub fn tag(&self, from: &Reference, to: &Reference) -> Result<bool, StoreError> {
        let Some(digest) = self.find(from) else { return Ok(false) };
        self.tag_digest(&digest, to).map(|()| true)
    }

    /// Gives an image that is here another name.
    pub fn tag_digest(&self, digest: &Digest, to: &Reference) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        if self.blob_size(digest).is_none() {
            return Err(StoreError::BlobUnknown(digest.clone()));
        }
        self.name(&to.full_repository(), to.tag.as_deref(), digest)
    }

    /// The caller holds the lock.
    fn name(&self, repository: &str, tag: Option<&str>, digest: &Digest) -> Result<(), StoreError> {
        write_atomically(&self.mark(repository, digest), b"")?;
        match tag {
            Some(tag) => {
                let path = self.repository(repository).join("tags").join(tag);
                write_atomically(&path, digest.as_str().as_bytes())
            }
            None => Ok(()),
        }
    }

    /// The digest that a tag points at, or the digest itself when the repository has it.
    pub fn resolve(&self, repository: &str, tag_or_digest: &str) -> Option<Digest> {
        let repository = self.repository(repository);
        if let Ok(digest) = tag_or_digest.parse::<Digest>() {
            return repository.join("manifests").join(digest.hex()).exists().then_some(digest);
        }
        crate::reference::check_tag(tag_or_digest).ok()?;
        fs::read_to_string(repository.join("tags").join(tag_or_digest)).ok()?.trim().parse().ok()
    }

    /// A manifest and its bytes.
    pub fn manifest(&self, digest: &Digest) -> Result<(Manifest, Vec<u8>), StoreError> {
        let bytes = self.read_blob(digest, MANIFEST_BYTES_MAX)?;
        Ok((Manifest::parse(&bytes)?, bytes))
    }

    /// Removes a tag, or (by digest) a manifest with all its tags. Blobs stay until garbage is collected.
    pub fn remove(&self, repository: &str, tag_or_digest: &str) -> Result<bool, StoreError> {
        let _lock = self.lock()?;
        let dir = self.repository(repository);
        let Some(digest) = self.resolve(repository, tag_or_digest) else { return Ok(false) };
        if tag_or_digest != digest.as_str() {
            let path = dir.join("tags").join(tag_or_digest);
            fs::remove_file(&path).map_err(io_error("remove", &path))?;
            return Ok(true);
        }
        for tag in self.tags(repository) {
            if self.resolve(repository, &tag).as_ref() == Some(&digest) {
                let path = dir.join("tags").join(tag);
                fs::remove_file(&path).map_err(io_error("remove", &path))?;
            }
        }
        let path = self.mark(repository, &digest);
        fs::remove_file(&path).map_err(io_error("remove", &path))?;
        Ok(true)
    }

    /// The tags of a repository, sorted.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        file_names(&self.repository(repository).join("tags"))
    }

    /// The manifests of a repository.
    pub(crate) fn manifests(&self, repository: &str) -> Vec<Digest> {
        let names = file_names(&self.repository(repository).join("manifests"));
        names.iter().filter_map(|hex| format!("sha256:{hex}").parse().ok()).collect()
    }

    /// The repositories, sorted.
    pub fn repositories(&self) -> Vec<String> {
        let names = file_names(&self.dir.join("repositories"));
        names.iter().map(|name| name.replace("%2F", "/").replace("%3A", ":")).collect()
    }

    /// Every image that has a tag.
    pub fn list(&self) -> Vec<ImageSummary> {
        let tags = self
            .repositories()
            .into_iter()
            .flat_map(|repository| self.tags(&repository).into_iter().map(move |tag| (repository.clone(), tag)));
        tags.filter_map(|(repository, tag)| {
            let digest = self.resolve(&repository, &tag)?;
            let (manifest, bytes) = self.manifest(&digest).ok()?;
            let size_bytes = bytes.len() as u64 + manifest.descriptors().map(|one| one.size).sum::<u64>();
            Some(ImageSummary { name: format!("{repository}:{tag}"), digest, size_bytes })
        })
        .collect()
    }

    /// The manifest that a name means here, if any.
    pub fn find(&self, reference: &Reference) -> Option<Digest> {
        self.resolve(&reference.full_repository(), reference.tag_or_digest())
    }

    /// Where the file system of an image is unpacked to.
    pub(crate) fn rootfs_path(&self, digest: &Digest) -> PathBuf {
        self.dir.join("rootfs").join(digest.hex())
    }

    /// Holds the digest of the wasm file in an unpacked file system.
    pub(crate) fn program_mark(&self, digest: &Digest) -> PathBuf {
        self.dir.join("rootfs").join(format!("{}.{PROGRAM}", digest.hex()))
    }

    /// The file that says that a repository has a manifest.
    fn mark(&self, repository: &str, digest: &Digest) -> PathBuf {
        self.repository(repository).join("manifests").join(digest.hex())
    }

    /// Waits for whoever else changes names, in this process or another.
    fn lock(&self) -> Result<File, StoreError> {
        let path = self.dir.join("lock");
        let file = File::options().create(true).append(true).open(&path).map_err(io_error("open", &path))?;
        file.lock().map_err(io_error("lock", &path))?;
        Ok(file)
    }

    fn repository(&self, name: &str) -> PathBuf {
        self.dir.join("repositories").join(name.replace('/', "%2F").replace(':', "%3A"))
    }
}

fn hash(mut content: impl Read) -> io::Result<(Digest, u64)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut size = 0;
    loop {
        let count = content.read(&mut buffer)?;
        if count == 0 {
            return Ok((Digest::from_hasher(hasher), size));
        }
        hasher.update(&buffer[..count]);
        size += count as u64;
    }
}

pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let dir = path.parent().expect("paths of the store have a directory");
    fs::create_dir_all(dir).map_err(io_error("make", dir))?;
    let mut file = NamedTempFile::new_in(dir).map_err(io_error("write below", dir))?;
    file.write_all(content).and_then(|()| file.as_file().sync_all()).map_err(io_error("write", path))?;
    file.persist(path).map_err(|error| io_error("write", path)(error.error))?;
    sync_dir(path)
}

/// A rename is durable once the directory is.
#[cfg(unix)]
fn sync_dir(path: &Path) -> Result<(), StoreError> {
    let dir = path.parent().expect("paths of the store have a directory");
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io_error("sync", dir))
}

/// Directories cannot be synced elsewhere; the file system's journal does it.
#[cfg(not(unix))]
fn sync_dir(_path: &Path) -> Result<(), StoreError> {
    Ok(())
}

/// Hidden files are on their way to become something.
fn file_names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| StoreError::Io { action, path, source }
}
