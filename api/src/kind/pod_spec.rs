//! The spec of a pod, which is also that of the template of everything that makes pods.

mod admission;
mod container;
mod default;
mod env;
mod probe;
mod resources;
mod scheduling;
mod volume;

use serde_json::Value;

pub(super) use admission::{admit, keep_priority};
pub(super) use default::{default_pod, default_spec};
pub(super) use probe::port as validate_port;
pub(super) use resources::qos_class;

use crate::field::{Faults, Field};
use crate::write::metadata::copy;
use crate::{Cause, Selector, names};

/// Whose pods a spec describes, which decides how they may end.
#[derive(Clone, Copy)]
pub(super) enum Owner {
    /// A pod by itself, or a template that is nobody's.
    None,
    /// It restarts its pods for ever; in the words of its kind.
    Restarting(&'static str),
    /// Its pods run to their end.
    Ending,
}

/// The rules for a pod's spec, wherever it stands.
pub(super) fn validate(spec: &Field, owner: Owner, faults: &mut Faults) {
    let volumes = volume::validate(&spec.get("volumes"), faults);
    container::validate_all(spec, &volumes, faults);
    how_it_ends(spec, owner, faults);
    faults.one_of(&spec.get("dnsPolicy"), &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]);
    faults.non_negative(&spec.get("terminationGracePeriodSeconds"));
    for field in ["hostname", "subdomain"].map(|field| spec.get(field)) {
        if !field.is_empty() {
            faults.named(&field, names::check_dns1123_label(field.text()));
        }
    }
    for field in ["nodeName", "serviceAccountName"].map(|field| spec.get(field)) {
        if !field.is_empty() {
            faults.named(&field, names::check_dns1123_subdomain(field.text()));
        }
    }
    scheduling::validate(spec, faults);
}

/// The template of something that selects its pods: its labels must satisfy `selector`, unless that is empty.
pub(super) fn validate_template(template: &Field, selector: &Field, owner: Owner, faults: &mut Faults) {
    validate_template_labels(template, selector, faults);
    validate(&template.get("spec"), owner, faults);
}

/// `selector` is a LabelSelector, or the plain map that older kinds have.
pub(super) fn validate_template_labels(template: &Field, selector: &Field, faults: &mut Faults) {
    let labels = template.get("metadata").get("labels");
    faults.labels(&labels);
    let fits = |parsed: Selector| selector.is_empty() || parsed.matches(labels.value);
    if !Selector::from_json(selector.value).map_or(true, fits) {
        let empty = Value::Object(serde_json::Map::new());
        let value = if labels.is_set() { labels.value } else { &empty };
        faults.invalid(&Field { path: labels.path, value }, "`selector` does not match template `labels`");
    }
}

/// The selector of what makes pods: required, well formed, and not for everything.
pub(super) fn validate_selector(selector: &Field, owner: &str, faults: &mut Faults) {
    if selector.value.is_null() {
        faults.require(selector, "");
        return;
    }
    faults.selector(selector);
    if selector.get("matchLabels").is_empty() && selector.get("matchExpressions").is_empty() {
        faults.invalid(selector, &format!("empty selector is invalid for {owner}"));
    }
}

/// Which of a running pod's fields may change. Source: `ValidatePodUpdate`.
pub(super) fn validate_update(new: &Field, old: &Value, faults: &mut Faults) {
    let mut allowed = old.clone();
    for list in ["containers", "initContainers"] {
        let images = new.value[list].as_array().into_iter().flatten().map(|container| container["image"].clone());
        for (container, image) in allowed[list].as_array_mut().into_iter().flatten().zip(images) {
            container["image"] = image;
        }
        if new.value[list].as_array().map(Vec::len) != old[list].as_array().map(Vec::len) {
            faults.forbid(&new.get(list).path, "pod updates may not add or remove containers");
            return;
        }
    }
    let shorter = |new: &Value, old: &Value| old.is_null() || new.as_i64() <= old.as_i64();
    let deadline = &new.value["activeDeadlineSeconds"];
    if deadline.is_number() && shorter(deadline, &old["activeDeadlineSeconds"]) {
        allowed["activeDeadlineSeconds"] = deadline.clone();
    }
    if scheduling::only_adds_tolerations(&new.value["tolerations"], &old["tolerations"]) {
        allowed["tolerations"] = new.value["tolerations"].clone();
    }
    if scheduling::only_removes_gates(&new.value["schedulingGates"], &old["schedulingGates"]) {
        copy(&mut allowed, new.value, "schedulingGates");
        if !old["schedulingGates"].is_null() {
            // Kubernetes lets gated pods be narrowed to fewer nodes.
            copy(&mut allowed, new.value, "nodeSelector");
        }
    }
    if differs(&allowed, new.value) {
        faults.forbid(
            &new.path,
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        );
    }
}

/// An absent field equals an empty one: Kubernetes' types cannot tell them apart.
fn differs(a: &Value, b: &Value) -> bool {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    match (a, b) {
        (Value::Object(left), Value::Object(right)) => {
            let mut keys = left.keys().chain(right.keys());
            keys.any(|key| differs(&a[key], &b[key]))
        }
        _ => a != b && !(empty(a) && empty(b)),
    }
}

fn how_it_ends(spec: &Field, owner: Owner, faults: &mut Faults) {
    let (policy, deadline) = (spec.get("restartPolicy"), spec.get("activeDeadlineSeconds"));
    match owner {
        Owner::Ending if !["OnFailure", "Never"].contains(&policy.text()) => {
            faults.push(Cause::required(&policy.path, "valid values: \"OnFailure\", \"Never\""));
        }
        Owner::Restarting(_) => faults.one_of(&policy, &["Always"]),
        Owner::None | Owner::Ending => faults.one_of(&policy, &["Always", "OnFailure", "Never"]),
    }
    if let Owner::Restarting(kind) = owner
        && deadline.is_set()
    {
        faults.forbid(&deadline.path, &format!("activeDeadlineSeconds in {kind} is not Supported"));
    } else if deadline.int().is_some_and(|seconds| !(1..=i64::from(i32::MAX)).contains(&seconds)) {
        faults.invalid(&deadline, "must be between 1 and 2147483647, inclusive");
    }
}
