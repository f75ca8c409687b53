use std::sync::Arc;

use tokio::sync::watch::Receiver;
use wasmk_api::ResourceName;
use wasmk_api::kind::{self, Kind};
use wasmk_store::Store;

/// What defines a custom kind. With it goes the watch: when the definition goes, and when it changes such that its objects
/// look otherwise, as in Kubernetes.
pub(super) struct Definition {
    kind: &'static Kind,
    store: Arc<dyn Store>,
    revisions: Receiver<u64>,
}

impl Definition {
    /// `None` for kinds of the registry, which stay what they are.
    pub(super) fn of(kind: &'static Kind, store: &Arc<dyn Store>) -> Option<Self> {
        if kind::by_path(kind.group, kind.version, kind.plural).is_some() {
            return None;
        }
        let mut revisions = store.revisions_of(&ResourceName::new("customresourcedefinitions", "apiextensions.k8s.io"));
        // It may have changed since the request was read.
        revisions.mark_changed();
        Some(Self { kind, store: store.clone(), revisions })
    }

    /// Returns the revision at which the kind was seen not to be the same any more. Cancel-safe: what was seen is looked at
    /// before anything is waited for.
    pub(super) async fn gone(&mut self) -> u64 {
        let Kind { group, version, plural, .. } = *self.kind;
        while self.revisions.changed().await.is_ok() {
            let snapshot = self.store.snapshot();
            let now = kind::find_path(&snapshot, group, version, plural);
            if !now.is_some_and(|now| std::ptr::eq(now, self.kind)) {
                return snapshot.revision();
            }
        }
        // The store has closed, which ends the watch anyway.
        std::future::pending().await
    }
}
