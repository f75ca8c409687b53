//! What probe results add up to.

use std::time::Duration;

use jiff::Timestamp;

use super::state::{ProbeState, later};
use super::{ProbeKind, ProbeModel};

/// Before its first success a probe is retried sooner than its period says: guests are up in milliseconds, and waiting
/// a period (10 s by default) for the first look would be all of their start-up. Such early failures do not count.
const EAGER_FIRST: Duration = Duration::from_millis(20);

/// The probe did not fail often enough yet to be believed, or it did.
pub(super) fn observe(state: &mut ProbeState, kind: ProbeKind, model: &ProbeModel, success: bool, now: Timestamp) {
    state.in_flight = false;
    if success {
        state.successes += 1;
        state.failures = 0;
        state.next_at = later(now, model.period);
        if state.successes >= model.success_threshold {
            state.healthy = Some(true);
        }
        return;
    }
    state.successes = 0;
    if let Some(delay) = eager_delay(state, kind, model) {
        state.eager += 1;
        state.next_at = later(now, delay);
        return;
    }
    state.failures += 1;
    state.next_at = later(now, model.period);
    if state.failures >= model.failure_threshold {
        state.healthy = Some(false);
    }
}

/// Only probes whose failure kills have a message for it.
pub(super) fn kill_message(kind: ProbeKind, container: &str) -> Option<String> {
    match kind {
        ProbeKind::Readiness => None,
        ProbeKind::Liveness => Some(format!("Container {container} failed liveness probe, will be restarted")),
        ProbeKind::Startup => Some(format!("Container {container} failed startup probe, will be restarted")),
    }
}

/// Whether this failure is one of the quick retries, which nobody needs to hear of.
pub(super) fn eager_delay(state: &ProbeState, kind: ProbeKind, model: &ProbeModel) -> Option<Duration> {
    if kind == ProbeKind::Liveness || state.healthy.is_some() {
        return None;
    }
    let delay = EAGER_FIRST.saturating_mul(1 << state.eager.min(16));
    (delay < model.period).then_some(delay)
}

/// Whether a failure now would count, or be one of the quick retries that nobody needs to hear of.
pub fn counts_failures(state: &super::ContainerState, kind: ProbeKind, model: &ProbeModel) -> bool {
    state.probes.get(&kind).is_some_and(|probe| eager_delay(probe, kind, model).is_none())
}
