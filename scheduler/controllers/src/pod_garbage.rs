//! Pods that nobody looks after any more. Source of the rules: `pkg/controller/podgc/gc_controller.go`.

use std::collections::BTreeSet;

use wasmk_api::{Change, ChangeKind, Key, Object};

use crate::json::created;
use crate::view::IndexKey;
use crate::{Clock, Controller, Plan, Reason, View, pod};

/// Pods whose node is gone, and pods that are to go before they had one.
pub(crate) const CONTROLLER: Controller =
    Controller { name: "pod-garbage", reads: &["pods", "nodes"], shows_refusals: false, affected, plan };

/// Finished pods beyond a number.
pub(crate) const FINISHED: Controller = Controller {
    name: "finished-pods",
    reads: &["pods"],
    shows_refusals: false,
    affected: affected_finished,
    plan: plan_finished,
};

/// Pods deleted in one plan; the next plan does the rest.
const PODS_A_PLAN_MAX: usize = 1000;

fn affected(view: &View, change: &Change, keys: &mut BTreeSet<Key>) {
    let object = &change.object;
    if object.key().resource.as_str() == "pods" {
        if change.kind != ChangeKind::Deleted {
            keys.insert(object.key().clone());
        }
    } else if change.kind == ChangeKind::Deleted || is_out_of_service(object) {
        keys.extend(view.indexed(&IndexKey::node(object.name())).map(|pod| pod.key().clone()));
    }
}

fn plan(view: &View, key: &Key, clock: &Clock) -> Plan {
    let mut plan = Plan::default();
    let Some(pod) = view.get(key) else { return plan };
    let Some(name) = pod::node_name(pod) else {
        if pod.is_deleting() {
            plan.delete_with(pod, Some(0), None, Reason::NeverScheduled);
        }
        return plan;
    };
    match view.find("nodes", "", name) {
        Some(node) if pod.is_deleting() && is_out_of_service(node) => {
            plan.delete_with(pod, Some(0), None, Reason::NodeGone);
        }
        Some(_) => {}
        None => match created(pod).checked_add(clock.settings.absent_node_grace) {
            Ok(at) if at > clock.now && !pod.is_deleting() => plan.wake(at),
            _ => plan.delete_with(pod, Some(0), None, Reason::NodeGone),
        },
    }
    plan
}

/// The operator's word that a node will not come back as it was.
fn is_out_of_service(node: &Object) -> bool {
    let taints = node.value()["spec"]["taints"].as_array();
    taints.is_some_and(|taints| taints.iter().any(|taint| taint["key"] == "node.kubernetes.io/out-of-service"))
}

fn affected_finished(_: &View, change: &Change, keys: &mut BTreeSet<Key>) {
    if pod::is_finished(&change.object) && change.kind != ChangeKind::Deleted {
        keys.insert(Key::new("pods", "", ""));
    }
}

fn plan_finished(view: &View, _: &Key, clock: &Clock) -> Plan {
    let mut plan = Plan::default();
    let surplus = view.count(&IndexKey::FinishedPods).saturating_sub(clock.settings.finished_pods_max);
    if surplus == 0 {
        return plan;
    }
    let mut finished: Vec<_> = view.indexed(&IndexKey::FinishedPods).filter(|pod| !pod.is_deleting()).collect();
    finished.sort_by_key(|pod| created(pod));
    for pod in finished.into_iter().take(surplus.min(PODS_A_PLAN_MAX)) {
        plan.delete_with(pod, Some(0), None, Reason::TooManyFinishedPods);
    }
    plan
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::{Value, json};

    use crate::sim::{Sim, summary};

    fn pod(name: &str, node: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": {"nodeName": node}})
    }

    fn node(name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {}})
    }

    #[test]
    fn pods_go_with_their_node_and_wait_a_while_for_one_that_never_came() {
        let mut sim = Sim::new().only(&["pod-garbage"]);
        let node = sim.put("nodes", node("n1"));
        sim.put("pods", pod("here", "n1"));
        sim.put("pods", pod("early", "n2"));
        sim.settle();
        assert_eq!(sim.list("pods").len(), 2);
        sim.settle_for(SignedDuration::from_secs(40));
        assert_eq!(summary(&sim, "pods", &[]), "here: \n");
        sim.remove(&node);
        sim.settle();
        assert!(sim.list("pods").is_empty());
    }

    #[test]
    fn terminating_pods_of_a_node_out_of_service_are_gone() {
        let mut sim = Sim::new().only(&["pod-garbage"]);
        let node = sim.put("nodes", node("n1"));
        let pod = sim.put("pods", pod("p", "n1"));
        sim.delete(&pod, None);
        sim.settle();
        assert_eq!(sim.list("pods").len(), 1);
        sim.edit(&node, |node| {
            node["spec"]["taints"] = json!([{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}])
        });
        sim.settle();
        assert!(sim.list("pods").is_empty());
    }
}
