//! What the tests of this crate share.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use wasmk_api::{Key, Op, Precondition, Snapshot, Transaction};
use wasmk_store::{EmbeddedStore, MemoryStore, Store};

/// Makes stores for the suite.
pub(crate) trait Backend {
    fn open(&self) -> Arc<dyn Store>;
    fn open_with_history(&self, batches_max: usize) -> Arc<dyn Store>;
}

pub(crate) struct Memory;

pub(crate) struct Embedded {
    directory: TempDir,
}

impl Embedded {
    pub(crate) fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }
}

impl Backend for Memory {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(MemoryStore::new())
    }

    fn open_with_history(&self, batches_max: usize) -> Arc<dyn Store> {
        Arc::new(MemoryStore::with_history(batches_max))
    }
}

impl Backend for Embedded {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(EmbeddedStore::open(self.directory.path().join("store")).unwrap())
    }

    fn open_with_history(&self, batches_max: usize) -> Arc<dyn Store> {
        Arc::new(EmbeddedStore::open_with_history(self.directory.path().join("store"), batches_max).unwrap())
    }
}

pub(crate) fn key(resource: &str, name: &str) -> Key {
    Key::new(resource, "default", name)
}

pub(crate) fn put(resource: &str, name: &str, number: u64) -> Transaction {
    let value = json!({"metadata": {"name": name, "namespace": "default"}, "spec": {"number": number}});
    Transaction { ops: vec![Op::Put { key: key(resource, name), value, precondition: Precondition::Any }] }
}

pub(crate) fn delete(resource: &str, name: &str) -> Transaction {
    Transaction { ops: vec![Op::Delete { key: key(resource, name), precondition: Precondition::Any }] }
}

pub(crate) fn names(snapshot: &Snapshot, resource: &str) -> Vec<String> {
    snapshot.list(&resource.into(), None).map(|object| object.name().to_owned()).collect()
}

/// A test fails rather than hangs.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it happens in time")
}
