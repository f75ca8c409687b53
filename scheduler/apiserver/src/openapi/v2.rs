//! The one OpenAPI v2 document about everything.

use serde_json::{Map, Value, json};
use wasmk_api::kind::Kind;

use super::definitions::{self, PATCH};
use super::operations::{Operation, paths};
use super::parameters::parameter;
use super::v3::phrase;

pub(super) fn document(kinds: impl Iterator<Item = &'static Kind> + Clone) -> Value {
    let paths = paths(kinds.clone(), query_parameter, render);
    let mut definitions = definitions::definitions(kinds.clone());
    for kind in kinds.filter(|kind| kind.custom_schema().is_some()) {
        let name = definitions::kind_name(kind).unwrap_or_default();
        definitions.entry(name).and_modify(definitions::simplify);
    }
    let definitions = definitions.into_iter();
    let definitions: Map<String, Value> = definitions.map(|(name, schema)| (name, rewrite(schema))).collect();
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.34.0"},
        "paths": paths,
        "definitions": definitions,
    })
}

fn query_parameter(name: &str) -> Value {
    let (json_type, description) =
        parameter(name).map_or(("string", ""), |parameter| (parameter.json_type, parameter.description));
    json!({"name": name, "in": "query", "description": description, "type": json_type, "uniqueItems": true})
}

fn render(operation: &Operation) -> Value {
    let (group, version, kind) = operation.group_version_kind;
    let body = operation.body.iter().map(|name| {
        let required = operation.method != "delete";
        let mut body = json!({"in": "body", "name": "body", "schema": reference(name)});
        if required {
            body["required"] = json!(true);
        }
        body
    });
    let parameters: Vec<Value> = body.chain(operation.parameters.iter().map(|name| query_parameter(name))).collect();
    let consumes: &[&str] = match operation.body.as_deref() {
        Some(PATCH) => operation.patch_types,
        _ => &["*/*"],
    };
    let schema = match &operation.answer {
        None => json!({"type": "string"}),
        Some(name) => reference(name),
    };
    let of_code = |code: &&str| ((*code).to_owned(), json!({"description": phrase(code), "schema": schema}));
    let mut responses: Map<String, Value> = operation.codes.iter().map(of_code).collect();
    responses.insert("401".to_owned(), json!({"description": "Unauthorized"}));
    let mut rendered = json!({
        "tags": [operation.tag],
        "description": operation.description,
        "operationId": operation.id,
        "consumes": consumes,
        "produces": if operation.answer.is_some() { json!(["application/json", "application/yaml"]) } else { json!(["*/*"]) },
        "schemes": ["https"],
        "responses": responses,
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
    });
    if !parameters.is_empty() {
        rendered["parameters"] = json!(parameters);
    }
    rendered
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/definitions/{name}")})
}

fn rewrite(node: Value) -> Value {
    match node {
        Value::Object(object) => {
            let rewritten = object.into_iter().map(|(key, child)| match (key.as_str(), child) {
                ("$ref", Value::String(name)) => (key, json!(format!("#/definitions/{name}"))),
                (_, child) => (key, rewrite(child)),
            });
            Value::Object(rewritten.collect())
        }
        Value::Array(list) => list.into_iter().map(rewrite).collect(),
        plain => plain,
    }
}
