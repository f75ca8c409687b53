//! In which order the items of a patched list come.

use std::collections::HashMap;

use serde_json::Value;

use super::{PATCH, SET_ORDER, no_merge_key};
use crate::Status;
use crate::schema::go_value;

/// What the patch sets must appear in the order that it asks for, in the same sequence.
pub(super) fn check_order(patch: &[Value], order: &[Value], key: Option<&str>) -> Result<(), Status> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut rest = order.iter();
    for item in patch.iter().filter(|item| item.get(PATCH).is_none()) {
        let wanted = required_identity(item, key)?;
        loop {
            match rest.next() {
                Some(one) if required_identity(one, key)? == wanted => break,
                Some(_) => {}
                None => return Err(out_of_order(patch, order)),
            }
        }
    }
    Ok(())
}

fn out_of_order(patch: &[Value], order: &[Value]) -> Status {
    let shown = |list: &[Value]| go_value(&Value::Array(list.to_vec()));
    let directive = SET_ORDER.trim_end_matches('/');
    Status::bad_request(format!(
        "The order in patch list:\n{}\n doesn't match {directive} list:\n{}\n",
        shown(patch),
        shown(order)
    ))
}

/// Items of `order` in that order, the others in the live order, interleaved so that an item that only the server has
/// stays before the first item of the patch that it preceded.
pub(super) fn normalize_order(merged: Vec<Value>, order: &[Value], live: &[Value], key: Option<&str>) -> Vec<Value> {
    let (wanted, known) = (places(order, key), places(live, key));
    let place = |places: &HashMap<String, usize>, item: &Value| places.get(&identity(item, key)?).copied();
    let (mut patched, mut server_only): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| place(&wanted, item).is_some());
    patched.sort_by_cached_key(|item| place(&wanted, item));
    server_only.sort_by_cached_key(|item| place(&known, item).unwrap_or(usize::MAX));
    let mut ordered = Vec::with_capacity(patched.len() + server_only.len());
    let mut waiting = server_only.into_iter().peekable();
    for item in patched {
        if let Some(bound) = place(&known, &item) {
            while let Some(earlier) = waiting.next_if(|one| place(&known, one).is_some_and(|at| at < bound)) {
                ordered.push(earlier);
            }
        }
        ordered.push(item);
    }
    ordered.extend(waiting);
    ordered
}

/// Where each item is first found.
pub(super) fn places(list: &[Value], key: Option<&str>) -> HashMap<String, usize> {
    let mut places = HashMap::with_capacity(list.len());
    for (at, item) in list.iter().enumerate() {
        if let Some(identity) = identity(item, key) {
            places.entry(identity).or_insert(at);
        }
    }
    places
}

/// What tells an item from others: the value of its merge key, or all of it. As text, so that it can be looked up.
pub(super) fn identity(item: &Value, key: Option<&str>) -> Option<String> {
    match key {
        Some(key) => item.get(key).map(Value::to_string),
        None => Some(item.to_string()),
    }
}

pub(super) fn required_identity(item: &Value, key: Option<&str>) -> Result<String, Status> {
    identity(item, key).ok_or_else(|| no_merge_key(item, key.unwrap_or_default()))
}
