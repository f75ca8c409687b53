use super::schema::{ListType, Schema};
use crate::schema::{JsonType, Node, NodeParts};

/// How server-side apply and the book-keeping of fields see a custom kind.
pub(super) fn of_kind(schema: &Schema) -> Node {
    NodeParts { is_resource: true, ..parts(schema) }.into_node()
}

fn parts(schema: &Schema) -> NodeParts {
    let (list_type, list_map_keys) = match &schema.list_type {
        ListType::Atomic => (None, Vec::new()),
        ListType::Set => (Some("set".into()), Vec::new()),
        ListType::Map(keys) => (Some("map".into()), keys.clone()),
    };
    NodeParts {
        json_type: json_type(&schema.json_type),
        int_or_string: schema.int_or_string,
        properties: schema.properties.iter().map(|(name, below)| (name.clone(), node(below))).collect(),
        items: schema.items.as_deref().map(node),
        values: schema.values.as_deref().map(node),
        list_type,
        list_map_keys,
        map_type: schema.atomic_map.then(|| "atomic".into()),
        preserves_unknown: schema.preserves_unknown,
        is_resource: schema.embedded_resource,
    }
}

fn node(schema: &Schema) -> Node {
    parts(schema).into_node()
}

fn json_type(name: &str) -> Option<JsonType> {
    Some(match name {
        "object" => JsonType::Object,
        "array" => JsonType::Array,
        "string" => JsonType::String,
        "integer" => JsonType::Integer,
        "number" => JsonType::Number,
        "boolean" => JsonType::Boolean,
        _ => return None,
    })
}
