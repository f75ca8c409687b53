mod file;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot, watch};
use wasmk_api::{ResourceName, Snapshot, Transaction};

use self::file::File;
use self::writer::{Request, WriterTask};
use crate::core::Core;
use crate::history::Limits;
use crate::{CommitError, Committed, Scope, Store, Watch, WatchError};

/// Transactions that may wait for the disk before callers have to: a few full batches.
const WAITING_TRANSACTIONS_MAX: usize = 4096;

/// A store in one file, for one server. A commit is on the disk when it is acknowledged.
///
/// One thread writes: it takes every transaction that waits, applies each in order, and makes all that succeeded
/// durable with one write. All objects are also held in memory, so reads never touch the file.
pub struct EmbeddedStore {
    core: Arc<Core>,
    /// `None` once the store is closed.
    requests: Mutex<Option<mpsc::Sender<Request>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// The file cannot be opened as a store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("another wasmk uses {}: stop it, or give this one another data directory", path.display())]
    InUse { path: PathBuf },
    #[error("{} was written by a newer wasmk (format {found}, this one knows up to {known}): use that version or a newer one", path.display())]
    NewerFormat { path: PathBuf, found: u64, known: u64 },
    #[error("{} is damaged: restore it from a backup, or move it away to begin anew", path.display())]
    Damaged {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("open {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl EmbeddedStore {
    /// Opens the file at `path`, or creates it, and reads every object. Blocks; recovers the file after a crash.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(path.as_ref(), Limits::default())
    }

    /// As [`EmbeddedStore::open`], with `batches_max` changes of each resource remembered.
    pub fn open_with_history(path: impl AsRef<Path>, batches_max: usize) -> Result<Self, OpenError> {
        Self::open_with(path.as_ref(), Limits { batches_max, ..Limits::default() })
    }

    fn open_with(path: &Path, limits: Limits) -> Result<Self, OpenError> {
        let (file, snapshot) = File::open(path)?;
        Self::start(file, snapshot, limits).map_err(|source| OpenError::Io { path: path.to_owned(), source })
    }

    fn start(file: File, snapshot: Snapshot, limits: Limits) -> io::Result<Self> {
        let core = Arc::new(Core::new(snapshot, limits));
        let (sender, requests) = mpsc::channel(WAITING_TRANSACTIONS_MAX);
        let task = WriterTask::new(core.clone(), file);
        let writer = std::thread::Builder::new().name("wasmk-store".to_owned()).spawn(move || task.run(requests))?;
        Ok(Self { core, requests: Mutex::new(Some(sender)), writer: Mutex::new(Some(writer)) })
    }

    fn sender(&self) -> Option<mpsc::Sender<Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The writer ends by itself when it has worked off what waits.
    fn stop_writer(&self) -> Option<JoinHandle<()>> {
        drop(self.requests.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        // Waits for the last write, so that the file can be opened again at once.
        if let Some(writer) = self.stop_writer() {
            let _ = writer.join();
        }
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    fn snapshot(&self) -> Snapshot {
        self.core.snapshot()
    }

    fn snapshot_at(&self, revision: u64, resource: &ResourceName) -> Result<Snapshot, WatchError> {
        self.core.snapshot_at(revision, resource)
    }

    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        let sender = self.sender().ok_or(CommitError::Closed)?;
        let (reply, answer) = oneshot::channel();
        sender.send(Request { transaction, reply }).await.map_err(|_| CommitError::Closed)?;
        drop(sender);
        answer.await.map_err(|_| CommitError::Closed)?
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
        if let Some(writer) = self.stop_writer() {
            let _ = tokio::task::spawn_blocking(move || writer.join()).await;
        }
        self.core.close();
    }
}
