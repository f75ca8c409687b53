use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{ImageStore, StoreError, io_error};
use crate::Digest;

/// Nobody takes up an upload again after a day.
const STALE_UPLOAD: Duration = Duration::from_secs(24 * 60 * 60);

/// What a garbage collection freed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Collected {
    pub files: usize,
    pub bytes: u64,
}

impl ImageStore {
    /// Removes manifests, blobs and unpacked file systems that no tag leads to, and uploads that were given up. What
    /// `is_used` names by its manifest's digest stays, as does what came or was asked for less than `grace` before
    /// `now`: a push sends its blobs before the manifest that names them. Blocks on the disk.
    pub fn collect_garbage(
        &self,
        is_used: impl Fn(&Digest) -> bool,
        now: SystemTime,
        grace: Duration,
    ) -> Result<Collected, StoreError> {
        let _lock = self.lock()?;
        let is_old = |path: &Path, age: Duration| {
            let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
            modified.is_ok_and(|modified| now.duration_since(modified).unwrap_or_default() >= age)
        };
        let mut live = HashSet::new();
        for repository in self.repositories() {
            let tagged: HashSet<Digest> =
                self.tags(&repository).iter().filter_map(|tag| self.resolve(&repository, tag)).collect();
            for digest in self.manifests(&repository) {
                let mark = self.mark(&repository, &digest);
                if tagged.contains(&digest) || is_used(&digest) || !is_old(&mark, grace) {
                    self.mark_live(&digest, &mut live);
                } else {
                    fs::remove_file(&mark).map_err(io_error("remove", &mark))?;
                }
            }
        }
        let mut collected = Collected::default();
        for (part, age, keeps) in
            [("blobs/sha256", grace, true), ("rootfs", grace, true), ("uploads", STALE_UPLOAD, false)]
        {
            let is_live = |name: &str| live.contains(name.split('.').next().unwrap_or(name));
            let is_garbage = |path: &Path, name: &str| !(keeps && is_live(name)) && is_old(path, age);
            sweep(&self.dir.join(part), is_garbage, &mut collected)?;
        }
        Ok(collected)
    }

    /// Adds the hex digests of a manifest and of everything that it leads to. One that cannot be read keeps itself.
    pub(super) fn mark_live(&self, digest: &Digest, live: &mut HashSet<String>) {
        let mut waiting = vec![digest.clone()];
        while let Some(digest) = waiting.pop() {
            if !live.insert(digest.hex().to_owned()) {
                continue;
            }
            let Ok((manifest, _)) = self.manifest(&digest) else { continue };
            live.extend(manifest.blobs().filter_map(|blob| Some(blob.digest().ok()?.hex().to_owned())));
            waiting.extend(manifest.manifests.iter().filter_map(|entry| entry.digest().ok()));
        }
    }
}

fn sweep(dir: &Path, is_garbage: impl Fn(&Path, &str) -> bool, collected: &mut Collected) -> Result<(), StoreError> {
    for entry in fs::read_dir(dir).map_err(io_error("list", dir))?.flatten() {
        let path = entry.path();
        if !is_garbage(&path, &entry.file_name().to_string_lossy()) {
            continue;
        }
        let Ok(metadata) = entry.metadata() else { continue };
        let removed = if metadata.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(io_error("remove", &path))?;
        collected.files += 1;
        collected.bytes += metadata.len();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Reference, store_module};

    const HOUR: Duration = Duration::from_secs(3600);

    struct Fixture {
        dir: tempfile::TempDir,
        store: ImageStore,
    }

    impl Fixture {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = ImageStore::open(dir.path().join("store")).unwrap();
            Self { dir, store }
        }

        fn image(&self, name: &str, content: &str) -> Digest {
            let wasm = self.dir.path().join("app.wasm");
            fs::write(&wasm, format!("\0asm{content}")).unwrap();
            store_module(&self.store, &name.parse().unwrap(), &wasm, "wasip2", "2026-01-01T00:00:00Z").unwrap()
        }

        fn collect(&self, after: Duration) -> Collected {
            self.store.collect_garbage(|_| false, SystemTime::now() + after, HOUR).unwrap()
        }
    }

    #[test]
    fn what_a_tag_leads_to_stays() {
        let fixture = Fixture::new();
        let digest = fixture.image("a:v1", "one");
        assert_eq!(fixture.collect(HOUR * 100), Collected::default());
        fixture.store.unpack(&digest).unwrap();
    }

    #[test]
    fn an_image_without_a_tag_goes_after_its_grace() {
        let fixture = Fixture::new();
        let old = fixture.image("a:v1", "one");
        let new = fixture.image("a:v1", "two");
        assert_eq!(fixture.collect(Duration::ZERO).files, 0, "young");
        assert_eq!(fixture.collect(HOUR * 2).files, 3, "manifest, config and layer");
        assert!(fixture.store.unpack(&old).is_err() && fixture.store.resolve("a", old.as_str()).is_none());
        fixture.store.unpack(&new).unwrap();
    }

    #[test]
    fn an_image_in_use_stays_without_a_tag() {
        let fixture = Fixture::new();
        let digest = fixture.image("a:v1", "one");
        fixture.store.remove("a", "v1").unwrap();
        let later = SystemTime::now() + HOUR * 2;
        fixture.store.collect_garbage(|used| *used == digest, later, HOUR).unwrap();
        fixture.store.unpack(&digest).unwrap();
    }

    #[test]
    fn one_manifest_may_have_several_names() {
        let fixture = Fixture::new();
        let name = |text: &str| text.parse::<Reference>().unwrap();
        let digest = fixture.image("a:v1", "one");
        assert!(fixture.store.tag(&name("a:v1"), &name("b:stable")).unwrap());
        assert!(!fixture.store.tag(&name("a:v9"), &name("b:x")).unwrap());
        fixture.store.remove("a", digest.as_str()).unwrap();
        fixture.collect(HOUR * 2);
        assert_eq!(fixture.store.find(&name("b:stable")), Some(digest.clone()));
        fixture.store.unpack(&digest).unwrap();
    }

    #[test]
    fn uploads_that_were_given_up_go() {
        let fixture = Fixture::new();
        fs::write(fixture.store.upload_path("x"), "half").unwrap();
        assert_eq!(fixture.collect(HOUR * 2).files, 0);
        assert_eq!(fixture.collect(HOUR * 25).files, 1);
    }
}
