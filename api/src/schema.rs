//! The schema of Kubernetes 1.34's API, embedded: which fields a kind has, of what type, and how their lists merge.
//!
//! `schema/v1.34.json` is made by `cargo xtask schema` from Kubernetes' published definitions. It is parsed once, on
//! first use, and then immutable. Kubernetes' own leniency is kept: `null` is as good as absent, everywhere.

mod check;
mod custom;
mod gostyle;
mod prune;

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

pub use check::{Findings, TypeFault, check_node};
pub(crate) use custom::{NodeParts, object_meta};
pub use gostyle::go_value;
pub(crate) use gostyle::{go_json_type, go_type};
pub use prune::prune;

/// The text that [`Node`]s are made of; the OpenAPI documents are made of it too.
pub const SOURCE: &str = include_str!("../schema/v1.34.json");

/// What people read of each definition, and of its fields: gzip of `{definition: {field: text}}`, where the empty field
/// is the definition itself. Apart from [`SOURCE`] because only OpenAPI needs it.
pub const DESCRIPTIONS: &[u8] = include_bytes!("../schema/v1.34-descriptions.json.gz");

/// One place in the tree: a kind, a field, the items of a list or the values of a map.
#[derive(Deserialize)]
pub struct Node {
    #[serde(rename = "$ref")]
    reference: Option<Box<str>>,
    /// What `reference` names; filled in after parsing.
    #[serde(skip)]
    target: Option<usize>,
    #[serde(rename = "type")]
    json_type: Option<JsonType>,
    format: Option<Format>,
    #[serde(default)]
    properties: BTreeMap<Box<str>, Node>,
    #[serde(default)]
    required: Vec<Box<str>>,
    items: Option<Box<Node>>,
    #[serde(rename = "additionalProperties")]
    values: Option<Box<Node>>,
    #[serde(rename = "x-kubernetes-patch-merge-key")]
    merge_key: Option<Box<str>>,
    #[serde(rename = "x-kubernetes-patch-strategy")]
    patch_strategy: Option<Box<str>>,
    #[serde(rename = "x-kubernetes-list-type")]
    list_type: Option<Box<str>>,
    #[serde(rename = "x-kubernetes-list-map-keys", default)]
    list_map_keys: Vec<Box<str>>,
    #[serde(rename = "x-kubernetes-map-type")]
    map_type: Option<Box<str>>,
    #[serde(rename = "x-kubernetes-preserve-unknown-fields", default)]
    preserves_unknown: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JsonType {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    Int32,
    Int64,
    Double,
    /// Base64.
    Byte,
    DateTime,
    DateTimeMicro,
    IntOrString,
    Quantity,
}

/// The schema of a kind; `group` is empty for the core group.
pub fn for_kind(group: &str, version: &str, kind: &str) -> Option<&'static Node> {
    let index = SCHEMA.kinds.get(&format!("{group}/{version}/{kind}"))?;
    Some(&SCHEMA.definitions[*index].1)
}

/// As [`for_kind`], from an object's `apiVersion` and `kind`.
pub fn for_api_version(api_version: &str, kind: &str) -> Option<&'static Node> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    for_kind(group, version, kind)
}

/// Wrong types, unknown fields and missing required ones of `value`; `None` when the kind is not known.
pub fn check(group: &str, version: &str, kind: &str, value: &Value) -> Option<Findings> {
    for_kind(group, version, kind).map(|node| check_node(node, value))
}

impl Node {
    /// A named field of an object. Maps have none: see [`Node::values`].
    pub fn field(&'static self, name: &str) -> Option<&'static Node> {
        self.shape().properties.get(name)
    }

    pub fn fields(&'static self) -> impl Iterator<Item = (&'static str, &'static Node)> {
        self.shape().properties.iter().map(|(name, node)| (&**name, node))
    }

    /// The items of a list.
    pub fn items(&'static self) -> Option<&'static Node> {
        self.shape().items.as_deref()
    }

    /// The values of a map.
    pub fn values(&'static self) -> Option<&'static Node> {
        self.shape().values.as_deref()
    }

    /// The node below `key` of an object, whether it is a struct or a map.
    pub fn child(&'static self, key: &str) -> Option<&'static Node> {
        self.field(key).or_else(|| self.values())
    }

    /// `None` for what may be several, such as an int-or-string.
    pub fn json_type(&'static self) -> Option<JsonType> {
        self.shape().json_type
    }

    pub fn format(&'static self) -> Option<Format> {
        self.shape().format
    }

    pub fn required(&'static self) -> impl Iterator<Item = &'static str> {
        self.shape().required.iter().map(|name| &**name)
    }

    /// Strategic merge: the field that items of this list are told apart by.
    pub fn patch_merge_key(&'static self) -> Option<&'static str> {
        self.attribute(|node| node.merge_key.as_deref())
    }

    /// Strategic merge: whether `merge`, `replace` or `retainKeys` is among the comma-separated strategies.
    pub fn has_patch_strategy(&'static self, strategy: &str) -> bool {
        self.attribute(|node| node.patch_strategy.as_deref())
            .is_some_and(|several| several.split(',').any(|one| one == strategy))
    }

    /// Server-side apply: `atomic`, `set` or `map`; a list that says nothing is atomic.
    pub fn list_type(&'static self) -> Option<&'static str> {
        self.attribute(|node| node.list_type.as_deref())
    }

    /// Server-side apply: the fields that together tell items of a `map` list apart.
    pub fn list_map_keys(&'static self) -> &'static [Box<str>] {
        if self.list_map_keys.is_empty() { &self.shape().list_map_keys } else { &self.list_map_keys }
    }

    /// Server-side apply: `atomic` or `granular`; an object that says nothing is granular.
    pub fn map_type(&'static self) -> Option<&'static str> {
        self.attribute(|node| node.map_type.as_deref())
    }

    /// Anything may be below: neither fields nor values are described.
    pub fn preserves_unknown_fields(&'static self) -> bool {
        let shape = self.shape();
        shape.preserves_unknown || (shape.json_type == Some(JsonType::Object) && shape.is_opaque())
    }

    /// The name of the definition that describes the node, for example `io.k8s.api.core.v1.PodSpec`.
    pub fn definition_name(&'static self) -> Option<&'static str> {
        let index = match self.target {
            Some(index) => index,
            None => SCHEMA.definitions.iter().position(|(_, node)| std::ptr::eq(node, self))?,
        };
        Some(&SCHEMA.definitions[index].0)
    }

    fn shape(&'static self) -> &'static Node {
        self.target.map_or(self, |index| &SCHEMA.definitions[index].1)
    }

    /// What stands beside a reference counts before what stands in the definition.
    fn attribute(&'static self, read: impl Fn(&'static Node) -> Option<&'static str>) -> Option<&'static str> {
        read(self).or_else(|| read(self.shape()))
    }

    fn is_opaque(&self) -> bool {
        self.properties.is_empty() && self.values.is_none() && self.reference.is_none()
    }
}

struct Schema {
    kinds: HashMap<String, usize>,
    definitions: Vec<(String, Node)>,
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(Schema::parse);

impl Schema {
    fn parse() -> Self {
        #[derive(Deserialize)]
        struct File {
            kinds: HashMap<String, String>,
            definitions: BTreeMap<String, Node>,
        }
        let file: File = serde_json::from_str(SOURCE).expect("invariant: the embedded schema parses");
        let index: HashMap<String, usize> =
            file.definitions.keys().enumerate().map(|(index, name)| (name.clone(), index)).collect();
        let mut definitions: Vec<(String, Node)> = file.definitions.into_iter().collect();
        for (_, node) in &mut definitions {
            resolve(node, &index);
        }
        let kinds = file.kinds.into_iter().map(|(kind, name)| (kind, index[&name])).collect();
        Self { kinds, definitions }
    }
}

fn resolve(node: &mut Node, index: &HashMap<String, usize>) {
    node.target = node.reference.as_deref().map(|name| index[name]);
    let children = node.properties.values_mut().chain(node.items.as_deref_mut()).chain(node.values.as_deref_mut());
    for child in children {
        resolve(child, index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(kind: &str, path: &[&str]) -> &'static Node {
        let (api_version, kind) = kind.rsplit_once('/').unwrap();
        path.iter().fold(for_api_version(api_version, kind).unwrap(), |node, step| match *step {
            "[]" => node.items().unwrap(),
            step => node.child(step).unwrap(),
        })
    }

    #[test]
    fn lists_know_how_they_merge() {
        let containers = at("apps/v1/Deployment", &["spec", "template", "spec", "containers"]);
        assert_eq!((containers.patch_merge_key(), containers.list_type()), (Some("name"), Some("map")));
        assert!(containers.has_patch_strategy("merge"));
        let ports = containers.items().unwrap().field("ports").unwrap();
        assert_eq!(ports.patch_merge_key(), Some("containerPort"));
        let keys: Vec<&str> = ports.list_map_keys().iter().map(|key| &**key).collect();
        assert_eq!(keys, ["containerPort", "protocol"]);
        assert!(at("v1/Pod", &["spec", "volumes"]).has_patch_strategy("retainKeys"));
        assert!(at("apps/v1/Deployment", &["spec", "strategy"]).has_patch_strategy("retainKeys"));
        assert_eq!(at("v1/Service", &["spec", "selector"]).map_type(), Some("atomic"));
        assert_eq!(at("v1/Pod", &["metadata", "finalizers"]).list_type(), Some("set"));
    }

    #[test]
    fn the_tree_goes_on_below_references_maps_and_lists() {
        assert_eq!(at("v1/ConfigMap", &["data", "anything"]).json_type(), Some(JsonType::String));
        let quantity = at("v1/Pod", &["spec", "containers", "[]", "resources", "limits", "cpu"]);
        assert_eq!(quantity.format(), Some(Format::Quantity));
        assert!(at("v1/Pod", &["metadata", "managedFields", "[]", "fieldsV1"]).preserves_unknown_fields());
        assert_eq!(at("v1/Pod", &["spec"]).definition_name(), Some("io.k8s.api.core.v1.PodSpec"));
    }
}
