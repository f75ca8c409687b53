//! Small readers and writers of the JSON that all kinds share.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use wasmk_api::Object;

use crate::Clock;

/// The entry of `status.conditions` of one type.
pub(crate) fn condition<'a>(status: &'a Value, condition_type: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == condition_type)
}

/// A condition to be; times are filled in when it is set.
pub(crate) struct Condition<'a> {
    pub(crate) condition_type: &'a str,
    pub(crate) status: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) message: String,
}

/// Sets a condition: `lastTransitionTime` moves only when the status does. Other fields that it had stay.
pub(crate) fn set_condition(status: &mut Value, wanted: &Condition, clock: &Clock) {
    let old = condition(status, wanted.condition_type).cloned();
    let mut new = old.clone().unwrap_or_else(|| json!({"type": wanted.condition_type}));
    new["status"] = json!(wanted.status);
    new["reason"] = json!(wanted.reason);
    new["message"] = json!(wanted.message);
    if old.is_none_or(|old| old["status"] != wanted.status) {
        new["lastTransitionTime"] = json!(clock.stamp());
    }
    put_condition(status, new);
}

/// Replaces the condition of the same type, or adds this one at the end.
pub(crate) fn put_condition(status: &mut Value, new: Value) {
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let conditions = status["conditions"].as_array_mut().expect("invariant: it was just made an array");
    match conditions.iter_mut().find(|condition| condition["type"] == new["type"]) {
        Some(old) => *old = new,
        None => conditions.push(new),
    }
}

pub(crate) fn remove_condition(status: &mut Value, condition_type: &str) {
    if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
        conditions.retain(|condition| condition["type"] != condition_type);
        if conditions.is_empty() {
            status.as_object_mut().expect("invariant: it has conditions").remove("conditions");
        }
    }
}

/// `controller: true`, blocking foreground deletion, as Kubernetes' controllers write it.
pub(crate) fn controller_reference(owner: &Object) -> Value {
    json!({
        "apiVersion": owner.value()["apiVersion"], "kind": owner.value()["kind"],
        "name": owner.name(), "uid": owner.uid(), "controller": true, "blockOwnerDeletion": true,
    })
}

/// The value with one more owner.
pub(crate) fn with_owner(object: &Object, owner: &Object) -> Value {
    let mut value = object.value().clone();
    let mut owners: Vec<Value> = object.owner_references().cloned().collect();
    owners.push(controller_reference(owner));
    value["metadata"]["ownerReferences"] = Value::Array(owners);
    value
}

/// The value without the owners that `is_gone` says so of.
pub(crate) fn without_owners(object: &Object, is_gone: impl Fn(&Value) -> bool) -> Value {
    let mut value = object.value().clone();
    let owners: Vec<Value> = object.owner_references().filter(|owner| !is_gone(owner)).cloned().collect();
    let metadata = value["metadata"].as_object_mut().expect("invariant: objects have metadata");
    if owners.is_empty() {
        metadata.remove("ownerReferences");
    } else {
        metadata.insert("ownerReferences".to_owned(), Value::Array(owners));
    }
    value
}

pub(crate) fn without_finalizer(object: &Object, finalizer: &str) -> Value {
    let mut value = object.value().clone();
    let left: Vec<Value> = object.finalizers().filter(|one| *one != finalizer).map(Value::from).collect();
    let metadata = value["metadata"].as_object_mut().expect("invariant: objects have metadata");
    if left.is_empty() {
        metadata.remove("finalizers");
    } else {
        metadata.insert("finalizers".to_owned(), Value::Array(left));
    }
    value
}

/// The value with another `status`.
pub(crate) fn with_status(object: &Object, status: Value) -> Value {
    let mut value = object.value().clone();
    value["status"] = status;
    value
}

pub(crate) fn set_annotation(value: &mut Value, key: &str, text: impl Into<String>) {
    let metadata = &mut value["metadata"];
    if !metadata["annotations"].is_object() {
        metadata["annotations"] = Value::Object(Map::new());
    }
    metadata["annotations"][key] = Value::String(text.into());
}

pub(crate) fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

pub(crate) fn created(object: &Object) -> Timestamp {
    time(&object.metadata()["creationTimestamp"]).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// An integer, or a percentage of `total`, as `intstr.GetScaledValueFromIntOrPercent`; never more than a number of replicas
/// can be.
pub(crate) fn scaled(value: &Value, total: i64, round_up: bool) -> Option<i64> {
    let number = match value.as_i64() {
        Some(number) => number,
        None => {
            let percent: i64 = value.as_str()?.strip_suffix('%')?.parse().ok()?;
            let product = percent.saturating_mul(total);
            if round_up { product.saturating_add(99).div_euclid(100) } else { product.div_euclid(100) }
        }
    };
    Some(number.min(REPLICAS_MAX))
}

/// What the API lets a number of replicas be.
pub(crate) const REPLICAS_MAX: i64 = i32::MAX as i64;

/// Nonzero numbers only: Kubernetes leaves zero counts out of most statuses.
pub(crate) fn set_count(status: &mut Value, field: &str, count: i64) {
    let fields = status.as_object_mut().expect("invariant: a status is an object");
    if count == 0 {
        fields.remove(field);
    } else {
        fields.insert(field.to_owned(), json!(count));
    }
}
