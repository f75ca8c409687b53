//! Whether the sources of a project are still what was built: looked at a few times a second, which costs less than a
//! watch of the file system where trees are small, and works on every file system.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

/// What tools make rather than people.
const MADE: [&str; 8] = ["target", "node_modules", "dist", "build", "__pycache__", "venv", "out", "bin"];
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// An editor writes a file in several steps.
const SETTLE: Duration = Duration::from_millis(100);
/// Larger files are told apart by their size and time.
const READ_BYTES_MAX: u64 = 4 << 20;

pub(super) struct Sources {
    dir: PathBuf,
    /// Hashes by path, with the size and time of the file that was read for them.
    known: BTreeMap<PathBuf, (Stamp, u64)>,
}

type Stamp = (u64, Option<SystemTime>);

/// Of every source file, by path.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Fingerprint(BTreeMap<PathBuf, u64>);

impl Sources {
    pub(super) fn of(dir: &Path) -> Result<Self> {
        let dir = dir.canonicalize().with_context(|| format!("find {}", dir.display()))?;
        Ok(Self { dir, known: BTreeMap::new() })
    }

    pub(super) fn fingerprint(&mut self) -> Result<Fingerprint> {
        let mut found = BTreeMap::new();
        self.read(Path::new(""), &mut found).with_context(|| format!("read {}", self.dir.display()))?;
        self.known = found;
        Ok(Fingerprint(self.known.iter().map(|(path, (_, hash))| (path.clone(), *hash)).collect()))
    }

    /// Returns when the sources differ from what they were, and no more for a moment.
    pub(super) async fn changed_from(&mut self, known: &Fingerprint) -> Result<()> {
        loop {
            let now = self.fingerprint()?;
            if now == *known {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            tokio::time::sleep(SETTLE).await;
            if self.fingerprint()? == now {
                return Ok(());
            }
        }
    }

    fn read(&self, below: &Path, found: &mut BTreeMap<PathBuf, (Stamp, u64)>) -> std::io::Result<()> {
        for entry in std::fs::read_dir(self.dir.join(below))? {
            let entry = entry?;
            let path = below.join(entry.file_name());
            if !is_source(&path) {
                continue;
            }
            // What vanishes meanwhile is seen as gone the next time.
            let Ok(metadata) = std::fs::metadata(self.dir.join(&path)) else { continue };
            if metadata.is_dir() && !entry.file_type()?.is_symlink() {
                self.read(&path, found)?;
            } else if metadata.is_file() {
                let stamp = (metadata.len(), metadata.modified().ok());
                let known = self.known.get(&path).filter(|(known, _)| *known == stamp);
                let hash = known.map_or_else(|| hash(&self.dir.join(&path), stamp), |(_, hash)| *hash);
                found.insert(path, (stamp, hash));
            }
        }
        Ok(())
    }
}

fn hash(path: &Path, stamp: Stamp) -> u64 {
    let mut hasher = DefaultHasher::new();
    match std::fs::read(path) {
        Ok(bytes) if stamp.0 <= READ_BYTES_MAX => bytes.hash(&mut hasher),
        _ => stamp.hash(&mut hasher),
    }
    hasher.finish()
}

/// Neither hidden nor made by tools.
fn is_source(path: &Path) -> bool {
    let mut names = path.components().map(|part| part.as_os_str().to_string_lossy());
    let is_backup = |name: &str| name.ends_with('~') || name.ends_with(".swp") || name.ends_with(".tmp");
    names.all(|name| !name.starts_with('.') && !MADE.contains(&name.as_ref()) && !is_backup(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_make_is_no_source() {
        for source in ["src/main.rs", "Cargo.toml", "app.py", "deploy.yaml"] {
            assert!(is_source(Path::new(source)), "{source}");
        }
        for made in ["target/wasm32-wasip2/x", ".git/HEAD", "a/node_modules/b", "src/.main.rs.swp", "src/main.rs~"] {
            assert!(!is_source(Path::new(made)), "{made}");
        }
    }

    #[tokio::test]
    async fn an_edit_is_noticed_and_a_rewrite_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("main.rs");
        std::fs::write(&file, "1").unwrap();
        let mut sources = Sources::of(dir.path()).unwrap();
        let before = sources.fingerprint().unwrap();
        std::fs::write(&file, "1").unwrap();
        std::fs::create_dir(dir.path().join("target")).unwrap();
        std::fs::write(dir.path().join("target/x"), "made").unwrap();
        assert_eq!(sources.fingerprint().unwrap(), before);
        std::fs::write(&file, "2").unwrap();
        sources.changed_from(&before).await.unwrap();
    }
}
