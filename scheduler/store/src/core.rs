use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;
use wasmk_api::{Change, ResourceName, Snapshot};

use crate::history::{History, Limits, encode};
use crate::{Batch, Scope, WatchError};

/// Batches that one read of the history takes at most: enough to spare the lock, little enough to hold it shortly.
const READ_BATCHES_MAX: usize = 64;

/// What both backends share: the current snapshot, the recent past, and who waits for news.
pub(crate) struct Core {
    /// Held for moments, never over an `.await`.
    state: RwLock<State>,
}

struct State {
    snapshot: Snapshot,
    history: History,
    /// `None` once the store is closed.
    revisions: Option<watch::Sender<u64>>,
}

/// What a watch found when it looked.
pub(crate) enum Read {
    Batches(Vec<Batch>),
    /// Nothing in scope up to this revision.
    Nothing(u64),
    Compacted {
        oldest: u64,
    },
    Closed,
}

impl Core {
    pub(crate) fn new(snapshot: Snapshot, limits: Limits) -> Self {
        let revision = snapshot.revision();
        let history = History::new(revision, limits);
        Self { state: RwLock::new(State { snapshot, history, revisions: Some(watch::Sender::new(revision)) }) }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.read().snapshot.clone()
    }

    pub(crate) fn snapshot_at(&self, revision: u64, resource: &ResourceName) -> Result<Snapshot, WatchError> {
        let (snapshot, undone) = {
            let state = self.read();
            state.check_revision(revision, resource)?;
            let ring = state.history.get(resource);
            let batches = ring.and_then(|ring| ring.after(revision)).into_iter().flatten();
            (state.snapshot.clone(), batches.rev().cloned().collect::<Vec<_>>())
        };
        let changes = undone.iter().flat_map(|batch| batch.changes.iter().rev());
        Ok(snapshot.undo(revision, changes))
    }

    /// Makes `snapshot`, which the `batches` of changes led to, what everyone sees, and wakes who waits for it.
    pub(crate) fn publish(&self, snapshot: Snapshot, batches: &[(u64, &[Change])]) {
        batches.iter().for_each(|(_, changes)| encode(changes));
        let mut woken = HashMap::new();
        let revision = snapshot.revision();
        let revisions = {
            let mut state = self.write();
            for (revision, changes) in batches {
                state.history.push(*revision, changes, &mut woken);
            }
            state.snapshot = snapshot;
            state.revisions.clone()
        };
        woken.into_values().for_each(|wake| wake.send());
        if let Some(revisions) = revisions {
            revisions.send_replace(revision);
        }
    }

    pub(crate) fn check_watch(&self, after: u64, resource: &ResourceName) -> Result<watch::Receiver<u64>, WatchError> {
        let mut state = self.write();
        state.check_revision(after, resource)?;
        Ok(state.history.ring(resource).subscribe())
    }

    /// The next batches in `scope` after `cursor`.
    pub(crate) fn read_after(&self, cursor: u64, scope: &Scope) -> Read {
        let state = self.read();
        if state.revisions.is_none() {
            return Read::Closed;
        }
        let Some(ring) = state.history.get(&scope.resource) else {
            return Read::Nothing(state.snapshot.revision());
        };
        let Some(batches) = ring.after(cursor) else {
            return Read::Compacted { oldest: ring.floor() };
        };
        let found: Vec<Batch> = batches.filter_map(|batch| in_scope(batch, scope)).take(READ_BATCHES_MAX).collect();
        if found.is_empty() { Read::Nothing(state.snapshot.revision()) } else { Read::Batches(found) }
    }

    pub(crate) fn revisions(&self) -> watch::Receiver<u64> {
        let state = self.read();
        match &state.revisions {
            Some(revisions) => revisions.subscribe(),
            None => watch::Sender::new(state.snapshot.revision()).subscribe(),
        }
    }

    pub(crate) fn revisions_of(&self, resource: &ResourceName) -> watch::Receiver<u64> {
        let mut state = self.write();
        match &state.revisions {
            Some(_) => state.history.ring(resource).subscribe(),
            None => watch::Sender::new(state.snapshot.revision()).subscribe(),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.read().revisions.is_none()
    }

    /// Ends every watch. The last snapshot stays readable.
    pub(crate) fn close(&self) {
        let mut state = self.write();
        state.revisions = None;
        state.history.clear();
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        // Nothing in here panics half-way: the state is whole even if the lock is poisoned.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check_revision(&self, revision: u64, resource: &ResourceName) -> Result<(), WatchError> {
        if self.revisions.is_none() {
            return Err(WatchError::Closed);
        }
        let current = self.snapshot.revision();
        if revision > current {
            return Err(WatchError::Future { current });
        }
        let oldest = self.history.floor(resource);
        if revision < oldest { Err(WatchError::Compacted { oldest }) } else { Ok(()) }
    }
}

fn in_scope(batch: &Batch, scope: &Scope) -> Option<Batch> {
    if scope.is_whole_resource() {
        return Some(batch.clone());
    }
    let changes: Vec<Change> = batch.changes.iter().filter(|change| scope.covers(change)).cloned().collect();
    (!changes.is_empty()).then(|| Batch { revision: batch.revision, changes: changes.into() })
}
