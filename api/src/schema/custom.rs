//! Nodes of kinds that are defined while the server runs.

use std::collections::BTreeMap;

use super::{Format, JsonType, Node, SCHEMA};

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The metadata that every object has.
pub(crate) fn object_meta() -> &'static Node {
    let index = object_meta_index();
    &SCHEMA.definitions[index].1
}

/// What a [`Node`] of a custom kind is made from.
#[derive(Default)]
pub(crate) struct NodeParts {
    pub(crate) json_type: Option<JsonType>,
    pub(crate) int_or_string: bool,
    pub(crate) properties: BTreeMap<Box<str>, Node>,
    pub(crate) items: Option<Node>,
    pub(crate) values: Option<Node>,
    pub(crate) list_type: Option<Box<str>>,
    pub(crate) list_map_keys: Vec<Box<str>>,
    pub(crate) map_type: Option<Box<str>>,
    pub(crate) preserves_unknown: bool,
    /// It has `apiVersion`, `kind` and `metadata`, whatever it says of them.
    pub(crate) is_resource: bool,
}

impl NodeParts {
    pub(crate) fn into_node(mut self) -> Node {
        if self.is_resource {
            self.properties.insert("apiVersion".into(), plain(Some(JsonType::String)));
            self.properties.insert("kind".into(), plain(Some(JsonType::String)));
            self.properties.insert("metadata".into(), metadata());
        }
        Node {
            format: self.int_or_string.then_some(Format::IntOrString),
            properties: self.properties,
            items: self.items.map(Box::new),
            values: self.values.map(Box::new),
            list_type: self.list_type,
            list_map_keys: self.list_map_keys,
            map_type: self.map_type,
            preserves_unknown: self.preserves_unknown,
            ..plain(self.json_type)
        }
    }
}

fn metadata() -> Node {
    Node { reference: Some(OBJECT_META.into()), target: Some(object_meta_index()), ..plain(None) }
}

fn object_meta_index() -> usize {
    let found = SCHEMA.definitions.iter().position(|(name, _)| name == OBJECT_META);
    found.expect("invariant: the schema has ObjectMeta")
}

fn plain(json_type: Option<JsonType>) -> Node {
    Node {
        reference: None,
        target: None,
        json_type,
        format: None,
        properties: BTreeMap::new(),
        required: Vec::new(),
        items: None,
        values: None,
        merge_key: None,
        patch_strategy: None,
        list_type: None,
        list_map_keys: Vec::new(),
        map_type: None,
        preserves_unknown: false,
    }
}
