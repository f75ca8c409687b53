//! The status of PodDisruptionBudgets: how many of their pods are ready, and how many may go. Evictions count for
//! themselves; this is what people see.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use wasmk_api::disruption::{Budget, RESOURCE, selector};
use wasmk_api::write::Part;
use wasmk_api::{Change, Key, Object};

use crate::json::{Condition, set_condition, with_status};
use crate::{Clock, Controller, Plan, Reason, View};

pub(crate) const CONTROLLER: Controller = Controller {
    name: "disruption",
    reads: &[RESOURCE, "pods", "replicasets.apps", "replicationcontrollers", "statefulsets.apps", "deployments.apps"],
    shows_refusals: false,
    affected,
    plan,
};

fn affected(view: &View, change: &Change, keys: &mut BTreeSet<Key>) {
    let object = &change.object;
    match object.key().resource.as_str() {
        RESOURCE => drop(keys.insert(object.key().clone())),
        "pods" => {
            let versions = [Some(object), change.previous.as_ref()].into_iter().flatten();
            versions.for_each(|pod| keys.extend(view.selecting(RESOURCE, pod).cloned()));
        }
        _ => {
            // What is expected of a budget's pods is told by what controls them.
            let sets = view.controlled(object, "replicasets.apps").chain([object]);
            for set in sets {
                keys.extend(view.controlled(set, "pods").flat_map(|pod| view.selecting(RESOURCE, pod)).cloned());
            }
        }
    }
}

fn plan(view: &View, key: &Key, clock: &Clock) -> Plan {
    let mut plan = Plan::default();
    let Some(budget) = view.get(key).filter(|budget| !budget.is_deleting()) else { return plan };
    let pods = view.selected("pods", budget.namespace(), &selector(budget));
    let pods: Vec<&Object> = pods.into_iter().map(Arc::as_ref).collect();
    let counted = Budget::of(budget, &pods, view.snapshot());
    let mut status = match &budget.value()["status"] {
        Value::Object(known) => Value::Object(known.clone()),
        _ => json!({}),
    };
    counted.write_to(&mut status);
    let (allowed, reason) = match counted.allowed() {
        0 => ("False", Reason::InsufficientPods),
        _ => ("True", Reason::SufficientPods),
    };
    let condition = Condition {
        condition_type: "DisruptionAllowed",
        status: allowed,
        reason: reason.as_str(),
        message: String::new(),
    };
    set_condition(&mut status, &condition, clock);
    if let Some(conditions) = status["conditions"].as_array_mut() {
        conditions.iter_mut().for_each(|condition| condition["observedGeneration"] = json!(budget.generation()));
    }
    status["observedGeneration"] = json!(budget.generation());
    plan.update(budget, with_status(budget, status), Part::Status, Reason::StatusChanged);
    plan
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wasmk_api::Key;

    use crate::sim::{Sim, set_ready, summary};

    const COUNTS: [&str; 5] = [
        "/status/expectedPods",
        "/status/desiredHealthy",
        "/status/currentHealthy",
        "/status/disruptionsAllowed",
        "/status/conditions/0/reason",
    ];

    #[test]
    fn a_budget_counts_its_pods_and_what_they_should_be() {
        let mut sim = Sim::new().only(&["replicaset", "disruption"]);
        let spec = json!({"maxUnavailable": "50%", "selector": {"matchLabels": {"app": "web"}}});
        let metadata = json!({"name": "web", "namespace": "default"});
        let budget =
            json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec});
        sim.put("poddisruptionbudgets.policy", budget);
        sim.settle();
        let shown = |sim: &Sim| summary(sim, "poddisruptionbudgets.policy", &COUNTS);
        assert_eq!(shown(&sim), "web: 0 0 0 0 \"InsufficientPods\"\n");
        let set = sim.put("replicasets.apps", json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web", "namespace": "default"},
            "spec": {
                "replicas": 4, "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:v1"}]}},
            },
        }));
        sim.settle();
        let pods: Vec<Key> = sim.snapshot.list(&"pods".into(), None).map(|pod| pod.key().clone()).collect();
        let now = sim.now;
        pods[..3].iter().for_each(|pod| sim.edit(pod, |pod| set_ready(pod, true, now)));
        sim.settle();
        assert_eq!(shown(&sim), "web: 4 2 3 1 \"SufficientPods\"\n");
        sim.edit(&set, |set| set["spec"]["replicas"] = json!(6));
        sim.settle();
        assert_eq!(shown(&sim), "web: 6 3 3 0 \"InsufficientPods\"\n");
    }
}
