use serde_json::{Value, json};
use wasmk_api::Object;

use super::{Readiness, Verdict};
use crate::Clock;

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Whether pods may have to leave the node.
pub(super) fn evicts(node: &Object) -> bool {
    list(node.value()).iter().any(|taint| taint["effect"] == "NoExecute")
}

pub(super) fn list(node: &Value) -> &[Value] {
    node["spec"]["taints"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Sets the taints that follow from readiness and from `spec.unschedulable`; others are left alone.
pub(super) fn set_taints(node: &mut Value, readiness: Readiness, verdict: Verdict, clock: &Clock) {
    let lost = match readiness {
        Readiness::Ready => None,
        Readiness::NotReady => Some(NOT_READY),
        Readiness::Unknown => Some(UNREACHABLE),
    };
    let mut wanted: Vec<(&str, &str)> = lost.into_iter().map(|key| (key, "NoSchedule")).collect();
    wanted.extend(lost.filter(|_| verdict != Verdict::CutOff).map(|key| (key, "NoExecute")));
    if verdict == Verdict::Unsure {
        wanted.clear();
    }
    if node["spec"]["unschedulable"] == true {
        wanted.push((UNSCHEDULABLE, "NoSchedule"));
    }
    let is = |taint: &Value, (key, effect): (&str, &str)| taint["key"] == key && taint["effect"] == effect;
    let ours = |taint: &Value| taint["key"] == UNSCHEDULABLE || (is_lost(taint) && verdict != Verdict::Unsure);
    let mut taints: Vec<Value> = list(node).to_vec();
    taints.retain(|taint| !ours(taint) || wanted.iter().any(|one| is(taint, *one)));
    for one in wanted {
        if !taints.iter().any(|taint| is(taint, one)) {
            taints.push(json!({"key": one.0, "effect": one.1, "timeAdded": clock.stamp()}));
        }
    }
    // Tolerations for a time count from here.
    for taint in taints.iter_mut().filter(|taint| taint["effect"] == "NoExecute" && taint["timeAdded"].is_null()) {
        taint["timeAdded"] = json!(clock.stamp());
    }
    if taints != list(node) {
        put(node, taints);
    }
}

/// One of the taints of a node that cannot be used.
pub(super) fn is_lost(taint: &Value) -> bool {
    taint["key"] == NOT_READY || taint["key"] == UNREACHABLE
}

fn put(node: &mut Value, taints: Vec<Value>) {
    if !node["spec"].is_object() {
        node["spec"] = json!({});
    }
    let spec = node["spec"].as_object_mut().expect("invariant: it was just made an object");
    if taints.is_empty() {
        spec.remove("taints");
    } else {
        spec.insert("taints".to_owned(), Value::Array(taints));
    }
}
