//! The words of Go's JSON decoder, which clients and people know from the API server.

use serde_json::Value;

use super::{Format, JsonType, Node};

/// `json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`.
pub(super) fn cannot_unmarshal(
    found: &Value,
    owner: Option<&'static Node>,
    fields: &str,
    node: &'static Node,
) -> String {
    let owner = owner.and_then(struct_name).unwrap_or_default();
    let place = if fields.is_empty() {
        format!("Go value of type {}", type_name(node))
    } else {
        format!("Go struct field {owner}.{fields} of type {}", type_name(node))
    };
    format!("json: cannot unmarshal {} into {place}", value_name(found, node))
}

fn struct_name(node: &'static Node) -> Option<&'static str> {
    node.definition_name()?.rsplit('.').next()
}

fn value_name(found: &Value, node: &'static Node) -> String {
    match found {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        // Go shows the number when it is the value that does not fit, not the type.
        Value::Number(number) if node.json_type() == Some(JsonType::Integer) => format!("number {number}"),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    }
}

fn type_name(node: &'static Node) -> String {
    if let Some(name) = node.definition_name()
        && node.fields().next().is_some()
    {
        let mut parts = name.rsplit('.');
        let (kind, version) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        return format!("{version}.{kind}");
    }
    match (node.json_type(), node.format()) {
        (_, Some(Format::IntOrString)) => "intstr.IntOrString".to_owned(),
        (_, Some(Format::Quantity)) => "resource.Quantity".to_owned(),
        (_, Some(Format::DateTime)) => "v1.Time".to_owned(),
        (_, Some(Format::DateTimeMicro)) => "v1.MicroTime".to_owned(),
        (_, Some(Format::Byte)) => "[]uint8".to_owned(),
        (Some(JsonType::Array), _) => format!("[]{}", node.items().map(type_name).unwrap_or_default()),
        (Some(JsonType::Object), _) => {
            format!("map[string]{}", node.values().map(type_name).unwrap_or_else(|| "interface {}".to_owned()))
        }
        (Some(JsonType::Integer), Some(Format::Int32)) => "int32".to_owned(),
        (Some(JsonType::Integer), _) => "int64".to_owned(),
        (Some(JsonType::Number), _) => "float64".to_owned(),
        (Some(JsonType::Boolean), _) => "bool".to_owned(),
        (Some(JsonType::String), _) => "string".to_owned(),
        (None, _) => "interface {}".to_owned(),
    }
}
