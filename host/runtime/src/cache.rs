//! Native code on disk. Loading it is trusting it: the directory is private, each entry carries in a file beside it what it
//! is called and its checksum, and an entry that is damaged, half-written, of another build or of another program is
//! compiled again, never loaded.

mod collect;

use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub(crate) struct Cache {
    dir: PathBuf,
    flavor: String,
}

/// Where one program's native code lies, or will.
#[derive(Clone)]
pub(crate) struct Entry {
    name: String,
    code: PathBuf,
    checksum: PathBuf,
}

const CODE: &str = "cwasm";
const CHECKSUM: &str = "sha256";
const SCRATCH: &str = ".compiling-";

impl Cache {
    pub(crate) fn open(dir: &Path, flavor: String) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        make_private(dir)?;
        Ok(Cache { dir: dir.to_owned(), flavor })
    }

    pub(crate) fn entry(&self, digest: &str) -> Entry {
        // Digests look like `sha256:…`; whatever else comes must not leave the directory.
        let digest: String = digest.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        self.named(format!("{digest}.{}", self.flavor))
    }

    /// The entry of that name, if it is one for this machine and this build.
    pub(crate) fn find(&self, name: &str) -> Option<Entry> {
        let (digest, flavor) = name.split_once('.')?;
        let is_digest = digest.chars().all(|one| one.is_ascii_alphanumeric() || one == '-');
        (is_digest && flavor == self.flavor).then(|| self.named(name.to_owned()))
    }

    fn named(&self, name: String) -> Entry {
        let code = self.dir.join(format!("{name}.{CODE}"));
        let checksum = self.dir.join(format!("{name}.{CHECKSUM}"));
        Entry { name, code, checksum }
    }

    /// A new file in the cache's own file system, gone when dropped.
    pub(crate) fn scratch(&self) -> io::Result<tempfile::TempPath> {
        Ok(tempfile::Builder::new().prefix(SCRATCH).tempfile_in(&self.dir)?.into_temp_path())
    }
}

impl Entry {
    /// Names the program and everything that its native code depends on; the same on every machine.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn code(&self) -> &Path {
        &self.code
    }

    /// True if the code is there and is what was stored, under this name.
    pub(crate) fn is_intact(&self) -> bool {
        matches!((self.stored_sum(), checksum(&self.code)), (Some(stored), Ok(actual)) if stored == actual)
    }

    /// The checksum that the code had when it was stored.
    pub(crate) fn stored_sum(&self) -> Option<String> {
        let text = fs::read_to_string(&self.checksum).ok()?;
        let (sum, name) = text.trim().split_once(' ')?;
        (name == self.name).then(|| sum.to_owned())
    }

    /// Moves fresh code in. The checksum goes first: a crash in between leaves a pair that does not match.
    pub(crate) fn store(&self, compiled: tempfile::TempPath) -> io::Result<()> {
        let sum = checksum(&compiled)?;
        self.store_summed(compiled, &sum)
    }

    /// As [`Entry::store`], if the code has this checksum.
    pub(crate) fn store_if(&self, fetched: tempfile::TempPath, sum: &str) -> io::Result<()> {
        if checksum(&fetched)? != sum {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not what was announced"));
        }
        self.store_summed(fetched, sum)
    }

    fn store_summed(&self, code: tempfile::TempPath, sum: &str) -> io::Result<()> {
        let dir = self.code.parent().expect("invariant: entries lie in the cache's directory");
        let mut sum_file = tempfile::NamedTempFile::new_in(dir)?;
        io::Write::write_all(&mut sum_file, format!("{sum} {}", self.name).as_bytes())?;
        sum_file.persist(&self.checksum).map_err(|error| error.error)?;
        code.persist(&self.code).map_err(|error| error.error)
    }

    /// Remembers that the code is in use, for the garbage collection.
    pub(crate) fn touch(&self) {
        // Without a new time it is only collected earlier.
        let file = fs::File::options().append(true).open(&self.checksum);
        let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
    }

    pub(crate) fn remove(&self) {
        let _ = fs::remove_file(&self.code);
        let _ = fs::remove_file(&self.checksum);
    }
}

fn checksum(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(unix)]
fn make_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
}

/// On Windows a user's own directories are private by inheritance.
#[cfg(not(unix))]
fn make_private(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(dir: &Path, digest: &str, content: &[u8]) -> Entry {
        let cache = Cache::open(dir, "flavor".into()).unwrap();
        let scratch = cache.scratch().unwrap();
        fs::write(&scratch, content).unwrap();
        let entry = cache.entry(digest);
        entry.store(scratch).unwrap();
        entry
    }

    #[test]
    fn an_entry_is_intact_until_a_byte_of_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let entry = stored(dir.path(), "sha256:abc", b"native code");
        assert!(entry.is_intact());
        fs::write(entry.code(), b"native c0de").unwrap();
        assert!(!entry.is_intact());
    }

    #[test]
    fn an_entry_without_checksum_or_code_is_not_intact() {
        let dir = tempfile::tempdir().unwrap();
        let entry = stored(dir.path(), "sha256:abc", b"native code");
        fs::remove_file(&entry.checksum).unwrap();
        assert!(!entry.is_intact());
        let entry = stored(dir.path(), "sha256:def", b"native code");
        fs::remove_file(&entry.code).unwrap();
        assert!(!entry.is_intact());
    }

    #[test]
    fn an_entry_of_another_program_or_build_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let entry = stored(dir.path(), "sha256:abc", b"native code");
        let cache = Cache::open(dir.path(), "flavor".into()).unwrap();
        let other = cache.entry("sha256:def");
        fs::copy(&entry.code, &other.code).unwrap();
        fs::copy(&entry.checksum, &other.checksum).unwrap();
        assert!(entry.is_intact() && !other.is_intact());
        let newer = Cache::open(dir.path(), "newer".into()).unwrap();
        assert!(!newer.entry("sha256:abc").is_intact() && newer.find(entry.name()).is_none());
        assert!(cache.find(entry.name()).is_some() && cache.find("../x.flavor").is_none());
    }

    #[test]
    fn what_was_fetched_is_stored_only_as_it_was_announced() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), "flavor".into()).unwrap();
        let fetched = |content: &[u8]| {
            let scratch = cache.scratch().unwrap();
            fs::write(&scratch, content).unwrap();
            scratch
        };
        let sum = hex::encode(Sha256::digest(b"native code"));
        let entry = cache.entry("sha256:abc");
        assert!(entry.store_if(fetched(b"evil code"), &sum).is_err() && !entry.is_intact());
        entry.store_if(fetched(b"native code"), &sum).unwrap();
        assert!(entry.is_intact());
    }

    #[test]
    fn no_digest_leaves_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), "flavor".into()).unwrap();
        assert_eq!(cache.entry("../../etc/passwd").code().parent(), Some(dir.path()));
    }

    #[cfg(unix)]
    #[test]
    fn the_directory_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("cache");
        Cache::open(&inside, "flavor".into()).unwrap();
        assert_eq!(fs::metadata(inside).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
