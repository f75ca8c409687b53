use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::{SourceData, SourceKind, SourceRef};
use crate::files;

/// Copies of what pods have used, for starts without the server.
pub(super) struct Disk {
    dir: PathBuf,
    /// What is on disk, so that nothing is written twice.
    kept: Mutex<HashMap<PathBuf, Arc<SourceData>>>,
}

impl Disk {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, kept: Mutex::default() }
    }

    /// Best effort: without it only a start without the server fails.
    pub(super) fn keep(&self, namespace: &str, source: &SourceRef, data: &Arc<SourceData>) {
        let path = self.path(namespace, source);
        let mut kept = self.kept.lock().expect("no panic while held");
        if kept.get(&path).is_some_and(|old| Arc::ptr_eq(old, data) || old == data) {
            return;
        }
        let written = serde_json::to_vec(data.as_ref()).map_err(std::io::Error::from);
        match written.and_then(|bytes| files::write_private(&path, &bytes)) {
            Ok(()) => drop(kept.insert(path, data.clone())),
            Err(error) => tracing::warn!(path = %path.display(), %error, "configuration was not kept"),
        }
    }

    pub(super) fn load(&self, namespace: &str, source: &SourceRef) -> Option<Arc<SourceData>> {
        let bytes = std::fs::read(self.path(namespace, source)).ok()?;
        serde_json::from_slice(&bytes).ok().map(Arc::new)
    }

    fn path(&self, namespace: &str, source: &SourceRef) -> PathBuf {
        let kind = match source.kind {
            SourceKind::ConfigMap => "configmaps",
            SourceKind::Secret => "secrets",
        };
        self.dir.join(kind).join(namespace).join(format!("{}.json", source.name))
    }
}
