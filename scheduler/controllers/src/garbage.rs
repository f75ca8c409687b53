//! Garbage collection by owner references: background, foreground, and orphaning.
//! Source of the rules: `pkg/controller/garbagecollector/garbagecollector.go`.

mod owners;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use wasmk_api::{Change, ChangeKind, Key, Object};

use crate::json::{without_finalizer, without_owners};
use crate::plan::EventType;
use crate::view::IndexKey;
use crate::{Clock, Controller, Plan, Reason, View};
use owners::{Owner, owner_key, owner_of};
use wasmk_api::write::Part;
use wasmk_api::write::Propagation;

pub(crate) const CONTROLLER: Controller =
    Controller { name: "garbage-collector", reads: &[], shows_refusals: false, affected, plan };

const COMPONENT: &str = "garbage-collector-controller";
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
pub(crate) const ORPHAN: &str = "orphan";

/// Dependents orphaned in one plan; the next plan does the rest.
const DEPENDENTS_A_PLAN_MAX: usize = 1000;

fn affected(view: &View, change: &Change, keys: &mut BTreeSet<Key>) {
    let object = &change.object;
    if change.kind != ChangeKind::Deleted && (has_owners(object) || is_held(object)) {
        keys.insert(object.key().clone());
    }
    if change.kind == ChangeKind::Deleted || is_held(object) {
        keys.extend(dependents(view, object).map(|dependent| dependent.key().clone()));
    }
    // An owner that goes in the foreground waits for its dependents.
    for version in [Some(object), change.previous.as_ref()].into_iter().flatten() {
        let owners = version.owner_references().filter_map(|owner| view.get(&owner_key(view, version, owner)?));
        keys.extend(owners.filter(|owner| is_held(owner)).map(|owner| owner.key().clone()));
    }
}

fn plan(view: &View, key: &Key, _: &Clock) -> Plan {
    let mut plan = Plan::default();
    let Some(object) = view.get(key) else { return plan };
    if object.is_deleting() {
        if has_finalizer(object, ORPHAN) {
            plan_orphaning(view, object, &mut plan);
        } else if has_finalizer(object, FOREGROUND) {
            plan_foreground(view, object, &mut plan);
        }
    } else if has_owners(object) {
        plan_dependent(view, object, &mut plan);
    }
    plan
}

/// The dependents lose their reference first, then the object loses its finalizer.
fn plan_orphaning(view: &View, owner: &Object, plan: &mut Plan) {
    let all: Vec<&Arc<Object>> = dependents(view, owner).collect();
    for dependent in all.iter().take(DEPENDENTS_A_PLAN_MAX) {
        let orphaned = without_owners(dependent, |reference| reference["uid"] == owner.uid());
        plan.update(dependent, orphaned, Part::Main, Reason::DependentsOrphaned);
    }
    if all.len() <= DEPENDENTS_A_PLAN_MAX {
        plan.update(owner, without_finalizer(owner, ORPHAN), Part::Main, Reason::DependentsOrphaned);
    }
}

/// Dependents are deleted by their own plans; here the owner is let go when none blocks it any more.
fn plan_foreground(view: &View, owner: &Object, plan: &mut Plan) {
    let blocks = |dependent: &Arc<Object>| {
        dependent
            .owner_references()
            .any(|reference| reference["uid"] == owner.uid() && reference["blockOwnerDeletion"] == true)
    };
    if !dependents(view, owner).any(blocks) {
        plan.update(owner, without_finalizer(owner, FOREGROUND), Part::Main, Reason::DependentsGone);
    }
}

/// Deletes an object whose owners are all gone or going; if some are left, only the references to the others go.
fn plan_dependent(view: &View, object: &Object, plan: &mut Plan) {
    let owners: Vec<(&str, Owner)> = object
        .owner_references()
        .map(|reference| (reference["uid"].as_str().unwrap_or_default(), owner_of(view, object, reference)))
        .collect();
    let has = |wanted: Owner| owners.iter().any(|(_, owner)| *owner == wanted);
    if has(Owner::Misplaced) {
        let message = "ownerRef of a cluster-scoped object names a namespaced owner; it is ignored";
        plan.event(COMPONENT, object, EventType::Warning, Reason::OwnerRefInvalidNamespace, message);
    }
    if has(Owner::Present) || has(Owner::Misplaced) {
        if has(Owner::Absent) || has(Owner::DeletedInForeground) {
            let gone = |uid: &str| {
                owners
                    .iter()
                    .any(|(one, owner)| *one == uid && matches!(owner, Owner::Absent | Owner::DeletedInForeground))
            };
            let value = without_owners(object, |reference| gone(reference["uid"].as_str().unwrap_or_default()));
            plan.update(object, value, Part::Main, Reason::OwnerGone);
        }
        return;
    }
    if has(Owner::DeletedInForeground) {
        let deep = dependents(view, object).next().is_some().then_some(Propagation::Foreground);
        return plan.delete_with(object, None, deep, Reason::OwnerDeletedInForeground);
    }
    plan.delete(object, Reason::OwnerGone);
}

/// What refers to this object as its owner, and may.
fn dependents<'a>(view: &'a View, owner: &Object) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
    let namespace = owner.key().namespace.clone();
    let found = view.indexed(&IndexKey::owner(owner.uid()));
    found.filter(move |dependent| namespace.is_empty() || dependent.key().namespace == namespace)
}

fn has_owners(object: &Object) -> bool {
    object.owner_references().next().is_some()
}

/// Deleted, but one of our finalizers keeps it.
fn is_held(object: &Object) -> bool {
    object.is_deleting() && (has_finalizer(object, ORPHAN) || has_finalizer(object, FOREGROUND))
}

fn has_finalizer(object: &Object, name: &str) -> bool {
    object.finalizers().any(|finalizer| finalizer == name)
}
