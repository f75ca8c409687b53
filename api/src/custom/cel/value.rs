//! JSON as values of the expression language, by what the schema says of it.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use cel::Value as CelValue;
use cel::objects::{Key, Map};
use chrono::{DateTime, Duration};
use serde_json::Value;

use super::super::duration;
use super::super::schema::Schema;

/// `is_resource`: the value has the metadata of an object, of which rules see the names.
pub(super) fn to_cel(schema: &Schema, value: &Value, is_resource: bool) -> CelValue {
    match value {
        Value::Object(fields) => {
            let seen = |key: &str| is_resource && ["apiVersion", "kind", "metadata"].contains(&key);
            let plain = Schema::default();
            let mut made = HashMap::with_capacity(fields.len());
            for (name, value) in fields {
                let (key, below) = match (schema.properties.get(&**name), &schema.values) {
                    (Some(child), _) => (escape(name), to_cel(child, value, child.embedded_resource)),
                    (None, Some(child)) => (name.clone(), to_cel(child, value, child.embedded_resource)),
                    (None, None) if seen(name) => (name.clone(), envelope(name, value, &plain)),
                    (None, None) if schema.preserves_unknown || schema.properties.is_empty() => {
                        (name.clone(), to_cel(&plain, value, false))
                    }
                    (None, None) => continue,
                };
                made.insert(Key::from(key), below);
            }
            CelValue::Map(Map { map: Arc::new(made) })
        }
        Value::Array(items) => {
            let plain = Schema::default();
            let child = schema.items.as_deref().unwrap_or(&plain);
            CelValue::List(Arc::new(items.iter().map(|item| to_cel(child, item, child.embedded_resource)).collect()))
        }
        Value::String(text) => text_to_cel(schema, text),
        Value::Number(number) => match (&*schema.json_type, number.as_i64(), number.as_u64()) {
            ("number", ..) => CelValue::Float(number.as_f64().unwrap_or(0.0)),
            (_, Some(number), _) => CelValue::Int(number),
            (_, _, Some(number)) => CelValue::UInt(number),
            _ => float(&schema.json_type, number.as_f64().unwrap_or(0.0)),
        },
        Value::Bool(flag) => CelValue::Bool(*flag),
        Value::Null => CelValue::Null,
    }
}

/// Of metadata, rules see what a client chooses for good.
fn envelope(name: &str, value: &Value, plain: &Schema) -> CelValue {
    if name != "metadata" {
        return to_cel(plain, value, false);
    }
    let names = ["name", "generateName"].into_iter().filter_map(|field| Some((field, value.get(field)?.as_str()?)));
    CelValue::Map(Map::from(names.map(|(field, text)| (field, text.to_owned())).collect::<HashMap<_, _>>()))
}

fn float(json_type: &str, number: f64) -> CelValue {
    if json_type == "integer" { CelValue::Int(number as i64) } else { CelValue::Float(number) }
}

fn text_to_cel(schema: &Schema, text: &str) -> CelValue {
    let plain = || CelValue::String(Arc::new(text.to_owned()));
    match schema.checks.format.as_deref() {
        Some("date-time") => DateTime::parse_from_rfc3339(text).map_or_else(|_| plain(), CelValue::Timestamp),
        Some("duration") => duration::parse(text)
            .map_or_else(plain, |nanoseconds| CelValue::Duration(Duration::nanoseconds(nanoseconds))),
        Some("byte") => match base64::engine::general_purpose::STANDARD.decode(text) {
            Ok(bytes) => CelValue::Bytes(Arc::new(bytes)),
            Err(_) => plain(),
        },
        _ => plain(),
    }
}

/// Words that the language keeps to itself, which fields may still be named.
const RESERVED: [&str; 18] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
];

/// How an expression names a field whose name is no identifier of the language. Source: `k8s.io/apiserver/pkg/cel/escaping.go`.
pub(super) fn escape(name: &str) -> String {
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    name.replace("__", "__underscores__").replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__")
}
