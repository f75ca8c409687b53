//! CustomResourceDefinitions: names and conditions as the other definitions let them be, and the end of one, whose objects
//! go first. Source of the rules: `apiextensions-apiserver/pkg/controller/{status,finalizer}`.

use std::collections::BTreeSet;
use std::sync::Arc;

use wasmk_api::write::Part;
use wasmk_api::{Change, ChangeKind, Key, Object, definition};

use crate::json::{Condition, condition, set_condition, without_finalizer};
use crate::{Clock, Controller, Plan, Reason, View};

pub(crate) const CONTROLLER: Controller =
    Controller { name: "custom-resource-definition", reads: &[], shows_refusals: false, affected, plan };

const CRDS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// Objects deleted in one plan; the next plan does the rest.
const OBJECTS_A_PLAN_MAX: usize = 1000;

fn affected(view: &View, change: &Change, keys: &mut BTreeSet<Key>) {
    let object = &change.object;
    if object.key().resource.as_str() != CRDS {
        // An object of a definition that is on its way out.
        let definition = view.find(CRDS, "", object.key().resource.as_str());
        keys.extend(
            definition.filter(|definition| definition.is_deleting()).map(|definition| definition.key().clone()),
        );
        return;
    }
    if change.kind != ChangeKind::Deleted {
        keys.insert(object.key().clone());
    }
    // Names that this one gives up may be what another one waits for.
    let group = &object.value()["spec"]["group"];
    let others = view.snapshot().list(&object.key().resource, None);
    let waiting = others.filter(|other| other.value()["spec"]["group"] == *group && !has_its_names(other));
    keys.extend(waiting.map(|other| other.key().clone()));
}

fn has_its_names(definition: &Object) -> bool {
    condition(&definition.value()["status"], "NamesAccepted").is_some_and(|condition| condition["status"] == "True")
}

fn plan(view: &View, key: &Key, clock: &Clock) -> Plan {
    let mut plan = Plan::default();
    let Some(definition) = view.get(key) else { return plan };
    if definition.is_deleting() && definition.finalizers().any(|finalizer| finalizer == definition::FINALIZER) {
        plan_end(view, definition, clock, &mut plan);
    } else {
        let settled = definition::settled(definition, view.snapshot(), clock.now);
        plan.update(definition, settled, Part::Status, Reason::NamesAccepted);
    }
    plan
}

/// Its objects are deleted, each with its own finalizers; when none is left, the definition may go.
fn plan_end(view: &View, definition: &Object, clock: &Clock, plan: &mut Plan) {
    let resource = definition.name().into();
    let objects: Vec<&Arc<Object>> = view.snapshot().list(&resource, None).collect();
    if objects.is_empty() {
        let value = without_finalizer(definition, definition::FINALIZER);
        return plan.update(definition, value, Part::Main, Reason::InstanceDeletionCompleted);
    }
    let mut value = definition.value().clone();
    let terminating = Condition {
        condition_type: "Terminating",
        status: "True",
        reason: Reason::InstanceDeletionInProgress.as_str(),
        message: "CustomResource deletion is in progress".to_owned(),
    };
    set_condition(&mut value["status"], &terminating, clock);
    plan.update(definition, value, Part::Status, Reason::InstanceDeletionInProgress);
    for object in objects.into_iter().filter(|object| !object.is_deleting()).take(OBJECTS_A_PLAN_MAX) {
        plan.delete(object, Reason::InstanceDeletionInProgress);
    }
}

#[cfg(test)]
mod tests;
