use std::collections::BTreeMap;

use serde_json::Value;

use super::compare::{Comparison, compare};
use super::managed::{Managed, api_version};
use super::types::FieldType;
use crate::kind;

/// What a write changes. An object that is served in several versions may have owners who know its fields by other names:
/// to each the change is told in the version that their fields are recorded in.
pub(super) struct Changes {
    /// In the version of the write.
    pub(super) own: Comparison,
    elsewhere: BTreeMap<String, Comparison>,
}

impl Changes {
    /// `old` and `new` are in the version of the write, whose type is `object_type`.
    pub(super) fn between(old: &Value, new: &Value, object_type: FieldType, managed: &Managed) -> Self {
        let mut elsewhere = BTreeMap::new();
        let kind = kind::by_api_version(api_version(new), new["kind"].as_str().unwrap_or_default());
        for version in managed.entries.values().map(|entry| &entry.api_version) {
            let other = kind.and_then(|kind| Some((kind, kind.in_version(version)?)));
            if let Some((kind, other)) = other.filter(|_| !elsewhere.contains_key(version)) {
                let [old, new] = [old, new].map(|value| kind.converted(value, other));
                elsewhere.insert(version.clone(), compare(&old, &new, Some(other.schema())));
            }
        }
        Self { own: compare(old, new, object_type), elsewhere }
    }

    pub(super) fn seen_in(&self, version: &str) -> &Comparison {
        self.elsewhere.get(version).unwrap_or(&self.own)
    }
}
