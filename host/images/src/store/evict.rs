use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, SystemTime};

use super::{ImageStore, Removed, StoreError};
use crate::{Digest, Reference};

/// When an image was last used, and whether it has to stay.
struct Use {
    last: SystemTime,
    stays: bool,
}

impl ImageStore {
    /// Remembers that an image is in use, for [`ImageStore::evict`].
    pub fn touch(&self, reference: &Reference, digest: &Digest) {
        // Without a new time it is only evicted earlier.
        let mark = fs::File::options().append(true).open(self.mark(&reference.full_repository(), digest));
        let _ = mark.and_then(|file| file.set_modified(SystemTime::now()));
    }

    /// Removes images that nobody used for `age`, and of the others the longest unused ones until `bytes` are freed.
    /// What `stays` says of a repository's image stays. For a store that can get its images again. Blocks.
    pub fn evict(
        &self,
        stays: impl Fn(&str, &Digest) -> bool,
        now: SystemTime,
        age: Duration,
        bytes: u64,
    ) -> Result<Removed, StoreError> {
        let mut uses: BTreeMap<Digest, Use> = BTreeMap::new();
        for repository in self.repositories() {
            for digest in self.manifests(&repository) {
                let modified = fs::metadata(self.mark(&repository, &digest)).and_then(|mark| mark.modified());
                let stays = stays(&repository, &digest);
                let own = uses.entry(digest).or_insert(Use { last: SystemTime::UNIX_EPOCH, stays: false });
                own.last = own.last.max(modified.unwrap_or(now));
                own.stays |= stays;
            }
        }
        let mut idle: Vec<(SystemTime, Digest)> =
            uses.into_iter().filter(|(_, one)| !one.stays).map(|(digest, one)| (one.last, digest)).collect();
        idle.sort();
        let mut removed = Removed::default();
        for (last, digest) in idle {
            let is_old = now.duration_since(last).unwrap_or_default() >= age;
            if !is_old && removed.bytes >= bytes {
                break;
            }
            let one = self.remove_digest(&digest, false)?;
            removed.untagged.extend(one.untagged);
            removed.deleted.extend(one.deleted);
            removed.bytes += one.bytes;
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store_module;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    struct Fixture {
        _dir: tempfile::TempDir,
        store: ImageStore,
        now: SystemTime,
    }

    /// Images `a:v1`, `b:v1` and `c:v1`, used three, two and one days ago.
    fn fixture() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let store = ImageStore::open(dir.path().join("store")).unwrap();
        let now = SystemTime::now();
        for (name, days) in [("a:v1", 3), ("b:v1", 2), ("c:v1", 1)] {
            let (wasm, reference) = (dir.path().join("app.wasm"), name.parse::<Reference>().unwrap());
            fs::write(&wasm, format!("\0asm{name}{}", "x".repeat(1000))).unwrap();
            let digest = store_module(&store, &reference, &wasm, "wasip2", "2026-01-01T00:00:00Z").unwrap();
            let mark = fs::File::options().append(true).open(store.mark(&reference.repository, &digest)).unwrap();
            mark.set_modified(now - days * DAY).unwrap();
        }
        Fixture { _dir: dir, store, now }
    }

    impl Fixture {
        #[track_caller]
        fn check(&self, stays: &str, age: Duration, bytes: u64, left: &[&str]) {
            self.store.evict(|repository, _| repository == stays, self.now, age, bytes).unwrap();
            let names: Vec<String> = self.store.list().into_iter().map(|image| image.name).collect();
            assert_eq!(names, left);
        }
    }

    #[test]
    fn what_was_not_used_for_long_goes() {
        let fixture = fixture();
        fixture.check("", 4 * DAY, 0, &["a:v1", "b:v1", "c:v1"]);
        fixture.check("a", 2 * DAY, 0, &["a:v1", "c:v1"]);
    }

    #[test]
    fn a_full_disk_loses_the_longest_unused_first() {
        let fixture = fixture();
        fixture.check("", 9 * DAY, 1, &["b:v1", "c:v1"]);
        fixture.check("b", 9 * DAY, u64::MAX, &["b:v1"]);
    }

    #[test]
    fn use_keeps_an_image() {
        let fixture = fixture();
        let name: Reference = "a:v1".parse().unwrap();
        fixture.store.touch(&name, &fixture.store.find(&name).unwrap());
        fixture.check("", 9 * DAY, 1, &["a:v1", "c:v1"]);
    }
}
