//! The PriorityClasses that every cluster has.

use serde_json::{Value, json};
use wasmk_api::{Key, Snapshot};
use wasmk_controllers::Write;

const CLASSES: [(&str, i64, &str); 2] = [
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
];

/// Those that are missing.
pub(super) fn plan_priorities(snapshot: &Snapshot) -> Vec<Write> {
    let classes = CLASSES.iter().map(|(name, value, description)| {
        (Key::new("priorityclasses.scheduling.k8s.io", "", name), class(name, *value, description))
    });
    let missing = classes.filter(|(key, _)| snapshot.get(key).is_none());
    missing.map(|(key, value)| Write::Create { key, value }).collect()
}

fn class(name: &str, value: i64, description: &str) -> Value {
    json!({
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name},
        "value": value, "description": description, "preemptionPolicy": "PreemptLowerPriority",
    })
}
