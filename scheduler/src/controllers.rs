use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};
use wasmk_api::{Reason, Snapshot, Status, Transaction, write};
use wasmk_controllers::{Broken, Planned, Planner, Settings};
use wasmk_store::{CommitError, Store};

use crate::events::{EventRecorder, Occurrence};
use crate::pace::Pace;
use crate::prepare::prepare;
use crate::runtime::off_the_runtime;

/// Keys that one round plans: large enough that the store makes one durable write of them, small enough that a
/// round's snapshot is still fresh when it commits.
const ROUND_KEYS_MAX: usize = 512;

/// The loop around every controller: look at the latest snapshot, plan, commit each plan whole, and begin anew when
/// the store has changed or a plan's time has come.
#[derive(Clone)]
pub(crate) struct ControllersTask {
    store: Arc<dyn Store>,
    settings: Settings,
    write_settings: write::Settings,
    recorder: EventRecorder,
}

/// A plan, and the transaction that it means, unless the API refuses it.
struct Round {
    planned: Planned,
    transaction: Result<Transaction, Status>,
}

enum Outcome {
    Committed,
    Conflict,
    /// The API does not accept what the controller wants.
    Refused(Status),
    /// The store does not write.
    Failed,
    Closed,
}

impl ControllersTask {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        settings: Settings,
        write_settings: write::Settings,
        recorder: EventRecorder,
    ) -> Self {
        Self { store, settings, write_settings, recorder }
    }

    /// Ends at shutdown, or when the store closes. Starting again is always safe.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut revisions = self.store.revisions();
        let mut pace = Pace::default();
        let (snapshot, settings) = (self.store.snapshot(), self.settings.clone());
        let mut planner = off_the_runtime(move || Planner::new(snapshot, Timestamp::now(), settings)).await;
        while !shutdown.is_cancelled() {
            let begun = Instant::now();
            revisions.borrow_and_update();
            let snapshot = self.store.snapshot();
            let settings = self.write_settings.clone();
            let (back, rounds) = off_the_runtime(move || plan(planner, snapshot, &settings)).await;
            planner = back;
            let pause = if !planner.has_work() {
                pace.idle();
                None
            } else {
                if !self.commit(&mut planner, rounds, &mut pace).await {
                    return;
                }
                Some(pace.pause(begun.elapsed()))
            };
            let woken = wait(&mut revisions, pause, planner.wake_at());
            // Both arms are cancel-safe: nothing is taken from anywhere.
            tokio::select! {
                () = shutdown.cancelled() => return,
                open = woken => if !open { return },
            }
        }
    }

    /// False when the store has closed. All plans of a round are committed at once: the store makes one write of them.
    async fn commit(&self, planner: &mut Planner, rounds: Vec<Round>, pace: &mut Pace) -> bool {
        let commits = rounds.into_iter().map(|Round { planned, transaction }| async {
            let outcome = self.commit_one(&planned, transaction).await;
            (planned, outcome)
        });
        pace.succeeded();
        let at = Timestamp::now();
        for (planned, outcome) in join_all(commits).await {
            match outcome {
                Outcome::Committed => {
                    planned.plan.events.into_iter().for_each(|event| self.recorder.record(Occurrence::new(event, at)));
                }
                // The planner looks again at whatever it wanted to write.
                Outcome::Conflict => {}
                Outcome::Refused(status) => {
                    warn!(controller = planned.controller, key = %planned.key, %status, "a plan is refused");
                    planner.refused(&planned, &status.message, Timestamp::now());
                }
                Outcome::Failed => pace.failed(),
                Outcome::Closed => return false,
            }
        }
        true
    }

    async fn commit_one(&self, planned: &Planned, transaction: Result<Transaction, Status>) -> Outcome {
        let transaction = match transaction {
            Ok(transaction) => transaction,
            Err(status) if status.reason == Reason::Conflict => return Outcome::Conflict,
            Err(status) => return Outcome::Refused(status),
        };
        if transaction.ops.is_empty() {
            return match planned.plan.actions.is_empty() {
                true => Outcome::Committed,
                // A bug of the controller: it would want the same again at once, and for ever.
                false => Outcome::Refused(Status::new(Reason::InternalError, "the plan changes nothing")),
            };
        }
        let (controller, key) = (planned.controller, &planned.key);
        match self.store.commit(transaction).await {
            Ok(committed) => {
                debug!(controller, %key, revision = committed.revision, plan = %planned.plan, "committed");
                Outcome::Committed
            }
            Err(CommitError::Conflict(conflict)) => {
                debug!(controller, %key, %conflict, "somebody was faster");
                Outcome::Conflict
            }
            Err(CommitError::Unavailable(_)) => Outcome::Failed,
            Err(CommitError::Closed) => Outcome::Closed,
        }
    }
}

fn plan(mut planner: Planner, snapshot: Snapshot, settings: &write::Settings) -> (Planner, Vec<Round>) {
    let now = Timestamp::now();
    planner.observe(snapshot.clone(), now);
    let plans = planner.plan(now, ROUND_KEYS_MAX).into_iter();
    let rounds = plans.map(|planned| {
        let writes = planned.plan.actions.iter().map(|action| action.write.clone()).collect();
        let prepared = contained(|| prepare(&snapshot, writes, settings, now));
        Round { transaction: prepared, planned }
    });
    let rounds = rounds.collect();
    for Broken { controller, key, message } in planner.take_broken() {
        error!(controller, %key, "a controller met a bug: {message}; it looks at the object again after a while");
    }
    (planner, rounds)
}

/// A panic over one object is that object's refusal: everybody else's plans go on.
fn contained<T>(work: impl FnOnce() -> Result<T, Status>) -> Result<T, Status> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Status::new(Reason::InternalError, "a bug in preparing the write; the panic is reported above"))
    })
}

/// Waits for `pause` if there is one, otherwise for a change or until `wake_at`. False when the store has closed.
async fn wait(
    revisions: &mut watch::Receiver<u64>,
    pause: Option<std::time::Duration>,
    wake_at: Option<Timestamp>,
) -> bool {
    if let Some(pause) = pause {
        tokio::time::sleep(pause).await;
        return true;
    }
    let timer = async {
        match wake_at {
            // At least a millisecond, so that a clock that stands still cannot make a hot loop.
            Some(at) => tokio::time::sleep(until(at).max(std::time::Duration::from_millis(1))).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        changed = revisions.changed() => changed.is_ok(),
        () = timer => true,
    }
}

fn until(at: Timestamp) -> std::time::Duration {
    std::time::Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_over_one_write_is_its_refusal() {
        let refused = contained::<()>(|| panic!("over one object")).unwrap_err();
        assert_eq!(refused.reason, Reason::InternalError);
        assert!(contained(|| Ok(())).is_ok());
    }
}
