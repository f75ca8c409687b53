//! Deployment: a ReplicaSet for each revision of the template, and a rollout from the old ones to the new one.
//! Sources of the rules: `pkg/controller/deployment` and `pkg/controller/deployment/util`.

mod annotations;
mod history;
mod new_set;
mod progress;
mod recreate;
mod rolling;
mod rollout;
mod scale;
mod status;
mod strategy;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use wasmk_api::{Change, ChangeKind, Key, Object};

use crate::{Clock, Controller, Plan, View, pod, replica_set};
use rollout::Rollout;

pub(crate) const CONTROLLER: Controller = Controller {
    name: "deployment",
    reads: &["deployments.apps", "replicasets.apps", "pods"],
    shows_refusals: false,
    affected,
    plan,
};

const RESOURCE: &str = "deployments.apps";
const COMPONENT: &str = "deployment-controller";

fn affected(view: &View, change: &Change, keys: &mut BTreeSet<Key>) {
    match change.object.key().resource.as_str() {
        RESOURCE => drop(keys.insert(change.object.key().clone())),
        replica_set::RESOURCE => {
            for set in [Some(&change.object), change.previous.as_ref()].into_iter().flatten() {
                match owner(set, "Deployment", RESOURCE) {
                    Some(key) => drop(keys.insert(key)),
                    None if set.controller_uid().is_none() => keys.extend(view.selecting(RESOURCE, set).cloned()),
                    None => {}
                }
            }
        }
        _ => keys.extend(recreated_by(view, change)),
    }
}

/// The Deployment that waits for this pod to be gone.
fn recreated_by(view: &View, change: &Change) -> Option<Key> {
    if change.kind != ChangeKind::Deleted && !pod::is_finished(&change.object) {
        return None;
    }
    let set = view.get(&owner(&change.object, "ReplicaSet", replica_set::RESOURCE)?)?;
    let deployment = view.get(&owner(set, "Deployment", RESOURCE)?)?;
    strategy::is_recreate(deployment).then(|| deployment.key().clone())
}

fn owner(object: &Object, kind: &str, resource: &str) -> Option<Key> {
    let owner = object.owner_references().find(|owner| owner["controller"] == true && owner["kind"] == kind)?;
    Some(Key::new(resource, object.namespace(), owner["name"].as_str()?))
}

fn plan(view: &View, key: &Key, clock: &Clock) -> Plan {
    let Some(deployment) = view.get(key) else { return Plan::default() };
    let Some(mut rollout) = Rollout::new(view, deployment, clock) else { return Plan::default() };
    if deployment.is_deleting() {
        rollout.set_counts();
        return rollout.into_plan();
    }
    rollout.note_pause();
    if rollout.is_paused() || rollout.is_scaling() {
        rollout.sync_revisions();
        rollout.scale();
        if rollout.is_paused() {
            rollout.clean_up_history();
        }
        rollout.set_counts();
    } else {
        match strategy::is_recreate(deployment) {
            true => rollout.recreate(),
            false => rollout.roll(),
        }
        rollout.set_progress();
        if rollout.is_complete() {
            rollout.clean_up_history();
        }
    }
    rollout.into_plan()
}
