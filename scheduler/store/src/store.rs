use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;
use wasmk_api::{Change, Conflict, ResourceName, Snapshot, Transaction};

use crate::Watch;

/// A store of objects with one revision counter. See the crate's page for the invariants.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Everything, as of the last acknowledged commit. O(1).
    fn snapshot(&self) -> Snapshot;

    /// A snapshot in which the objects of `resource` are those of `revision`; for lists that are read in chunks.
    /// Objects of other resources, and [`Snapshot::revision`]'s relation to them, are unspecified.
    fn snapshot_at(&self, revision: u64, resource: &ResourceName) -> Result<Snapshot, WatchError>;

    /// Commits all operations or none. Waits while too many transactions wait before it. Once polled, dropping the
    /// future does not take the transaction back.
    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError>;

    /// Changes within `scope` made after `after_revision`, oldest first.
    fn watch(&self, after_revision: u64, scope: Scope) -> Result<Watch, WatchError>;

    /// Wakes with the latest revision after each commit; ends when the store closes.
    fn revisions(&self) -> watch::Receiver<u64>;

    /// As [`Store::revisions`], but only woken by changes to objects of `resource`.
    fn revisions_of(&self, resource: &ResourceName) -> watch::Receiver<u64>;

    /// Refuses new commits, finishes those that wait, ends every watch, and releases the file. Idempotent.
    async fn close(&self);
}

/// A transaction took effect.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The revision of the changes; for a transaction that changed nothing, the revision at which it was checked.
    pub revision: u64,
    /// In the order of the operations.
    pub changes: Vec<Change>,
}

/// A transaction did not take effect.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// Read again and try again.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    #[error("the store is closed")]
    Closed,
    /// The disk failed. The store serves reads, and refuses writes until it is opened again.
    #[error("the store cannot write any more and is read-only until the server is restarted")]
    Unavailable(#[source] Arc<io::Error>),
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum WatchError {
    /// List, then watch from the revision of that list.
    #[error("the history of revisions up to {oldest} is compacted")]
    Compacted { oldest: u64 },
    #[error("the revision is in the future; the store is at {current}")]
    Future { current: u64 },
    #[error("the store is closed")]
    Closed,
}

/// What a watch is about.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Scope {
    pub resource: ResourceName,
    /// `None` for all namespaces.
    pub namespace: Option<Arc<str>>,
    /// `None` for all names.
    pub name: Option<Arc<str>>,
}

impl Scope {
    /// Every object of `resource`, in every namespace.
    pub fn all(resource: impl Into<ResourceName>) -> Self {
        Self { resource: resource.into(), namespace: None, name: None }
    }

    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    pub(crate) fn is_whole_resource(&self) -> bool {
        self.namespace.is_none() && self.name.is_none()
    }

    pub(crate) fn covers(&self, change: &Change) -> bool {
        let key = change.object.key();
        self.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
            && self.name.as_ref().is_none_or(|name| *name == key.name)
    }
}
