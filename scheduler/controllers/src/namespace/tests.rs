use serde_json::json;
use wasmk_api::Key;

use crate::sim::{Sim, summary};

const ONLY: &[&str] = &["namespace", "garbage-collector", "serviceaccount"];

#[test]
fn a_terminating_namespace_is_emptied_and_then_goes() {
    let mut sim = Sim::new().only(ONLY);
    let team = sim.put("namespaces", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}, "spec": {"finalizers": ["kubernetes"]}}));
    sim.put(
        "configmaps",
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "team"}}),
    );
    sim.put(
        "configmaps",
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}}),
    );
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "b", "namespace": "team", "finalizers": ["example.com/hold"]}, "spec": {"minAvailable": 1},
    });
    let budget = sim.put("poddisruptionbudgets.policy", budget);
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "team"},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]},
    });
    sim.put("pods", pod);
    sim.settle();
    assert_eq!(summary(&sim, "serviceaccounts", &["/metadata/namespace"]).lines().count(), 1, "two of one name");
    sim.delete(&team, None);
    sim.settle();
    let remaining =
        crate::json::condition(&sim.get(&team).value()["status"], "NamespaceContentRemaining").unwrap().clone();
    // What is served in two versions counts once.
    assert_eq!(
        remaining["message"],
        "Some resources are remaining: poddisruptionbudgets.policy has 1 resource instances, pods has 1 resource instances"
    );
    sim.remove(&budget);
    sim.end_pods();
    sim.settle();
    assert!(sim.snapshot.get(&team).is_none());
    assert!(sim.snapshot.get(&Key::new("configmaps", "default", "c")).is_some());
}
