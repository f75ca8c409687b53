//! Namespace deletion: empties a terminating namespace, then lets it go.
//! Source of the rules: `pkg/controller/namespace/deletion/namespaced_resources_deleter.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use wasmk_api::{Change, ChangeKind, Key, Object, kind};

use crate::json::{Condition, set_condition};
use crate::{Clock, Controller, Plan, Reason, View};
use wasmk_api::write::Part;

pub(crate) const CONTROLLER: Controller =
    Controller { name: "namespace", reads: &[], shows_refusals: false, affected, plan };

const FINALIZER: &str = "kubernetes";

/// Objects deleted in one plan; the next plan does the rest.
const OBJECTS_A_PLAN_MAX: usize = 1000;

/// A namespace that is going, or gone, takes nothing new.
pub(crate) fn is_terminating(view: &View, name: &str) -> bool {
    view.find("namespaces", "", name).is_none_or(|namespace| namespace.is_deleting())
}

fn affected(view: &View, change: &Change, keys: &mut BTreeSet<Key>) {
    let object = &change.object;
    if object.key().resource.as_str() == "namespaces" {
        if change.kind != ChangeKind::Deleted {
            keys.insert(object.key().clone());
        }
    } else if !object.namespace().is_empty() {
        let namespace = view.find("namespaces", "", object.namespace());
        keys.extend(namespace.filter(|namespace| namespace.is_deleting()).map(|namespace| namespace.key().clone()));
    }
}

fn plan(view: &View, key: &Key, clock: &Clock) -> Plan {
    let mut plan = Plan::default();
    let Some(namespace) = view.get(key).filter(|namespace| namespace.is_deleting()) else { return plan };
    let contents: Vec<&Arc<Object>> = contents(view, namespace.name()).collect();
    for object in contents.iter().filter(|object| !object.is_deleting()).take(OBJECTS_A_PLAN_MAX) {
        plan.delete(object, Reason::NamespaceDeletion);
    }
    let mut value = namespace.value().clone();
    set_status(&mut value, &contents, clock);
    if contents.is_empty() {
        let finalizers = value["spec"]["finalizers"].as_array().into_iter().flatten();
        let left: Vec<Value> = finalizers.filter(|finalizer| **finalizer != FINALIZER).cloned().collect();
        value["spec"]["finalizers"] = Value::Array(left);
        plan.update(namespace, value, Part::Both, Reason::NamespaceEmpty);
    } else {
        plan.update(namespace, value, Part::Status, Reason::NamespaceDeletion);
    }
    plan
}

fn contents<'a>(view: &'a View, namespace: &'a str) -> impl Iterator<Item = &'a Arc<Object>> {
    let kinds = kind::stored_kinds(view.snapshot()).filter(|kind| kind.namespaced);
    kinds.flat_map(move |kind| view.snapshot().list(kind.resource(), Some(namespace)))
}

fn set_status(value: &mut Value, contents: &[&Arc<Object>], clock: &Clock) {
    if !value["status"].is_object() {
        value["status"] = json!({});
    }
    let status = &mut value["status"];
    status["phase"] = json!("Terminating");
    let (mut counts, mut finalizers) = (BTreeMap::<&str, usize>::new(), BTreeMap::<&str, usize>::new());
    for object in contents {
        *counts.entry(object.key().resource.as_str()).or_default() += 1;
        object.finalizers().for_each(|finalizer| *finalizers.entry(finalizer).or_default() += 1);
    }
    let list = |counts: BTreeMap<&str, usize>, what: &str| {
        counts
            .iter()
            .map(|(name, count)| format!("{name} {what} {count} resource instances"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let content = format!("Some resources are remaining: {}", list(counts, "has"));
    let held = format!("Some content in the namespace has finalizers remaining: {}", list(finalizers.clone(), "in"));
    let content = choose(
        contents.is_empty(),
        ("ContentRemoved", "All content successfully removed"),
        ("SomeResourcesRemain", &content),
    );
    let held = choose(
        finalizers.is_empty(),
        ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
        ("SomeFinalizersRemain", &held),
    );
    for (condition_type, (status_text, reason, message)) in
        [("NamespaceContentRemaining", content), ("NamespaceFinalizersRemaining", held)]
    {
        set_condition(status, &Condition { condition_type, status: status_text, reason, message }, clock);
    }
}

fn choose<'a>(done: bool, yes: (&'a str, &str), no: (&'a str, &str)) -> (&'static str, &'a str, String) {
    if done { ("False", yes.0, yes.1.to_owned()) } else { ("True", no.0, no.1.to_owned()) }
}

#[cfg(test)]
mod tests;
