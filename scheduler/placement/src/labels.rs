use std::collections::BTreeMap;

use serde_json::Value;
use wasmk_api::selector::Labels;

/// Labels apart from their object.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct LabelMap(BTreeMap<String, String>);

impl LabelMap {
    pub(crate) fn from_json(labels: &Value) -> Self {
        let pairs = labels.as_object().into_iter().flatten();
        Self(pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect())
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

impl Labels for LabelMap {
    fn get_label(&self, key: &str) -> Option<&str> {
        self.get(key)
    }
}
