use std::io;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tracing::error;
use wasmk_api::{Change, Snapshot, Transaction};

use super::file::File;
use crate::core::Core;
use crate::{CommitError, Committed};

/// Transactions in one durable write: enough to hide the disk's latency, few enough to bound what waits behind it.
const BATCH_TRANSACTIONS_MAX: usize = 1024;

pub(super) type Answer = Result<Committed, CommitError>;

pub(super) struct Request {
    pub(super) transaction: Transaction,
    pub(super) reply: oneshot::Sender<Answer>,
}

/// The loop of the only thread that writes.
pub(super) struct WriterTask {
    core: Arc<Core>,
    file: File,
    /// Why nothing can be written any more.
    broken: Option<Arc<io::Error>>,
}

/// The transactions of one durable write, applied but not yet durable.
struct Batch {
    snapshot: Snapshot,
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
}

impl WriterTask {
    pub(super) fn new(core: Arc<Core>, file: File) -> Self {
        Self { core, file, broken: None }
    }

    /// Returns when every sender is gone and all that waited is done.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut waiting = Vec::with_capacity(BATCH_TRANSACTIONS_MAX);
        while requests.blocking_recv_many(&mut waiting, BATCH_TRANSACTIONS_MAX) > 0 {
            self.commit(waiting.drain(..));
        }
    }

    /// Nobody learns of anything in the batch, not even of a conflict, before the batch is durable.
    fn commit(&mut self, requests: impl Iterator<Item = Request>) {
        let batch = Batch::apply(self.core.snapshot(), requests);
        let changed = batch.changed();
        let written = self.write(&batch.snapshot, &changed);
        if written.is_ok() && !changed.is_empty() {
            self.core.publish(batch.snapshot.clone(), &changed);
        }
        for (reply, answer) in batch.answers {
            // The caller may have gone; its transaction stands all the same.
            let _ = reply.send(written.clone().and(answer));
        }
    }

    fn write(&mut self, snapshot: &Snapshot, changed: &[(u64, &[Change])]) -> Result<(), CommitError> {
        if let Some(broken) = &self.broken {
            return Err(CommitError::Unavailable(broken.clone()));
        }
        if changed.is_empty() {
            return Ok(());
        }
        let changes = changed.iter().flat_map(|(_, changes)| changes.iter());
        self.file.write(snapshot.revision(), changes).map_err(|source| {
            error!(error = %source, "cannot write the store; it is read-only until the server is restarted");
            let source = Arc::new(source);
            self.broken = Some(source.clone());
            CommitError::Unavailable(source)
        })
    }
}

impl Batch {
    /// Each transaction sees what those before it did.
    fn apply(mut snapshot: Snapshot, requests: impl Iterator<Item = Request>) -> Self {
        let mut answers = Vec::new();
        for Request { transaction, reply } in requests {
            let answer = match snapshot.apply(&transaction) {
                Ok((next, changes)) => {
                    snapshot = next;
                    Ok(Committed { revision: snapshot.revision(), changes })
                }
                Err(conflict) => Err(CommitError::Conflict(conflict)),
            };
            answers.push((reply, answer));
        }
        Self { snapshot, answers }
    }

    /// The changes of each transaction that changed something, with its revision.
    fn changed(&self) -> Vec<(u64, &[Change])> {
        let committed = self.answers.iter().filter_map(|(_, answer)| answer.as_ref().ok());
        committed
            .filter(|committed| !committed.changes.is_empty())
            .map(|committed| (committed.revision, committed.changes.as_slice()))
            .collect()
    }
}
