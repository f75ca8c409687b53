use serde_json::{Value, json};

use super::{Format, JsonType, Node};

/// Takes out what decoding into the kind's type would lose: unknown fields, and fields that are null. A null in a
/// list or a map becomes its type's zero value. Expects a value without type errors.
pub fn prune(node: &'static Node, value: &mut Value) {
    match value {
        Value::Object(_) if node.preserves_unknown_fields() => {}
        Value::Object(object) => {
            if node.values().is_none() {
                object.retain(|key, value| !value.is_null() && node.field(key).is_some());
            }
            for (key, value) in object {
                if let Some(child) = node.child(key) {
                    fill_zero(child, value);
                    prune(child, value);
                }
            }
        }
        Value::Array(values) => {
            for (child, value) in node.items().into_iter().cycle().zip(values) {
                fill_zero(child, value);
                prune(child, value);
            }
        }
        _ => {}
    }
}

fn fill_zero(node: &'static Node, value: &mut Value) {
    if !value.is_null() {
        return;
    }
    *value = match (node.json_type(), node.format()) {
        (_, Some(Format::IntOrString)) | (Some(JsonType::Integer | JsonType::Number), _) => json!(0),
        (_, Some(Format::Quantity)) => json!("0"),
        (Some(JsonType::Object), _) => json!({}),
        (Some(JsonType::Array), _) => json!([]),
        (Some(JsonType::Boolean), _) => json!(false),
        (Some(JsonType::String), _) => json!(""),
        (None, _) => return,
    };
}

#[cfg(test)]
mod tests {
    use super::super::for_api_version;
    use super::*;

    #[test]
    fn what_the_type_would_lose_is_taken_out() {
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "creationTimestamp": null, "labels": {"a": null}},
            "spec": {"x": 1, "containers": [{"name": "c", "image": null, "args": ["a", null]}]},
        });
        prune(for_api_version("v1", "Pod").unwrap(), &mut pod);
        let expected = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"a": ""}},
            "spec": {"containers": [{"name": "c", "args": ["a", ""]}]},
        });
        assert_eq!(pod, expected);
    }
}
