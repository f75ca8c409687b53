use serde_json::{Value, json};

use super::fieldset::PathElement;
use crate::schema::Node;

/// The type of a value, as far as it is known.
pub(super) type FieldType = Option<&'static Node>;

/// The type below `key`, of a struct or a map.
pub(super) fn child_type(object_type: FieldType, key: &str) -> FieldType {
    object_type.and_then(|node| node.child(key))
}

/// Whether `key` is a field of a struct, as opposed to a key of a map.
pub(super) fn has_field(object_type: FieldType, key: &str) -> bool {
    object_type.is_some_and(|node| node.field(key).is_some())
}

pub(super) fn is_struct(value_type: FieldType) -> bool {
    value_type.is_some_and(|node| node.fields().next().is_some())
}

/// How far ownership and merging reach into a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Topology {
    /// Owned and replaced as a whole: scalars, atomic maps and lists.
    Leaf,
    /// A map or struct whose fields are owned one by one.
    Granular,
    /// A list of distinct scalars, owned one by one.
    Set,
    /// A list of objects that are told apart by these fields.
    Keyed(&'static [Box<str>]),
}

impl Topology {
    /// Without a type, maps are granular and lists are leaves.
    pub(super) fn of(value: &Value, value_type: FieldType) -> Self {
        let list_type = || value_type.and_then(Node::list_type);
        match value {
            Value::Object(_) if value_type.and_then(Node::map_type) == Some("atomic") => Self::Leaf,
            Value::Object(_) => Self::Granular,
            Value::Array(_) if list_type() == Some("set") => Self::Set,
            Value::Array(_) if list_type() == Some("map") => {
                Self::Keyed(value_type.map(Node::list_map_keys).unwrap_or_default())
            }
            _ => Self::Leaf,
        }
    }

    /// What addresses `item` in its list, as far as its keys are there.
    pub(super) fn element(self, item: &Value) -> PathElement {
        match self {
            Self::Keyed(keys) => PathElement::key(keys.iter().filter_map(|key| Some((&**key, key_value(item, key)?)))),
            _ => PathElement::value(item),
        }
    }

    /// As [`Topology::element`], but says which key is missing.
    pub(super) fn strict_element(self, item: &Value) -> Result<PathElement, String> {
        if let Self::Keyed(keys) = self
            && let Some(missing) = keys.iter().find(|key| key_value(item, key).is_none())
        {
            return Err(format!(
                "associative list with keys has an element that omits key field {missing:?} (and doesn't have default value)"
            ));
        }
        Ok(self.element(item))
    }
}

/// `protocol` is the one key with a default: the TCP of ports.
fn key_value(item: &Value, key: &str) -> Option<Value> {
    match item.get(key) {
        None if key == "protocol" && item.is_object() => Some(json!("TCP")),
        value => value.filter(|value| !value.is_null()).cloned(),
    }
}
