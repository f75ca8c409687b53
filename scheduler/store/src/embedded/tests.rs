use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use serde_json::json;
use wasmk_api::{Key, Op, Precondition, Snapshot, Transaction};

use super::EmbeddedStore;
use super::file::File;
use crate::history::Limits;
use crate::{CommitError, Scope, Store};

/// Storage that works until it is told to fail.
#[derive(Debug)]
struct Failing {
    storage: InMemoryBackend,
    full: Arc<AtomicBool>,
}

impl StorageBackend for Failing {
    fn len(&self) -> io::Result<u64> {
        self.storage.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.storage.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.storage.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.full.load(Ordering::Relaxed) {
            true => Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on device")),
            false => self.storage.sync_data(),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.storage.write(offset, data)
    }
}

fn put(name: &str) -> Transaction {
    let op = Op::Put {
        key: Key::new("pods", "default", name),
        value: json!({"metadata": {"name": name}}),
        precondition: Precondition::Any,
    };
    Transaction { ops: vec![op] }
}

#[tokio::test]
async fn a_write_that_fails_is_never_shown_and_the_store_serves_reads() {
    let full = Arc::new(AtomicBool::new(false));
    let file = File::over(Failing { storage: InMemoryBackend::new(), full: full.clone() });
    let store = EmbeddedStore::start(file, Snapshot::default(), Limits::default()).unwrap();
    store.commit(put("a")).await.unwrap();
    let mut watch = store.watch(1, Scope::all("pods")).unwrap();

    full.store(true, Ordering::Relaxed);
    let error = store.commit(put("b")).await.unwrap_err();
    let CommitError::Unavailable(source) = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("no space left"), "{source}");
    assert_eq!(store.snapshot().revision(), 1);
    assert!(matches!(watch.try_next(), Some(Ok(None))));

    // Space that comes back does not help: what is on the disk is not known any more.
    full.store(false, Ordering::Relaxed);
    assert!(matches!(store.commit(put("c")).await, Err(CommitError::Unavailable(_))));
    assert_eq!(store.snapshot().len(), 1);
}
