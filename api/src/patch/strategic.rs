//! Strategic merge patch. Source: `k8s.io/apimachinery/pkg/util/strategicpatch/patch.go`.

use serde_json::{Map, Value};

use super::types::{FieldType, child_type};
use crate::Status;
use crate::schema::Node;

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
    match (current, patch) {
        (Value::Object(current), Value::Object(patch)) => {
            merge_maps(current.clone(), patch.clone(), object_type).map(Value::Object)
        }
        _ => Err(Status::bad_request("a strategic merge patch must be a JSON object")),
    }
}

fn merge_maps(mut original: Object, mut patch: Object, object_type: FieldType) -> Result<Object, Status> {
    match patch.remove(PATCH).as_ref().map(|directive| directive.as_str().unwrap_or_default()) {
        None | Some("merge") => {}
        Some("replace") => return Ok(plain_map(patch)),
        Some("delete") => return Ok(Object::new()),
        Some(other) => return refuse(format!("unknown patch type found: {other}")),
    }
    retain_keys(&mut original, &mut patch)?;
    merge_ordered_lists(&mut original, &mut patch, object_type)?;
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix(DELETE_PRIMITIVES) {
            delete_primitives(&mut original, list, value)?;
            continue;
        }
        merge_field(&mut original, key, value, object_type)?;
    }
    Ok(original)
}

fn merge_field(original: &mut Object, key: String, patch: Value, object_type: FieldType) -> Result<(), Status> {
    if patch.is_null() {
        original.remove(&key);
        return Ok(());
    }
    let field = child_type(object_type, &key);
    let merged = match (original.get_mut(&key).map(Value::take), patch) {
        (Some(Value::Object(old)), Value::Object(patch)) => Value::Object(merge_maps(old, patch, field)?),
        (Some(Value::Array(old)), Value::Array(patch)) => Value::Array(merge_lists(old, patch, field)?),
        (_, patch) => plain(patch),
    };
    original.insert(key, merged);
    Ok(())
}

/// `$retainKeys` names every key that may stay; the patch itself may set no other.
fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), Status> {
    let Some(keep) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let Value::Array(keep) = keep else { return refuse("$retainKeys must be a list of keys".to_owned()) };
    let kept = |key: &str| keep.iter().any(|one| one == key);
    let directive = |key: &str| key.starts_with(DELETE_PRIMITIVES) || key.starts_with(SET_ORDER);
    if let Some((key, _)) = patch.iter().find(|(key, value)| !value.is_null() && !directive(key) && !kept(key)) {
        return refuse(format!("invalid patch format of retainKeys: {key} is set but not retained"));
    }
    original.retain(|key, _| kept(key));
    Ok(())
}

fn delete_primitives(original: &mut Object, list: &str, gone: Value) -> Result<(), Status> {
    let Value::Array(gone) = gone else { return refuse(format!("{DELETE_PRIMITIVES}{list} must be a list")) };
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
        let Some(Value::Array(order)) = patch.remove(&directive) else {
            return refuse(format!("{directive} must be a list"));
        };
        if patch.get(&name).is_some_and(Value::is_null) {
            continue;
        }
        let field = child_type(object_type, &name);
        let key = field.and_then(Node::patch_merge_key);
        let patched = patch.remove(&name);
        check_order(patched.as_ref(), &order, key, &name)?;
        let live = original.get(&name).and_then(Value::as_array).cloned().unwrap_or_default();
        let merged = match patched {
            Some(Value::Array(list)) if original.contains_key(&name) => merge_lists(live.clone(), list, field)?,
            Some(Value::Array(list)) => plain_list(list),
            Some(_) => return refuse(format!("{name} must be a list, as {directive} says")),
            None if original.contains_key(&name) => live.clone(),
            None => continue,
        };
        let ordered = normalize_order(merged, &order, &live, key);
        original.insert(name, Value::Array(ordered));
    }
    Ok(())
}

/// What the patch sets must appear in the order that it asks for, in the same sequence.
fn check_order(patched: Option<&Value>, order: &[Value], key: Option<&str>, name: &str) -> Result<(), Status> {
    let mut rest = order.iter();
    let items = patched.and_then(Value::as_array).into_iter().flatten();
    for item in items.filter(|item| item.get(PATCH).is_none()) {
        if !rest.any(|one| same(one, item, key)) {
            return refuse(format!("the order in patch list {name} doesn't match {SET_ORDER}{name}"));
        }
    }
    Ok(())
}

fn merge_lists(original: Vec<Value>, patch: Vec<Value>, field: FieldType) -> Result<Vec<Value>, Status> {
    let Some(field) = field.filter(|field| field.has_patch_strategy("merge")) else { return Ok(plain_list(patch)) };
    if original.iter().chain(&patch).any(Value::is_object) {
        let Some(key) = field.patch_merge_key() else {
            return refuse("cannot merge lists of objects without a merge key".to_owned());
        };
        return merge_object_lists(original, patch, key, field.items());
    }
    let mut merged = original.clone();
    for item in &patch {
        if !merged.contains(item) {
            merged.push(item.clone());
        }
    }
    Ok(normalize_order(merged, &patch, &original, None))
}

fn merge_object_lists(
    original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
    item_type: FieldType,
) -> Result<Vec<Value>, Status> {
    let (mut merged, mut order, mut replace) = (original.clone(), Vec::new(), false);
    for mut item in patch {
        let directive = item.as_object_mut().and_then(|item| item.remove(PATCH));
        match directive.as_ref().map(|directive| directive.as_str().unwrap_or_default()) {
            None | Some("merge") => order.push(item),
            Some("replace") => replace = true,
            Some("delete") => {
                let gone = merge_value(&item, key)?;
                merged.retain(|one| one.get(key) != Some(gone));
            }
            Some(other) => return refuse(format!("unknown patch type found: {other}")),
        }
    }
    if replace {
        return Ok(plain_list(order));
    }
    for item in &order {
        let wanted = merge_value(item, key)?;
        match merged.iter().position(|one| one.get(key) == Some(wanted)) {
            Some(at) => {
                let (Value::Object(old), Value::Object(new)) = (merged[at].take(), item.clone()) else {
                    return refuse(format!("an element of a list merged by {key} is not an object"));
                };
                merged[at] = Value::Object(merge_maps(old, new, item_type)?);
            }
            None => merged.push(plain(item.clone())),
        }
    }
    Ok(normalize_order(merged, &order, &original, Some(key)))
}

/// Items of the patch in the patch's order, the others in the live order, interleaved so that an item that only the
/// server has stays before the first item of the patch that it preceded.
fn normalize_order(merged: Vec<Value>, patch: &[Value], live: &[Value], key: Option<&str>) -> Vec<Value> {
    let place = |list: &[Value], item: &Value| list.iter().position(|one| same(one, item, key));
    let (mut patched, mut server_only): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| place(patch, item).is_some());
    patched.sort_by_key(|item| place(patch, item));
    server_only.sort_by_key(|item| place(live, item).unwrap_or(usize::MAX));
    let mut ordered = Vec::with_capacity(patched.len() + server_only.len());
    let mut waiting = server_only.into_iter().peekable();
    for item in patched {
        if let Some(bound) = place(live, &item) {
            while let Some(earlier) = waiting.next_if(|one| place(live, one).is_some_and(|at| at < bound)) {
                ordered.push(earlier);
            }
        }
        ordered.push(item);
    }
    ordered.extend(waiting);
    ordered
}

fn same(a: &Value, b: &Value, key: Option<&str>) -> bool {
    match key {
        Some(key) => a.get(key).is_some() && a.get(key) == b.get(key),
        None => a == b,
    }
}

fn merge_value<'a>(item: &'a Value, key: &str) -> Result<&'a Value, Status> {
    item.get(key).ok_or_else(|| Status::bad_request(format!("map: {item} does not contain declared merge key: {key}")))
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

fn refuse<T>(message: String) -> Result<T, Status> {
    Err(Status::bad_request(message))
}
