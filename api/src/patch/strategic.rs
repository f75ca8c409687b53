//! Strategic merge patch. Source: `k8s.io/apimachinery/pkg/util/strategicpatch/patch.go`.
//!
//! Kubernetes answers some bad patches with a bare 500; they are a 400 here, with the same words.

mod list;
mod order;

use serde_json::{Map, Value};

use super::types::{FieldType, child_type};
use crate::schema::{Node, go_json_type, go_type, go_value};
use crate::{Reason, Status};
use list::merge_lists;
use order::{check_order, normalize_order};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_PRIMITIVES: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";

type Object = Map<String, Value>;

/// Merges `patch` into `current`: maps by key, lists by their merge key where the type has one, `null` deletes, and
/// the directives `$patch`, `$retainKeys`, `$deleteFromPrimitiveList/` and `$setElementOrder/` do what they say.
/// `object_type` is that of the whole object; without one, lists are replaced.
pub fn apply_strategic_merge(
    current: &Value,
    patch: &Value,
    object_type: Option<&'static Node>,
) -> Result<Value, Status> {
    let no_map = |value: &Value| {
        let found = go_json_type(value);
        Status::bad_request(format!("json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"))
    };
    let current = current.as_object().ok_or_else(|| no_map(current))?;
    let patch = patch.as_object().ok_or_else(|| no_map(patch))?;
    merge_maps(current.clone(), patch.clone(), object_type).map(Value::Object)
}

fn merge_maps(mut original: Object, mut patch: Object, object_type: FieldType) -> Result<Object, Status> {
    match patch.get(PATCH).map(|directive| directive.as_str().unwrap_or_default()) {
        None | Some("merge") => drop(patch.remove(PATCH)),
        Some("replace") => return Ok(plain_map(patch)),
        Some("delete") => return Ok(Object::new()),
        Some(_) => return Err(unknown_directive(&patch)),
    }
    retain_keys(&mut original, &mut patch)?;
    merge_ordered_lists(&mut original, &mut patch, object_type)?;
    for (key, value) in patch {
        match key.strip_prefix(DELETE_PRIMITIVES) {
            Some(list) => delete_primitives(&mut original, list, value)?,
            None => merge_field(&mut original, key, value, object_type)?,
        }
    }
    Ok(original)
}

fn merge_field(original: &mut Object, key: String, patch: Value, object_type: FieldType) -> Result<(), Status> {
    if patch.is_null() {
        original.remove(&key);
        return Ok(());
    }
    let field = child_type(object_type, &key);
    let replaced = field.is_some_and(|field| field.has_patch_strategy("replace"));
    let merged = match (original.get_mut(&key).map(Value::take), patch) {
        (Some(Value::Object(old)), Value::Object(patch)) if !replaced => Value::Object(merge_maps(old, patch, field)?),
        (Some(Value::Array(old)), Value::Array(patch)) => Value::Array(merge_lists(old, patch, field)?),
        (_, patch) => plain(patch),
    };
    original.insert(key, merged);
    Ok(())
}

/// `$retainKeys` names every key that may stay; the patch itself may set no other.
fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), Status> {
    let Some(keep) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let malformed = || Status::bad_request("invalid patch format of retainKeys");
    let keep: Vec<&str> = keep.as_array().ok_or_else(malformed)?.iter().filter_map(Value::as_str).collect();
    let directive = |key: &str| key.starts_with(DELETE_PRIMITIVES) || key.starts_with(SET_ORDER);
    let kept = |key: &str| keep.contains(&key);
    if patch.iter().any(|(key, value)| !value.is_null() && !directive(key) && !kept(key)) {
        return Err(malformed());
    }
    original.retain(|key, _| kept(key));
    Ok(())
}

fn delete_primitives(original: &mut Object, list: &str, gone: Value) -> Result<(), Status> {
    let Value::Array(gone) = gone else { return Err(Status::bad_request("invalid patch format of primitive list")) };
    if let Some(Value::Array(items)) = original.get_mut(list) {
        items.retain(|item| !gone.contains(item));
    }
    Ok(())
}

/// Lists that come with a `$setElementOrder/`: merged here, and taken out of the patch.
fn merge_ordered_lists(original: &mut Object, patch: &mut Object, object_type: FieldType) -> Result<(), Status> {
    let directives: Vec<String> = patch.keys().filter(|key| key.starts_with(SET_ORDER)).cloned().collect();
    for directive in directives {
        let name = directive[SET_ORDER.len()..].to_owned();
        let order = list_of(patch.remove(&directive).unwrap_or_default())?;
        if patch.get(&name).is_some_and(Value::is_null) {
            continue;
        }
        let field = child_type(object_type, &name);
        let key = field.and_then(Node::patch_merge_key);
        let patched = patch.remove(&name).map(list_of).transpose()?;
        check_order(patched.as_deref().unwrap_or_default(), &order, key)?;
        let live = original.get(&name).cloned().map(list_of).transpose()?;
        let merged = match (live.clone(), patched) {
            (Some(live), Some(patched)) => merge_lists(live, patched, field)?,
            (None, Some(patched)) => plain_list(patched),
            (Some(live), None) => live,
            (None, None) => continue,
        };
        let ordered = normalize_order(merged, &order, &live.unwrap_or_default(), key);
        original.insert(name, Value::Array(ordered));
    }
    Ok(())
}

fn list_of(value: Value) -> Result<Vec<Value>, Status> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(Status::bad_request(format!("expected a []interface {{}}, but received a {}", go_type(&other)))),
    }
}

/// A part of the patch that meets nothing in the object: without its nulls and directives.
fn plain(patch: Value) -> Value {
    match patch {
        Value::Object(map) => Value::Object(plain_map(map)),
        Value::Array(list) => Value::Array(plain_list(list)),
        scalar => scalar,
    }
}

fn plain_map(map: Object) -> Object {
    let directive = |key: &str| {
        key == PATCH || key == RETAIN_KEYS || key.starts_with(DELETE_PRIMITIVES) || key.starts_with(SET_ORDER)
    };
    map.into_iter()
        .filter(|(key, value)| !value.is_null() && !directive(key))
        .map(|(key, value)| (key, plain(value)))
        .collect()
}

fn plain_list(list: Vec<Value>) -> Vec<Value> {
    list.into_iter().filter(|item| item.get(PATCH).is_none_or(|directive| directive == "merge")).map(plain).collect()
}

fn unknown_directive(map: &Object) -> Status {
    let map = Value::Object(map.clone());
    Status::bad_request(format!("unknown patch type: {} in map: {}", go_value(&map[PATCH]), go_value(&map)))
}

fn no_merge_key(item: &Value, key: &str) -> Status {
    Status::bad_request(format!("map: {} does not contain declared merge key: {key}", go_value(item)))
}

/// What Kubernetes has no better words for.
pub(super) fn rejected() -> Status {
    Status::new(Reason::Invalid, "the server rejected our request due to an error in our request")
}
