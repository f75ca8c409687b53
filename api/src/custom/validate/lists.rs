//! Lists whose items are told apart.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::super::schema::ListType;
use super::Found;
use crate::Cause;

pub(super) fn check_distinct(list_type: &ListType, items: &[Value], path: &str, faults: &mut Found) {
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

/// The items of an old list, by what tells them apart; none when the list does not say what does.
pub(in crate::custom) struct Correlated<'a> {
    list_type: &'a ListType,
    by_identity: HashMap<String, &'a Value>,
}

impl<'a> Correlated<'a> {
    pub(in crate::custom) fn new(list_type: &'a ListType, old: Option<&'a Value>) -> Self {
        let items = old.filter(|_| *list_type != ListType::Atomic).and_then(Value::as_array).into_iter().flatten();
        // Of several that are the same, the first counts.
        let by_identity = items.rev().map(|item| (identity(list_type, item).to_string(), item)).collect();
        Self { list_type, by_identity }
    }

    /// What `item` is a new version of.
    pub(in crate::custom) fn get(&self, item: &Value) -> Option<&'a Value> {
        if self.by_identity.is_empty() {
            return None;
        }
        self.by_identity.get(&identity(self.list_type, item).to_string()).copied()
    }
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
