//! Objects out of bytes, for property tests and fuzz targets: everything that a kind's schema allows, nothing else.
//!
//! A fuzzer mutates the bytes and proptest shrinks them; where they end, everything ends: no field, no item, no change.

use serde_json::{Map, Value, json};

use crate::kind::{self, Kind};
use crate::schema::{Format, JsonType, Node};
use crate::write::metadata::remove;

/// How deep objects nest. Beyond, schemas that refer to themselves would go on for ever.
const DEPTH_MAX: usize = 12;
/// Fields that half of all choices fall on, so that objects of one kind have much in common.
const FAVOURITES: &[&str] = &[
    "annotations",
    "containers",
    "data",
    "env",
    "finalizers",
    "image",
    "imagePullSecrets",
    "labels",
    "limits",
    "metadata",
    "nodeSelector",
    "ownerReferences",
    "ports",
    "replicas",
    "resources",
    "selector",
    "spec",
    "strategy",
    "template",
    "topologySpreadConstraints",
    "volumeMounts",
    "volumes",
];
/// Metadata that is no client's to say.
const WRITTEN_BY_SERVER: &[&str] = &[
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
];
/// Kinds that half of all choices fall on.
const FAVOURITE_KINDS: &[(&str, &str)] = &[("apps/v1", "Deployment"), ("v1", "Pod"), ("v1", "Service")];

/// What tells the items of a list apart.
type Keys = fn(&'static Node) -> Vec<&'static str>;

pub(crate) struct Maker<'a> {
    bytes: &'a [u8],
    keys: Keys,
}

impl<'a> Maker<'a> {
    /// Items of lists are told apart as strategic merge does it.
    pub(crate) fn for_strategic_merge(bytes: &'a [u8]) -> Self {
        Self { bytes, keys: |list| list.patch_merge_key().map_or_else(|| map_keys(list), |key| vec![key]) }
    }

    /// Items of lists are told apart as server-side apply does it.
    pub(crate) fn for_apply(bytes: &'a [u8]) -> Self {
        Self { bytes, keys: map_keys }
    }

    pub(crate) fn kind(&mut self) -> &'static Kind {
        let all = kind::all();
        match self.roll(2) {
            0 => {
                let (api_version, kind) = FAVOURITE_KINDS[self.roll(FAVOURITE_KINDS.len())];
                kind::by_api_version(api_version, kind).expect("invariant: favourites are registered")
            }
            _ => all[self.roll(all.len())],
        }
    }

    /// An object with this kind's identity, named `x`.
    pub(crate) fn object(&mut self, kind: &'static Kind) -> Value {
        let mut object = self.value(kind.schema(), 0);
        identify(kind, &mut object);
        object
    }

    /// An object of the same kind: some things changed, added, taken out or put in another order.
    pub(crate) fn edited(&mut self, kind: &'static Kind, object: &Value) -> Value {
        let mut edited = self.edit(kind.schema(), object, 0);
        identify(kind, &mut edited);
        edited
    }

    /// 0 when the bytes have ended.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        usize::from(*first) % sides
    }

    pub(crate) fn is_over(&self) -> bool {
        self.bytes.is_empty()
    }

    fn value(&mut self, node: &'static Node, depth: usize) -> Value {
        let text = |maker: &mut Self| json!(["a", "b", "c"][maker.roll(3)]);
        match (node.format(), node.json_type()) {
            (Some(Format::IntOrString), _) => [json!(1), json!("25%")][self.roll(2)].clone(),
            (Some(Format::Quantity), _) => json!(["1", "1000m", "2Gi"][self.roll(3)]),
            (Some(Format::DateTime), _) => json!("2026-01-01T00:00:00Z"),
            (Some(Format::DateTimeMicro), _) => json!("2026-01-01T00:00:00.000000Z"),
            (Some(Format::Byte), _) => json!(["YQ==", ""][self.roll(2)]),
            (_, Some(JsonType::Integer)) => json!(self.roll(3)),
            (_, Some(JsonType::Number)) => json!(1.5),
            (_, Some(JsonType::Boolean)) => json!(self.roll(2) == 1),
            (_, Some(JsonType::String)) => text(self),
            (_, Some(JsonType::Array)) if depth < DEPTH_MAX => self.list(node, depth),
            (_, Some(JsonType::Array)) => json!([]),
            _ if node.preserves_unknown_fields() => [json!({}), json!({"any": [1]})][self.roll(2)].clone(),
            _ if depth < DEPTH_MAX => self.map(node, depth),
            _ => json!({}),
        }
    }

    fn map(&mut self, node: &'static Node, depth: usize) -> Value {
        let mut map = Map::new();
        for _ in 0..self.roll(5) {
            self.add_field(node, &mut map, depth);
        }
        Value::Object(map)
    }

    fn add_field(&mut self, node: &'static Node, map: &mut Map<String, Value>, depth: usize) {
        if let Some(values) = node.values() {
            let key = ["a", "b", "c"][self.roll(3)];
            map.insert(key.to_owned(), self.value(values, depth + 1));
            return;
        }
        let fields: Vec<_> = node.fields().filter(|(name, _)| *name != "managedFields").collect();
        let favourites: Vec<_> = fields.iter().filter(|(name, _)| FAVOURITES.contains(name)).copied().collect();
        let choice = if favourites.is_empty() || self.roll(2) == 1 { &fields } else { &favourites };
        if choice.is_empty() {
            return;
        }
        let (name, field) = choice[self.roll(choice.len())];
        map.insert(name.to_owned(), self.value(field, depth + 1));
    }

    fn list(&mut self, node: &'static Node, depth: usize) -> Value {
        let mut items = Vec::new();
        for _ in 0..self.roll(4) {
            items.extend(node.items().map(|item| self.item(node, item, depth)));
        }
        self.without_twins(node, &mut items);
        Value::Array(items)
    }

    fn item(&mut self, list: &'static Node, item: &'static Node, depth: usize) -> Value {
        let mut value = self.value(item, depth + 1);
        for key in (self.keys)(list) {
            if value.is_object() && value[key].is_null() {
                value[key] = item.field(key).map_or(Value::Null, |field| self.value(field, depth + 2));
            }
        }
        value
    }

    /// Lists that are merged by item have no two of the same; neither have sets.
    fn without_twins(&self, list: &'static Node, items: &mut Vec<Value>) {
        let keys = (self.keys)(list);
        let united = list.list_type() == Some("set") || list.has_patch_strategy("merge");
        if keys.is_empty() && !united {
            return;
        }
        let mut seen: Vec<Value> = Vec::new();
        items.retain(|item| {
            let id = if keys.is_empty() { item.clone() } else { keys.iter().map(|key| item[*key].clone()).collect() };
            let new = !seen.contains(&id);
            seen.push(id);
            new
        });
    }

    fn edit(&mut self, node: &'static Node, value: &Value, depth: usize) -> Value {
        match value {
            Value::Object(map) if !node.preserves_unknown_fields() => self.edit_map(node, map, depth),
            Value::Array(items) => self.edit_list(node, items, depth),
            _ if self.roll(3) == 1 => self.value(node, depth),
            other => other.clone(),
        }
    }

    fn edit_map(&mut self, node: &'static Node, map: &Map<String, Value>, depth: usize) -> Value {
        let mut edited = Map::new();
        for (key, value) in map {
            let Some(child) = node.child(key) else { continue };
            let value = match self.roll(8) {
                1..=4 => self.edit(child, value, depth + 1),
                5 => continue,
                6 => self.value(child, depth + 1),
                _ => value.clone(),
            };
            edited.insert(key.clone(), value);
        }
        if self.roll(3) == 2 {
            self.add_field(node, &mut edited, depth);
        }
        Value::Object(edited)
    }

    fn edit_list(&mut self, node: &'static Node, items: &[Value], depth: usize) -> Value {
        let Some(item_node) = node.items() else { return json!(items) };
        let mut edited = Vec::new();
        for item in items {
            match self.roll(6) {
                1..=3 => {
                    let mut changed = self.edit(item_node, item, depth + 1);
                    for key in (self.keys)(node) {
                        changed[key] = item[key].clone();
                    }
                    edited.push(changed);
                }
                4 => {}
                _ => edited.push(item.clone()),
            }
        }
        if self.roll(3) == 2 {
            edited.push(self.item(node, item_node, depth));
        }
        if edited.len() > 1 {
            let by = self.roll(edited.len());
            edited.rotate_left(by);
        }
        self.without_twins(node, &mut edited);
        Value::Array(edited)
    }
}

fn map_keys(list: &'static Node) -> Vec<&'static str> {
    list.list_map_keys().iter().map(|key| &**key).collect()
}

fn identify(kind: &Kind, object: &mut Value) {
    object["apiVersion"] = json!(kind.api_version());
    object["kind"] = json!(kind.kind);
    object["metadata"]["name"] = json!("x");
    for field in WRITTEN_BY_SERVER {
        remove(&mut object["metadata"], field);
    }
    remove(object, "status");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schema::check_node;

    proptest! {
        #[test]
        fn what_is_made_is_what_the_schema_allows(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut maker = Maker::for_apply(&bytes);
            let kind = maker.kind();
            let object = maker.object(kind);
            let edited = maker.edited(kind, &object);
            for object in [object, edited] {
                let findings = check_node(kind.schema(), &object);
                prop_assert!(findings.wrong_types.is_empty() && findings.unknown.is_empty(), "{findings:?}");
            }
        }
    }
}
