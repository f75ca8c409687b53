//! Native code on disk. Loading it is trusting it: the directory is private, each entry carries a checksum in a file
//! beside it, and an entry that is damaged, half-written or of another build is compiled again, never loaded.

use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub(crate) struct Cache {
    dir: PathBuf,
    flavor: String,
}

/// Where one program's native code lies, or will.
#[derive(Clone)]
pub(crate) struct Entry {
    code: PathBuf,
    checksum: PathBuf,
}

impl Cache {
    pub(crate) fn open(dir: &Path, flavor: String) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        make_private(dir)?;
        Ok(Cache { dir: dir.to_owned(), flavor })
    }

    pub(crate) fn entry(&self, digest: &str) -> Entry {
        // Digests look like `sha256:…`; whatever else comes must not leave the directory.
        let name: String = digest.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let code = self.dir.join(format!("{name}.{}.cwasm", self.flavor));
        let checksum = self.dir.join(format!("{name}.{}.sha256", self.flavor));
        Entry { code, checksum }
    }

    /// A new file in the cache's own file system, gone when dropped.
    pub(crate) fn scratch(&self) -> io::Result<tempfile::TempPath> {
        Ok(tempfile::Builder::new().prefix(".compiling-").tempfile_in(&self.dir)?.into_temp_path())
    }
}

impl Entry {
    pub(crate) fn code(&self) -> &Path {
        &self.code
    }

    /// True if the code is there and is what was stored.
    pub(crate) fn is_intact(&self) -> bool {
        let stored = fs::read_to_string(&self.checksum);
        matches!((stored, checksum(&self.code)), (Ok(stored), Ok(actual)) if stored.trim() == actual)
    }

    /// Moves freshly compiled code in. The checksum goes first: a crash in between leaves a pair that does not match.
    pub(crate) fn store(&self, compiled: tempfile::TempPath) -> io::Result<()> {
        let sum = checksum(&compiled)?;
        let dir = self.code.parent().expect("invariant: entries lie in the cache's directory");
        let mut sum_file = tempfile::NamedTempFile::new_in(dir)?;
        io::Write::write_all(&mut sum_file, sum.as_bytes())?;
        sum_file.persist(&self.checksum).map_err(|error| error.error)?;
        compiled.persist(&self.code).map_err(|error| error.error)
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
