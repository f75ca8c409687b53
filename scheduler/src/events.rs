mod merge;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use wasmk_api::{Key, Transaction};
use wasmk_controllers::EventType;
use wasmk_store::{CommitError, Store};

/// Occurrences that wait to be written. More than that at once is a flood, whose rest is dropped.
const WAITING_MAX: usize = 4096;
/// Occurrences in one transaction.
const BATCH_MAX: usize = 256;
/// An Event that someone else changes at the same moment is tried this often.
const ATTEMPTS_MAX: usize = 3;

/// Something worth telling the user about an object.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Occurrence {
    pub(crate) about: Key,
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) uid: String,
    pub(crate) event_type: EventType,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) component: &'static str,
    /// When it was decided, which is before anyone could act on it: what follows from it has a later time.
    pub(crate) at: Timestamp,
}

/// Takes occurrences from everyone, without making anyone wait.
#[derive(Clone)]
pub(crate) struct EventRecorder {
    waiting: mpsc::Sender<Occurrence>,
}

/// Writes occurrences as Event objects; an occurrence that repeats only raises a count.
pub(crate) struct EventTask {
    store: Arc<dyn Store>,
    waiting: mpsc::Receiver<Occurrence>,
}

pub(crate) fn events(store: Arc<dyn Store>) -> (EventRecorder, EventTask) {
    let (sender, waiting) = mpsc::channel(WAITING_MAX);
    (EventRecorder { waiting: sender }, EventTask { store, waiting })
}

impl EventRecorder {
    pub(crate) fn record(&self, occurrence: Occurrence) {
        if let Err(error) = self.waiting.try_send(occurrence) {
            let lost = match &error {
                mpsc::error::TrySendError::Full(lost) | mpsc::error::TrySendError::Closed(lost) => lost,
            };
            warn!(about = %lost.about, reason = lost.reason, "too many events at once: one is lost");
        }
    }
}

impl EventTask {
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            // Both arms are cancel-safe: `recv_many` leaves in the channel what it did not return.
            let count = tokio::select! {
                () = shutdown.cancelled() => break,
                count = self.waiting.recv_many(&mut batch, BATCH_MAX) => count,
            };
            if count == 0 {
                break;
            }
            self.write(&batch).await;
            batch.clear();
        }
    }

    async fn write(&self, batch: &[Occurrence]) {
        for attempt in 1..=ATTEMPTS_MAX {
            let ops = merge::merge(&self.store.snapshot(), batch, || uuid::Uuid::new_v4().to_string());
            match self.store.commit(Transaction { ops }).await {
                Ok(_) | Err(CommitError::Closed) => return,
                Err(CommitError::Conflict(_)) if attempt < ATTEMPTS_MAX => {}
                Err(error) => return warn!(%error, events = batch.len(), "events are lost"),
            }
        }
    }
}

impl Occurrence {
    pub(crate) fn new(record: wasmk_controllers::EventRecord, at: Timestamp) -> Self {
        Self {
            about: record.about,
            api_version: record.api_version,
            kind: record.kind,
            uid: record.uid,
            event_type: record.event_type,
            reason: record.reason.as_str(),
            message: record.message,
            component: record.component,
            at,
        }
    }
}
