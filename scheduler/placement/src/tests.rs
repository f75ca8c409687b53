mod cases;
mod properties;

use std::sync::Arc;

use serde_json::{Value, json};
use wasmk_api::{Key, Object, Snapshot};

use crate::PlacementPlan;

fn object(resource: &str, value: Value) -> Arc<Object> {
    let text = |field: &str| value["metadata"][field].as_str().unwrap_or_default().to_owned();
    let key = Key::new(resource, &text("namespace"), &text("name"));
    Object::new(key, 1, value)
}

/// A ready node; `patch` is merged into it.
fn node(name: &str, cpu: &str, memory: &str, patch: Value) -> Arc<Object> {
    let mut value = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": {},
        "status": {
            "allocatable": {"cpu": cpu, "memory": memory, "pods": "110", "ephemeral-storage": "100Gi"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    });
    merge(&mut value, patch);
    object("nodes", value)
}

/// A waiting pod with one container; `spec` is merged into its spec.
fn pod(name: &str, owner: &str, requests: Value, spec: Value) -> Arc<Object> {
    let mut value = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "default", "uid": format!("uid-{name}"), "labels": {"app": owner},
            "ownerReferences": [{"uid": owner, "controller": true, "kind": "ReplicaSet", "name": owner}],
        },
        "spec": {"containers": [{"name": "main", "image": "app:v1", "resources": {"requests": requests}}]},
    });
    merge(&mut value["spec"], spec);
    object("pods", value)
}

fn merge(target: &mut Value, patch: Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch,
    }
}

fn snapshot(objects: &[Arc<Object>]) -> Snapshot {
    Snapshot::from_objects(1, objects.iter().cloned())
}

fn render(plan: &PlacementPlan) -> String {
    let bindings = plan.bindings.iter().map(|binding| format!("{} -> {}\n", binding.pod.name, binding.node));
    let refusals = plan.refusals.iter().map(|refusal| format!("{} waits: {}\n", refusal.pod.name, refusal.message));
    bindings.chain(refusals).collect()
}
