//! ReplicaSet and ReplicationController: as many active pods as asked for. Source of the rules: `pkg/controller/replicaset/replica_set.go`.

mod claim;
mod create;
mod rank;
mod status;

use std::collections::BTreeSet;

use wasmk_api::{Change, Key, Object};

use crate::plan::EventType;
use crate::{Clock, Controller, Plan, Reason, View, namespace};

pub(crate) const CONTROLLER: Controller = Controller {
    name: "replicaset",
    reads: &[RESOURCE, "pods"],
    shows_refusals: true,
    affected: |view, change, keys| affected(&REPLICA_SETS, view, change, keys),
    plan: |view, key, clock| plan(&REPLICA_SETS, view, key, clock),
};

/// The older kind with the same task.
pub(crate) const REPLICATION_CONTROLLER: Controller = Controller {
    name: "replicationcontroller",
    reads: &["replicationcontrollers", "pods"],
    shows_refusals: true,
    affected: |view, change, keys| affected(&REPLICATION_CONTROLLERS, view, change, keys),
    plan: |view, key, clock| plan(&REPLICATION_CONTROLLERS, view, key, clock),
};

pub(crate) const RESOURCE: &str = "replicasets.apps";

/// What differs between the kinds that keep a number of pods.
struct Keeper {
    resource: &'static str,
    kind: &'static str,
    /// Who tells of it in events.
    component: &'static str,
}

const REPLICA_SETS: Keeper = Keeper { resource: RESOURCE, kind: "ReplicaSet", component: "replicaset-controller" };

const REPLICATION_CONTROLLERS: Keeper =
    Keeper { resource: "replicationcontrollers", kind: "ReplicationController", component: "replication-controller" };

/// Pods created or deleted in one plan of one ReplicaSet; the next plan does the rest. It bounds a transaction, and lets
/// placement begin with the first thousand.
const PODS_A_PLAN_MAX: usize = 1000;

/// Pods named one by one in events; the rest are only counted.
const EVENTS_A_PLAN_MAX: usize = 10;

fn affected(keeper: &Keeper, view: &View, change: &Change, keys: &mut BTreeSet<Key>) {
    if change.object.key().resource.as_str() == keeper.resource {
        keys.insert(change.object.key().clone());
        return;
    }
    for pod in [Some(&change.object), change.previous.as_ref()].into_iter().flatten() {
        match pod.owner_references().find(|owner| owner["controller"] == true) {
            Some(owner) if owner["kind"] == keeper.kind => {
                keys.insert(Key::new(keeper.resource, pod.namespace(), owner["name"].as_str().unwrap_or_default()));
            }
            Some(_) => {}
            None => keys.extend(view.selecting(keeper.resource, pod).cloned()),
        }
    }
}

fn plan(keeper: &Keeper, view: &View, key: &Key, clock: &Clock) -> Plan {
    let mut plan = Plan::default();
    let Some(set) = view.get(key) else { return plan };
    let mut active = claim::plan_claim(view, set, &mut plan);
    let mut created = 0;
    if !set.is_deleting() {
        let wanted = usize::try_from(replicas(set)).unwrap_or(0);
        if active.len() > wanted {
            plan_deletions(keeper, view, set, &mut active, wanted, &mut plan);
        } else if active.len() < wanted && can_create(view, set, clock) {
            created = create::plan_creations(keeper, view, set, wanted - active.len(), &mut plan);
        }
    }
    claim::plan_adoption(set, &active, &mut plan);
    status::plan_status(keeper, view, set, &active, created, clock, &mut plan);
    plan
}

/// `spec.replicas`, 1 unless it says otherwise.
pub(crate) fn replicas(set: &Object) -> i64 {
    set.value()["spec"]["replicas"].as_i64().unwrap_or(1)
}

fn can_create(view: &View, set: &Object, clock: &Clock) -> bool {
    let refused = view.refusal(set.key()).is_some_and(|refusal| clock.now < refusal.retry_at);
    !refused && !namespace::is_terminating(view, set.namespace())
}

fn plan_deletions(
    keeper: &Keeper,
    view: &View,
    set: &Object,
    active: &mut Vec<&Object>,
    wanted: usize,
    plan: &mut Plan,
) {
    rank::sort_dispensable_first(view, set, active);
    let count = (active.len() - wanted).min(PODS_A_PLAN_MAX);
    for (nth, pod) in active.drain(..count).enumerate() {
        plan.delete(pod, Reason::SuccessfulDelete);
        if nth < EVENTS_A_PLAN_MAX {
            let message = format!("Deleted pod: {}", pod.name());
            plan.event(keeper.component, set, EventType::Normal, Reason::SuccessfulDelete, message);
        }
    }
    if count > EVENTS_A_PLAN_MAX {
        let message = format!("Deleted {} more pods", count - EVENTS_A_PLAN_MAX);
        plan.event(keeper.component, set, EventType::Normal, Reason::SuccessfulDelete, message);
    }
}

#[cfg(test)]
mod tests;
