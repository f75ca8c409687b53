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

/// As Go's `%v` shows what it read from JSON: `map[name:a ports:[80]]`.
pub fn go_value(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(go_value).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let mut pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{}", go_value(value))).collect();
            pairs.sort();
            format!("map[{}]", pairs.join(" "))
        }
        other => other.to_string(),
    }
}

/// What Go calls the value while it is JSON.
pub(crate) fn go_json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The type that Go reads a JSON value into.
pub(crate) fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

fn struct_name(node: &'static Node) -> Option<&'static str> {
    node.definition_name()?.rsplit('.').next()
}

fn value_name(found: &Value, node: &'static Node) -> String {
    match found {
        // Go shows the number when it is the value that does not fit, not the type.
        Value::Number(number)
            if node.json_type() == Some(JsonType::Integer) || node.format() == Some(Format::IntOrString) =>
        {
            format!("number {number}")
        }
        other => go_json_type(other).to_owned(),
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
        // What is no string is read as a number.
        (_, Some(Format::IntOrString)) => "int32".to_owned(),
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
