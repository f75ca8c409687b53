use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{CHECKSUM, CODE, Cache, SCRATCH};

/// A compiler that died left it.
const STALE_SCRATCH: Duration = Duration::from_secs(24 * 60 * 60);

impl Cache {
    /// Removes what was not used for `age` and is not in use now, by the name of its entry; answers how many bytes that
    /// were. Entries of other builds go in the same way.
    pub(crate) fn collect(&self, is_used: impl Fn(&str) -> bool, now: SystemTime, age: Duration) -> io::Result<u64> {
        let mut freed = 0;
        for file in fs::read_dir(&self.dir)?.flatten() {
            let path = file.path();
            let file_name = file.file_name().to_string_lossy().into_owned();
            let size = file.metadata().map_or(0, |metadata| metadata.len());
            let is_garbage = if file_name.starts_with(SCRATCH) {
                is_old(&path, now, STALE_SCRATCH)
            } else if let Some(name) = file_name.strip_suffix(&format!(".{CODE}")) {
                // The times of an entry are its checksum's.
                let dated = path.with_extension(CHECKSUM);
                let dated = if dated.exists() { dated } else { path.clone() };
                !is_used(name) && is_old(&dated, now, age)
            } else {
                false
            };
            if is_garbage {
                fs::remove_file(&path)?;
                let _ = fs::remove_file(path.with_extension(CHECKSUM));
                freed += size;
            }
        }
        Ok(freed)
    }
}

fn is_old(path: &Path, now: SystemTime, age: Duration) -> bool {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| now.duration_since(modified).unwrap_or_default() >= age)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn what_nobody_used_goes_and_what_is_in_use_stays() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), "flavor".into()).unwrap();
        let store = |digest: &str| {
            let scratch = cache.scratch().unwrap();
            fs::write(&scratch, b"code").unwrap();
            let entry = cache.entry(digest);
            entry.store(scratch).unwrap();
            entry
        };
        let (used, idle) = (store("sha256:1"), store("sha256:2"));
        let is_used = |name: &str| name == used.name();
        let collect = |hours: u32| cache.collect(is_used, SystemTime::now() + hours * HOUR, 2 * HOUR).unwrap();
        assert_eq!(collect(1), 0, "young");
        assert_eq!(collect(3), 4);
        assert!(used.is_intact() && !idle.code().exists() && fs::read_dir(dir.path()).unwrap().count() == 2);
    }

    #[test]
    fn use_keeps_an_entry_young_and_dead_compilers_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), "flavor".into()).unwrap();
        let scratch = cache.scratch().unwrap();
        fs::write(&scratch, b"half").unwrap();
        scratch.keep().unwrap();
        let old = SystemTime::now() - 48 * HOUR;
        for file in fs::read_dir(dir.path()).unwrap().flatten() {
            fs::File::options().append(true).open(file.path()).unwrap().set_modified(old).unwrap();
        }
        let entry = cache.entry("sha256:1");
        let fresh = cache.scratch().unwrap();
        fs::write(&fresh, b"code").unwrap();
        entry.store(fresh).unwrap();
        fs::File::options().append(true).open(&entry.checksum).unwrap().set_modified(old).unwrap();
        entry.touch();
        assert_eq!(cache.collect(|_| false, SystemTime::now(), 24 * HOUR).unwrap(), 4, "the dead compiler's file");
        assert!(entry.is_intact());
    }
}
