use jiff::SignedDuration;
use serde_json::{Value, json};
use wasmk_api::Key;

use crate::sim::{Sim, set_ready};

const ONLY: &[&str] = &["node-health"];

fn node(sim: &mut Sim, name: &str) -> Key {
    let value = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "AgentReady"}, {"type": "MemoryPressure", "status": "False"}]},
    });
    let key = sim.put("nodes", value);
    renew(sim, name);
    key
}

fn renew(sim: &mut Sim, name: &str) {
    let value = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name, "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": name, "renewTime": sim.now.to_string()},
    });
    sim.put("leases.coordination.k8s.io", value);
}

fn pod(sim: &mut Sim, name: &str, node: &str, tolerations: Value) -> Key {
    let mut value = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}], "tolerations": tolerations},
    });
    set_ready(&mut value, true, sim.now);
    sim.put("pods", value)
}

/// Lets seconds pass while these nodes renew their leases.
fn live(sim: &mut Sim, seconds: i64, alive: &[&str]) {
    for _ in 0..seconds {
        sim.settle_for(SignedDuration::from_secs(1));
        alive.iter().for_each(|name| renew(sim, name));
        sim.settle();
    }
}

fn ready(sim: &Sim, key: &Key) -> (String, String) {
    let condition = crate::json::condition(&sim.get(key).value()["status"], "Ready").unwrap().clone();
    let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"))
}

fn taints(sim: &Sim, key: &Key) -> Vec<String> {
    let list = super::taints::list(sim.get(key).value());
    list.iter()
        .map(|taint| format!("{}:{}", taint["key"].as_str().unwrap(), taint["effect"].as_str().unwrap()))
        .collect()
}

#[test]
fn a_node_that_falls_silent_is_lost_and_its_pods_leave() {
    let mut sim = Sim::new().only(ONLY);
    let (dead, alive) = (node(&mut sim, "dead"), node(&mut sim, "alive"));
    let (p, stays) = (pod(&mut sim, "p", "dead", json!([])), pod(&mut sim, "stays", "alive", json!([])));
    live(&mut sim, 3, &["alive"]);
    assert_eq!(ready(&sim, &dead).0, "True");
    live(&mut sim, 2, &["alive"]);
    assert_eq!(ready(&sim, &dead), ("Unknown".to_owned(), "NodeStatusUnknown".to_owned()));
    assert_eq!(
        taints(&sim, &dead),
        ["node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"]
    );
    assert_eq!(ready(&sim, &p), ("False".to_owned(), "NodeUnreachable".to_owned()));
    live(&mut sim, 1, &["alive"]);
    assert!(sim.get(&p).is_deleting());
    assert!(!sim.get(&stays).is_deleting());
    assert_eq!(ready(&sim, &alive).0, "True");
}

#[test]
fn a_node_that_comes_back_is_as_it_was() {
    let mut sim = Sim::new().only(ONLY);
    let lost = node(&mut sim, "lost");
    node(&mut sim, "alive");
    let patient = json!([{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}]);
    let p = pod(&mut sim, "p", "lost", patient);
    live(&mut sim, 30, &["alive"]);
    assert_eq!(ready(&sim, &p).0, "False");
    live(&mut sim, 3, &["alive", "lost"]);
    assert_eq!(ready(&sim, &lost).0, "True");
    assert!(taints(&sim, &lost).is_empty());
    assert_eq!(ready(&sim, &p).0, "True");
    live(&mut sim, 60, &["alive", "lost"]);
    assert!(!sim.get(&p).is_deleting());
}

#[test]
fn patience_ends() {
    let mut sim = Sim::new().only(ONLY);
    node(&mut sim, "lost");
    node(&mut sim, "alive");
    let patient = json!([{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 10}]);
    let for_ever = json!([{"operator": "Exists"}]);
    let (p, q) = (pod(&mut sim, "p", "lost", patient), pod(&mut sim, "q", "lost", for_ever));
    live(&mut sim, 12, &["alive"]);
    assert!(!sim.get(&p).is_deleting());
    live(&mut sim, 4, &["alive"]);
    assert!(sim.get(&p).is_deleting());
    assert!(!sim.get(&q).is_deleting());
}

#[test]
fn when_all_fall_silent_nothing_is_evicted() {
    let mut sim = Sim::new().only(ONLY);
    let (a, b) = (node(&mut sim, "a"), node(&mut sim, "b"));
    let p = pod(&mut sim, "p", "a", json!([]));
    sim.settle();
    for _ in 0..10 {
        sim.settle_for(SignedDuration::from_secs(3));
    }
    assert_eq!(ready(&sim, &a).0, "Unknown");
    assert_eq!(taints(&sim, &b), ["node.kubernetes.io/unreachable:NoSchedule"]);
    assert_eq!(ready(&sim, &p).0, "True");
    // One is back: now the other is missing.
    live(&mut sim, 6, &["b"]);
    assert!(taints(&sim, &b).is_empty());
    assert!(sim.get(&p).is_deleting());
}

#[test]
fn a_control_plane_that_slept_or_was_down_judges_nobody_for_a_while() {
    let mut sim = Sim::new().only(ONLY);
    let (a, _) = (node(&mut sim, "a"), node(&mut sim, "b"));
    sim.settle();
    sim.pass(SignedDuration::from_hours(1));
    sim.settle();
    assert_eq!(ready(&sim, &a).0, "True");
    sim.planner = crate::Planner::new(sim.snapshot.clone(), sim.now, Default::default());
    live(&mut sim, 3, &["b"]);
    assert_eq!(ready(&sim, &a).0, "True");
    live(&mut sim, 2, &["b"]);
    assert_eq!(ready(&sim, &a).0, "Unknown");
}

#[test]
fn a_cordon_is_a_taint_and_a_users_taint_evicts() {
    let mut sim = Sim::new().only(ONLY);
    let n = node(&mut sim, "n");
    let p = pod(&mut sim, "p", "n", json!([]));
    sim.edit(&n, |node| node["spec"]["unschedulable"] = json!(true));
    sim.settle();
    assert_eq!(taints(&sim, &n), ["node.kubernetes.io/unschedulable:NoSchedule"]);
    assert!(!sim.get(&p).is_deleting());
    sim.edit(&n, |node| node["spec"] = json!({"taints": [{"key": "maintenance", "effect": "NoExecute"}]}));
    sim.settle();
    assert_eq!(taints(&sim, &n), ["maintenance:NoExecute"]);
    assert!(sim.get(&p).is_deleting());
}

#[test]
fn an_agent_that_says_not_ready_is_believed() {
    let mut sim = Sim::new().only(ONLY);
    let n = node(&mut sim, "n");
    live(&mut sim, 1, &["n"]);
    sim.edit(&n, |node| {
        node["status"]["conditions"][0] = json!({"type": "Ready", "status": "False", "reason": "Stopping"})
    });
    sim.settle();
    assert_eq!(ready(&sim, &n), ("False".to_owned(), "Stopping".to_owned()));
    assert_eq!(taints(&sim, &n), ["node.kubernetes.io/not-ready:NoSchedule", "node.kubernetes.io/not-ready:NoExecute"]);
}
