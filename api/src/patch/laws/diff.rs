//! The patch that leads from one object to another, as `kubectl apply` makes it: strategic, with `$setElementOrder`.

use serde_json::{Map, Value, json};

use crate::patch::types::{FieldType, child_type};
use crate::schema::Node;

type Object = Map<String, Value>;

pub(super) fn two_way(original: &Value, modified: &Value, object_type: FieldType) -> Value {
    let nothing = Object::new();
    let map = |value: &Value| value.as_object().unwrap_or(&nothing).clone();
    Value::Object(maps(&map(original), &map(modified), object_type, false))
}

fn maps(original: &Object, modified: &Object, object_type: FieldType, retain_keys: bool) -> Object {
    let mut patch = Object::new();
    for (key, new) in modified {
        match original.get(key) {
            Some(old) => field(&mut patch, key, old, new, child_type(object_type, key)),
            None => drop(patch.insert(key.clone(), new.clone())),
        }
    }
    for key in original.keys().filter(|key| !modified.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    if retain_keys && !patch.is_empty() {
        patch.insert("$retainKeys".to_owned(), modified.keys().cloned().collect());
    }
    patch
}

fn field(patch: &mut Object, key: &str, old: &Value, new: &Value, field: FieldType) {
    let strategy = |name| field.is_some_and(|field| field.has_patch_strategy(name));
    match (old, new) {
        _ if old == new => {}
        (Value::Object(old), Value::Object(new)) if !strategy("replace") => {
            let below = maps(old, new, field, strategy("retainKeys"));
            patch.insert(key.to_owned(), Value::Object(below));
        }
        (Value::Array(old), Value::Array(new)) if strategy("merge") => lists(patch, key, old, new, field),
        _ => drop(patch.insert(key.to_owned(), new.clone())),
    }
}

fn lists(patch: &mut Object, key: &str, old: &[Value], new: &[Value], list: FieldType) {
    let Some(merge_key) = list.and_then(Node::patch_merge_key) else { return primitives(patch, key, old, new) };
    let twin = |list: &[Value], item: &Value| list.iter().find(|one| one[merge_key] == item[merge_key]).cloned();
    let retain_keys = list.is_some_and(|list| list.has_patch_strategy("retainKeys"));
    let item_type = list.and_then(Node::items);
    let mut items = Vec::new();
    for item in new {
        match twin(old, item) {
            Some(before) if before == *item => {}
            Some(Value::Object(before)) => {
                let after = item.as_object().cloned().unwrap_or_default();
                let mut changed = maps(&before, &after, item_type, retain_keys);
                changed.insert(merge_key.to_owned(), item[merge_key].clone());
                items.push(Value::Object(changed));
            }
            _ => items.push(item.clone()),
        }
    }
    let gone = old.iter().filter(|item| twin(new, item).is_none());
    items.extend(gone.map(|item| json!({"$patch": "delete", merge_key: item[merge_key]})));
    if !items.is_empty() {
        patch.insert(key.to_owned(), Value::Array(items));
    }
    if !new.is_empty() {
        let order = new.iter().map(|item| json!({merge_key: item[merge_key]})).collect();
        patch.insert(format!("$setElementOrder/{key}"), order);
    }
}

fn primitives(patch: &mut Object, key: &str, old: &[Value], new: &[Value]) {
    let without = |list: &[Value], others: &[Value]| -> Vec<Value> {
        list.iter().filter(|item| !others.contains(item)).cloned().collect()
    };
    for (name, items) in
        [(key.to_owned(), without(new, old)), (format!("$deleteFromPrimitiveList/{key}"), without(old, new))]
    {
        if !items.is_empty() {
            patch.insert(name, Value::Array(items));
        }
    }
    if !new.is_empty() {
        patch.insert(format!("$setElementOrder/{key}"), json!(new));
    }
}
