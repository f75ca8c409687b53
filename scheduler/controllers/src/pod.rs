//! Questions about pods, answered from their JSON: pods are many, and each plan needs only a few of their fields.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use wasmk_api::Object;

use crate::Reason;
use crate::json::condition;

pub(crate) fn node_name(pod: &Object) -> Option<&str> {
    pod.value()["spec"]["nodeName"].as_str().filter(|name| !name.is_empty())
}

pub(crate) fn phase(pod: &Object) -> &str {
    pod.value()["status"]["phase"].as_str().unwrap_or("Pending")
}

/// Succeeded or Failed: it will never run again.
pub(crate) fn is_finished(pod: &Object) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Counts as a replica.
pub(crate) fn is_active(pod: &Object) -> bool {
    !is_finished(pod) && !pod.is_deleting()
}

pub(crate) fn is_ready(pod: &Object) -> bool {
    ready_condition(pod).is_some_and(|ready| ready["status"] == "True")
}

/// When the Ready condition last changed.
pub(crate) fn ready_since(pod: &Object) -> Option<Timestamp> {
    ready_condition(pod)?["lastTransitionTime"].as_str()?.parse().ok()
}

/// When a ready pod will have been ready for `min_ready` seconds; `None` if it is not ready.
pub(crate) fn available_at(pod: &Object, min_ready_seconds: i64) -> Option<Timestamp> {
    if !is_ready(pod) {
        return None;
    }
    let since = ready_since(pod).unwrap_or(Timestamp::UNIX_EPOCH);
    since.checked_add(SignedDuration::from_secs(min_ready_seconds)).ok()
}

/// The control plane, not the agent, said that the pod is not ready.
pub(crate) fn is_marked_unreachable(pod: &Object) -> bool {
    ready_condition(pod).is_some_and(|ready| ready["reason"] == Reason::NodeUnreachable.as_str())
}

/// Restarts of the container that restarted most.
pub(crate) fn restarts_max(pod: &Object) -> i64 {
    let statuses = pod.value()["status"]["containerStatuses"].as_array().into_iter().flatten();
    statuses.filter_map(|status| status["restartCount"].as_i64()).max().unwrap_or(0)
}

fn ready_condition(pod: &Object) -> Option<&Value> {
    condition(&pod.value()["status"], "Ready")
}
