//! One OpenAPI v3 document a group version: its paths, and the schemas that its kinds reach.

use serde_json::{Map, Value, json};
use wasmk_api::kind::Kind;

use super::definitions::{self, PATCH};
use super::operations::{Operation, paths};
use super::parameters::parameter;

pub(super) fn document(kinds: impl Iterator<Item = &'static Kind> + Clone) -> Value {
    let paths = paths(kinds.clone(), query_parameter, render);
    let schemas = definitions::definitions(kinds).into_iter();
    let schemas: Map<String, Value> = schemas.map(|(name, schema)| (name, rewrite(schema))).collect();
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.34.0"},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "BearerToken": {"description": "Bearer Token authentication", "in": "header", "name": "authorization", "type": "apiKey"},
            },
        },
    })
}

fn query_parameter(name: &str) -> Value {
    let (json_type, description) =
        parameter(name).map_or(("string", ""), |parameter| (parameter.json_type, parameter.description));
    json!({
        "name": name, "in": "query", "description": description,
        "schema": {"type": json_type, "uniqueItems": true},
    })
}

fn render(operation: &Operation) -> Value {
    let (group, version, kind) = operation.group_version_kind;
    let mut rendered = json!({
        "tags": [operation.tag],
        "description": operation.description,
        "operationId": operation.id,
        "responses": responses(operation),
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
    });
    if !operation.parameters.is_empty() {
        rendered["parameters"] = operation.parameters.iter().map(|name| query_parameter(name)).collect();
    }
    if let Some(body) = &operation.body {
        let schema = json!({"schema": reference(body)});
        let types: &[&str] = if body == PATCH { operation.patch_types } else { &["*/*"] };
        let content: Map<String, Value> = types.iter().map(|one| ((*one).to_owned(), schema.clone())).collect();
        rendered["requestBody"] = json!({"content": content});
        if operation.method != "delete" {
            rendered["requestBody"]["required"] = json!(true);
        }
    }
    rendered
}

fn responses(operation: &Operation) -> Value {
    let content = match &operation.answer {
        None => json!({"*/*": {"schema": {"type": "string"}}}),
        Some(name) => {
            let schema = json!({"schema": reference(name)});
            json!({"application/json": schema, "application/yaml": schema})
        }
    };
    let of_code = |code: &&str| ((*code).to_owned(), json!({"description": phrase(code), "content": content}));
    let mut responses: Map<String, Value> = operation.codes.iter().map(of_code).collect();
    responses.insert("401".to_owned(), json!({"description": "Unauthorized"}));
    Value::Object(responses)
}

pub(super) fn phrase(code: &str) -> &'static str {
    match code {
        "201" => "Created",
        "202" => "Accepted",
        _ => "OK",
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The form of v3: what stands beside a reference is only read when that is within `allOf`, and types are exact.
fn rewrite(node: Value) -> Value {
    match node {
        Value::Object(mut object) => {
            let is_either = object.get("format").is_some_and(|format| format == "int-or-string");
            if is_either && object.get("type").is_some_and(Value::is_string) {
                object.remove("type");
                object.insert("oneOf".to_owned(), json!([{"type": "integer"}, {"type": "string"}]));
            }
            let name = object.get("$ref").and_then(Value::as_str).map(reference);
            if let Some(name) = name {
                object.remove("$ref");
                if object.is_empty() {
                    return name;
                }
                object.insert("allOf".to_owned(), json!([name]));
                return Value::Object(object);
            }
            Value::Object(object.into_iter().map(|(key, child)| (key, rewrite(child))).collect())
        }
        Value::Array(list) => list.into_iter().map(rewrite).collect(),
        plain => plain,
    }
}
