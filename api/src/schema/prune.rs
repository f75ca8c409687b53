use serde_json::{Value, json};

use super::{Format, JsonType, Node};

/// Takes out what decoding into the kind's type would lose: unknown fields, fields that are null, and, where the type is
/// one of Kubernetes' own, optional lists and maps that are empty. A null in a list or a map becomes its type's zero
/// value. Expects a value without type errors.
pub fn prune(node: &'static Node, value: &mut Value) {
    walk(node, value, node.definition_name().is_some());
}

/// `is_typed`: the node is a definition, so a type in Go, whose optional fields say `omitempty`.
fn walk(node: &'static Node, value: &mut Value, is_typed: bool) {
    let below = |child: &'static Node, value: &mut Value| {
        fill_zero(child, value);
        walk(child, value, child.target.is_some());
    };
    match value {
        Value::Object(_) if node.preserves_unknown_fields() => {}
        Value::Object(object) => {
            if node.values().is_none() {
                let is_omitted = |key: &str, value: &Value| is_typed && is_empty_collection(node, key, value);
                object.retain(|key, value| !value.is_null() && node.field(key).is_some() && !is_omitted(key, value));
            }
            for (key, value) in object {
                if let Some(child) = node.child(key) {
                    below(child, value);
                }
            }
        }
        Value::Array(values) => {
            for (child, value) in node.items().into_iter().cycle().zip(values) {
                below(child, value);
            }
        }
        _ => {}
    }
}

fn is_empty_collection(node: &'static Node, key: &str, value: &Value) -> bool {
    let is_empty = match value {
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty() && node.field(key).is_some_and(|child| child.values().is_some()),
        _ => false,
    };
    is_empty && !node.required().any(|required| required == key)
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
            "spec": {
                "x": 1, "nodeSelector": {}, "securityContext": {}, "imagePullSecrets": [],
                "containers": [{"name": "c", "image": null, "args": ["a", null], "env": []}],
            },
        });
        prune(for_api_version("v1", "Pod").unwrap(), &mut pod);
        let expected = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"a": ""}},
            "spec": {"securityContext": {}, "containers": [{"name": "c", "args": ["a", ""]}]},
        });
        assert_eq!(pod, expected);
    }

    #[test]
    fn what_is_required_stays_though_it_is_empty() {
        let mut slice = json!({"metadata": {"labels": {}}, "addressType": "IPv4", "endpoints": [], "ports": []});
        prune(for_api_version("discovery.k8s.io/v1", "EndpointSlice").unwrap(), &mut slice);
        assert_eq!(slice, json!({"metadata": {}, "addressType": "IPv4", "endpoints": []}));
    }
}
