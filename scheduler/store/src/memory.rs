use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;
use wasmk_api::{ResourceName, Snapshot, Transaction};

use crate::core::Core;
use crate::history::Limits;
use crate::{CommitError, Committed, Scope, Store, Watch, WatchError};

/// A store that forgets everything when it is dropped; for tests and simulations.
pub struct MemoryStore {
    core: Arc<Core>,
    /// Held from reading the snapshot to publishing its successor, so that revisions are distinct and in order.
    commit: Mutex<()>,
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::from_snapshot(Snapshot::default())
    }

    /// Begins with what `snapshot` holds.
    pub fn from_snapshot(snapshot: Snapshot) -> Self {
        Self { core: Arc::new(Core::new(snapshot, Limits::default())), commit: Mutex::new(()) }
    }

    /// A store that remembers `batches_max` changes of each resource; for tests of what happens to slow readers.
    pub fn with_history(batches_max: usize) -> Self {
        let limits = Limits { batches_max, ..Limits::default() };
        Self { core: Arc::new(Core::new(Snapshot::default(), limits)), commit: Mutex::new(()) }
    }

    fn commit_now(&self, transaction: &Transaction) -> Result<Committed, CommitError> {
        let _guard = self.commit.lock().unwrap_or_else(PoisonError::into_inner);
        if self.core.is_closed() {
            return Err(CommitError::Closed);
        }
        let (next, changes) = self.core.snapshot().apply(transaction)?;
        let revision = next.revision();
        if !changes.is_empty() {
            self.core.publish(next, &[(revision, &changes)]);
        }
        Ok(Committed { revision, changes })
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn snapshot(&self) -> Snapshot {
        self.core.snapshot()
    }

    fn snapshot_at(&self, revision: u64, resource: &ResourceName) -> Result<Snapshot, WatchError> {
        self.core.snapshot_at(revision, resource)
    }

    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        self.commit_now(&transaction)
    }

    fn watch(&self, after_revision: u64, scope: Scope) -> Result<Watch, WatchError> {
        Watch::new(self.core.clone(), after_revision, scope)
    }

    fn revisions(&self) -> watch::Receiver<u64> {
        self.core.revisions()
    }

    fn revisions_of(&self, resource: &ResourceName) -> watch::Receiver<u64> {
        self.core.revisions_of(resource)
    }

    async fn close(&self) {
        self.core.close();
    }
}
