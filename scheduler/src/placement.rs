mod bind;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use wasmk_api::{Op, Snapshot, Transaction};
use wasmk_placement::Placer;
use wasmk_store::{CommitError, Store};

use self::bind::{Decision, decide};
use crate::events::EventRecorder;
use crate::pace::Pace;
use crate::runtime::off_the_runtime;

/// Pods that someone else changed since the snapshot, before a whole new plan is cheaper.
const CONFLICTS_MAX: usize = 16;

/// The loop around placement: when pods wait and something changed, all of them are placed at once and bound in one
/// transaction.
#[derive(Clone)]
pub(crate) struct PlacementTask {
    store: Arc<dyn Store>,
    recorder: EventRecorder,
}

enum Outcome {
    Done,
    /// Plan again with a newer snapshot.
    Again,
    Failed,
    Closed,
}

impl PlacementTask {
    pub(crate) fn new(store: Arc<dyn Store>, recorder: EventRecorder) -> Self {
        Self { store, recorder }
    }

    /// Ends at shutdown, or when the store closes. Starting again is always safe.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut pods = self.store.revisions_of(&"pods".into());
        let mut nodes = self.store.revisions_of(&"nodes".into());
        let mut pace = Pace::default();
        let mut placer = Placer::default();
        let mut again = false;
        while !shutdown.is_cancelled() {
            let begun = Instant::now();
            pods.borrow_and_update();
            nodes.borrow_and_update();
            let snapshot = self.store.snapshot();
            let (back, decisions) = off_the_runtime(move || look(placer, snapshot, again)).await;
            placer = back;
            if let Some(decisions) = decisions {
                let outcome = self.commit(decisions).await;
                again = matches!(outcome, Outcome::Again | Outcome::Failed);
                match outcome {
                    Outcome::Done | Outcome::Again => pace.succeeded(),
                    Outcome::Failed => pace.failed(),
                    Outcome::Closed => return,
                }
                tokio::time::sleep(pace.pause(begun.elapsed())).await;
                continue;
            }
            pace.idle();
            // Cancel-safe: nothing is taken from anywhere.
            let open = tokio::select! {
                () = shutdown.cancelled() => return,
                changed = pods.changed() => changed.is_ok(),
                changed = nodes.changed() => changed.is_ok(),
            };
            if !open {
                return;
            }
        }
    }

    async fn commit(&self, mut decisions: Vec<Decision>) -> Outcome {
        for _ in 0..CONFLICTS_MAX {
            if decisions.is_empty() {
                return Outcome::Done;
            }
            let ops: Vec<Op> = decisions.iter().map(|decision| decision.op.clone()).collect();
            match self.store.commit(Transaction { ops }).await {
                Ok(committed) => {
                    debug!(revision = committed.revision, pods = decisions.len(), "placed");
                    decisions.into_iter().for_each(|decision| self.recorder.record(decision.occurrence));
                    return Outcome::Done;
                }
                // The others are not concerned: the pod that changed comes up again by itself.
                Err(CommitError::Conflict(conflict)) => decisions.retain(|decision| decision.pod != conflict.key),
                Err(CommitError::Closed) => return Outcome::Closed,
                Err(error @ CommitError::Unavailable(_)) => {
                    warn!(%error, "placements are not written");
                    return Outcome::Failed;
                }
            }
        }
        Outcome::Again
    }
}

/// What to write, or `None` when another plan could not differ from the last. `again` plans in any case.
fn look(mut placer: Placer, snapshot: Snapshot, again: bool) -> (Placer, Option<Vec<Decision>>) {
    let matters = placer.observe(snapshot.clone());
    if !matters && (!again || placer.waiting() == 0) {
        return (placer, None);
    }
    let decisions = decide(&placer.plan(), &snapshot, Timestamp::now());
    (placer, Some(decisions))
}
