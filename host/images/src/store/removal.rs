use std::collections::HashSet;
use std::fs;

use super::{ImageStore, StoreError, io_error};
use crate::{Digest, Reference};

/// What a removal took away.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Removed {
    /// Names.
    pub untagged: Vec<String>,
    /// Manifests and blobs.
    pub deleted: Vec<Digest>,
    pub bytes: u64,
}

impl ImageStore {
    /// Takes a name away. With the last name of an image goes what no other image needs, unless `keeps_content`: then
    /// that is for the garbage collection. `None` when nothing is called so.
    pub fn remove_image(&self, name: &Reference, keeps_content: bool) -> Result<Option<Removed>, StoreError> {
        let _lock = self.lock()?;
        let Some(digest) = self.find(name) else { return Ok(None) };
        let repository = name.full_repository();
        let mut removed = Removed::default();
        match &name.digest {
            Some(_) => self.untag_all(&repository, &digest, &mut removed)?,
            None => self.untag(&repository, name.tag_or_digest(), &mut removed)?,
        }
        if !self.is_tagged(&repository, &digest) && !keeps_content {
            self.forget(&repository, &digest)?;
            self.sweep_image(&digest, &mut removed)?;
        }
        Ok(Some(removed))
    }

    /// Takes all names of an image away, and the image.
    pub fn remove_digest(&self, digest: &Digest, keeps_content: bool) -> Result<Removed, StoreError> {
        let _lock = self.lock()?;
        let mut removed = Removed::default();
        for repository in self.repositories() {
            self.untag_all(&repository, digest, &mut removed)?;
            if !keeps_content {
                self.forget(&repository, digest)?;
            }
        }
        if !keeps_content {
            self.sweep_image(digest, &mut removed)?;
        }
        Ok(removed)
    }

    fn untag(&self, repository: &str, tag: &str, removed: &mut Removed) -> Result<(), StoreError> {
        let path = self.repository(repository).join("tags").join(tag);
        fs::remove_file(&path).map_err(io_error("remove", &path))?;
        removed.untagged.push(format!("{repository}:{tag}"));
        Ok(())
    }

    fn untag_all(&self, repository: &str, digest: &Digest, removed: &mut Removed) -> Result<(), StoreError> {
        for tag in self.tags(repository) {
            if self.resolve(repository, &tag).as_ref() == Some(digest) {
                self.untag(repository, &tag, removed)?;
            }
        }
        Ok(())
    }

    fn is_tagged(&self, repository: &str, digest: &Digest) -> bool {
        self.tags(repository).iter().any(|tag| self.resolve(repository, tag).as_ref() == Some(digest))
    }

    fn forget(&self, repository: &str, digest: &Digest) -> Result<(), StoreError> {
        let mark = self.mark(repository, digest);
        match fs::remove_file(&mark) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error("remove", &mark)(error)),
            _ => Ok(()),
        }
    }

    /// Removes what the image led to, as far as no other image of the store does. The caller holds the lock.
    fn sweep_image(&self, digest: &Digest, removed: &mut Removed) -> Result<(), StoreError> {
        let mut own = HashSet::new();
        self.mark_live(digest, &mut own);
        let mut live = HashSet::new();
        for repository in self.repositories() {
            for other in self.manifests(&repository) {
                self.mark_live(&other, &mut live);
            }
        }
        let mut gone: Vec<&String> = own.difference(&live).collect();
        gone.sort();
        for hex in gone {
            let Ok(blob) = format!("sha256:{hex}").parse::<Digest>() else { continue };
            let path = self.blob_path(&blob);
            let bytes = self.blob_size(&blob).unwrap_or_default();
            if fs::remove_file(&path).is_ok() {
                removed.bytes += bytes;
                removed.deleted.push(blob.clone());
            }
            let rootfs = self.rootfs_path(&blob);
            if rootfs.is_dir() {
                fs::remove_dir_all(&rootfs).map_err(io_error("remove", &rootfs))?;
                let _ = fs::remove_file(self.program_mark(&blob));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store_module;

    fn name(text: &str) -> Reference {
        text.parse().unwrap()
    }

    fn store() -> (tempfile::TempDir, ImageStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = ImageStore::open(dir.path().join("store")).unwrap();
        (dir, store)
    }

    fn image(dir: &tempfile::TempDir, store: &ImageStore, called: &str, content: &str) -> Digest {
        let wasm = dir.path().join("app.wasm");
        fs::write(&wasm, format!("\0asm{content}")).unwrap();
        store_module(store, &name(called), &wasm, "wasip2", "2026-01-01T00:00:00Z").unwrap()
    }

    #[test]
    fn an_image_goes_with_its_last_name() {
        let (dir, store) = store();
        let digest = image(&dir, &store, "a:v1", "one");
        store.tag(&name("a:v1"), &name("b:v2")).unwrap();
        let first = store.remove_image(&name("a:v1"), false).unwrap().unwrap();
        assert_eq!((first.untagged, first.deleted), (vec!["a:v1".to_owned()], Vec::new()));
        store.unpack(&digest).unwrap();
        let last = store.remove_image(&name("b:v2"), false).unwrap().unwrap();
        assert_eq!((last.untagged, last.deleted.len()), (vec!["b:v2".to_owned()], 3));
        assert!(store.images().is_empty() && store.remove_image(&name("b:v2"), false).unwrap().is_none());
    }

    #[test]
    fn what_another_image_needs_stays() {
        let (dir, store) = store();
        let wasm = dir.path().join("app.wasm");
        fs::write(&wasm, "\0asm shared").unwrap();
        let one = store_module(&store, &name("a:v1"), &wasm, "wasip2", "2026-01-01T00:00:00Z").unwrap();
        let two = store_module(&store, &name("a:v2"), &wasm, "wasip2", "2026-01-02T00:00:00Z").unwrap();
        assert_ne!(one, two);
        assert_eq!(store.remove_image(&name("a:v1"), false).unwrap().unwrap().deleted.len(), 2, "manifest and config");
        store.unpack(&two).unwrap();
    }

    #[test]
    fn an_image_without_a_name_goes_by_its_digest() {
        let (dir, store) = store();
        let old = image(&dir, &store, "a:v1", "one");
        let new = image(&dir, &store, "a:v1", "two");
        let dangling: Vec<Digest> =
            store.images().into_iter().filter(|one| one.tag.is_none()).map(|one| one.digest).collect();
        assert_eq!(dangling, std::slice::from_ref(&old));
        assert_eq!(store.find_any(&old.hex()[..12]), Some(old.clone()));
        assert_eq!(store.remove_digest(&old, false).unwrap().deleted.len(), 3);
        store.unpack(&new).unwrap();
    }

    #[test]
    fn what_runs_loses_its_name_alone() {
        let (dir, store) = store();
        let digest = image(&dir, &store, "a:v1", "one");
        let removed = store.remove_image(&name("a:v1"), true).unwrap().unwrap();
        assert!(removed.deleted.is_empty());
        store.unpack(&digest).unwrap();
        assert_eq!(store.images()[0].tag, None);
    }
}
