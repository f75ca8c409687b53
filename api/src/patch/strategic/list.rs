//! Lists whose items are merged, not replaced.

use std::collections::HashSet;

use serde_json::Value;

use super::order::{normalize_order, places, required_identity};
use super::{PATCH, Status, merge_maps, plain, plain_list, rejected, unknown_directive};
use crate::patch::types::FieldType;
use crate::schema::{go_type, go_value};

/// `patch` into `original`; it replaces it where the type says nothing of merging.
pub(super) fn merge_lists(original: Vec<Value>, patch: Vec<Value>, field: FieldType) -> Result<Vec<Value>, Status> {
    let Some(field) = field.filter(|field| field.has_patch_strategy("merge")) else { return Ok(plain_list(patch)) };
    match element_type(&original, &patch)? {
        None => Ok(original),
        Some("map[string]interface {}") => match field.patch_merge_key() {
            Some(key) => merge_objects(original, patch, key, field.items()),
            None => Err(Status::bad_request("cannot merge lists without merge key for type map")),
        },
        Some(_) => Ok(unite(original, patch)),
    }
}

/// All items are of one type, which is no list; `None` without items.
fn element_type(original: &[Value], patch: &[Value]) -> Result<Option<&'static str>, Status> {
    let mut types = original.iter().chain(patch).map(go_type);
    let Some(first) = types.next() else { return Ok(None) };
    if first == "[]interface {}" {
        return Err(rejected());
    }
    if types.any(|other| other != first) {
        let shown = [original, patch].map(|list| go_value(&Value::Array(list.to_vec())));
        return Err(Status::bad_request(format!("list element types are not identical: [{}]", shown.join(" "))));
    }
    Ok(Some(first))
}

/// Primitive items: each one once.
fn unite(original: Vec<Value>, patch: Vec<Value>) -> Vec<Value> {
    let mut seen = HashSet::new();
    let merged = original.iter().chain(&patch).filter(|item| seen.insert(item.to_string())).cloned().collect();
    normalize_order(merged, &patch, &original, None)
}

fn merge_objects(
    original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
    item_type: FieldType,
) -> Result<Vec<Value>, Status> {
    let Directives { order, deleted, replace } = directives(patch, key)?;
    if replace {
        return Ok(plain_list(order));
    }
    let mut merged = original.clone();
    if !deleted.is_empty() {
        merged.retain(|item| item.get(key).is_none_or(|value| !deleted.contains(&value.to_string())));
    }
    let mut known = places(&merged, Some(key));
    for item in &order {
        let identity = required_identity(item, Some(key))?;
        match (known.get(&identity), item) {
            (Some(at), Value::Object(new)) => {
                let old = merged[*at].as_object_mut().map(std::mem::take).unwrap_or_default();
                merged[*at] = Value::Object(merge_maps(old, new.clone(), item_type)?);
            }
            _ => {
                known.insert(identity, merged.len());
                merged.push(plain(item.clone()));
            }
        }
    }
    Ok(normalize_order(merged, &order, &original, Some(key)))
}

/// What the items of a patch ask for.
struct Directives {
    /// Items to merge or add.
    order: Vec<Value>,
    /// Identities of items that go.
    deleted: HashSet<String>,
    replace: bool,
}

fn directives(patch: Vec<Value>, key: &str) -> Result<Directives, Status> {
    let mut found = Directives { order: Vec::new(), deleted: HashSet::new(), replace: false };
    for mut item in patch {
        let directive = item.get(PATCH).map(|directive| directive.as_str().unwrap_or_default().to_owned());
        match (directive.as_deref(), &mut item) {
            (Some("replace"), _) => found.replace = true,
            (Some("delete"), _) => drop(found.deleted.insert(required_identity(&item, Some(key))?)),
            (Some("merge"), Value::Object(map)) => {
                map.remove(PATCH);
                found.order.push(item);
            }
            (Some(_), Value::Object(map)) => return Err(unknown_directive(map)),
            _ => found.order.push(item),
        }
    }
    Ok(found)
}
