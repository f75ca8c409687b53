//! Lists whose items are told apart.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::super::schema::ListType;
use crate::Cause;

pub(super) fn check_distinct(list_type: &ListType, items: &[Value], path: &str, faults: &mut Vec<Cause>) {
    if *list_type == ListType::Atomic {
        return;
    }
    let mut seen = HashSet::new();
    for (index, item) in items.iter().enumerate() {
        let identity = identity(list_type, item);
        if !seen.insert(identity.to_string()) {
            faults.push(Cause::duplicate(format!("{path}[{index}]"), &identity));
        }
    }
}

/// The item of the old list that `item` is a new version of, when the list says how to tell.
pub(in crate::custom) fn correlated<'a>(
    list_type: &ListType,
    old: Option<&'a Value>,
    item: &Value,
) -> Option<&'a Value> {
    if *list_type == ListType::Atomic {
        return None;
    }
    let wanted = identity(list_type, item);
    old?.as_array()?.iter().find(|old| identity(list_type, old) == wanted)
}

fn identity(list_type: &ListType, item: &Value) -> Value {
    match list_type {
        ListType::Map(keys) => {
            let present = keys.iter().filter_map(|key| Some((key.to_string(), item.get(&**key)?.clone())));
            Value::Object(present.collect::<Map<_, _>>())
        }
        ListType::Atomic | ListType::Set => item.clone(),
    }
}
