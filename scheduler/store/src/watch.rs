use std::collections::VecDeque;
use std::sync::Arc;

use futures::Stream;
use tokio::sync::watch;

use crate::core::{Core, Read};
use crate::{Batch, Scope, WatchError};

/// A cursor into the history of one resource. It holds no more than a few batches however slow its reader is.
pub struct Watch {
    core: Arc<Core>,
    scope: Scope,
    /// Read from the history up to this revision.
    cursor: u64,
    /// Read, and not yet given out; each of them in scope.
    ready: VecDeque<Batch>,
    /// The revision of the last batch that was given out, or what is known to have come after it out of scope.
    progress: u64,
    wake: watch::Receiver<u64>,
    /// Nothing comes after a failure.
    failed: bool,
}

impl Watch {
    pub(crate) fn new(core: Arc<Core>, after: u64, scope: Scope) -> Result<Self, WatchError> {
        let wake = core.check_watch(after, &scope.resource)?;
        Ok(Self { core, scope, cursor: after, ready: VecDeque::new(), progress: after, wake, failed: false })
    }

    /// The next batch of changes, of one revision and never empty. `None` when the store has closed, and after an
    /// error. The error is [`WatchError::Compacted`]: the reader was too slow and has to list again.
    ///
    /// Cancel-safe: a batch that was not returned is returned by the next call.
    pub async fn next(&mut self) -> Option<Result<Batch, WatchError>> {
        loop {
            // Marked as seen before the history is read, so that news in between wakes us again.
            self.wake.borrow_and_update();
            match self.try_next() {
                Some(Ok(None)) => self.wake.changed().await.ok()?,
                Some(Ok(Some(batch))) => return Some(Ok(batch)),
                Some(Err(error)) => return Some(Err(error)),
                None => return None,
            }
        }
    }

    /// As [`Watch::next`], but `Some(Ok(None))` instead of waiting.
    pub fn try_next(&mut self) -> Option<Result<Option<Batch>, WatchError>> {
        if self.failed {
            return None;
        }
        if let Err(error) = self.fill()? {
            self.failed = true;
            return Some(Err(error));
        }
        let batch = self.ready.pop_front();
        self.progress = batch.as_ref().map_or(self.progress, |batch| batch.revision);
        Some(Ok(batch))
    }

    /// A revision up to which every change in scope has been given out; what a bookmark says. It moves on with the
    /// store even when nothing in scope changes.
    pub fn progress(&mut self) -> u64 {
        if !self.failed && matches!(self.fill(), Some(Ok(()))) && self.ready.is_empty() {
            self.progress = self.cursor;
        }
        self.progress
    }

    /// The watch as a stream of what [`Watch::next`] yields.
    pub fn into_stream(self) -> impl Stream<Item = Result<Batch, WatchError>> + Send {
        futures::stream::unfold(self, |mut watch| async move { Some((watch.next().await?, watch)) })
    }

    /// Reads on if nothing is ready. `None` when the store has closed.
    fn fill(&mut self) -> Option<Result<(), WatchError>> {
        if !self.ready.is_empty() {
            return Some(Ok(()));
        }
        match self.core.read_after(self.cursor, &self.scope) {
            Read::Nothing(revision) => self.cursor = self.cursor.max(revision),
            Read::Batches(batches) => {
                self.cursor = batches.last().map_or(self.cursor, |batch| batch.revision);
                self.ready = batches.into();
            }
            Read::Compacted { oldest } => return Some(Err(WatchError::Compacted { oldest })),
            Read::Closed => return None,
        }
        Some(Ok(()))
    }
}
