//! One OpenAPI v3 document a group version: its paths, and the schemas that its kinds reach.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use wasmk_api::kind::{self, Kind};
use wasmk_api::schema;

pub(super) fn document(group: &str, version: &str) -> Value {
    let kinds = || kind::all().iter().filter(|kind| kind.group == group && kind.version == version);
    let paths: Map<String, Value> = kinds().flat_map(paths).collect();
    json!({
        "openapi": "3.0.0",
        "info": {"title": "wasmk", "version": "v1.34.0"},
        "paths": paths,
        "components": {"schemas": schemas(kinds())},
    })
}

pub(super) fn item_path(kind: &Kind) -> String {
    format!("{}/{{name}}", list_path(kind))
}

fn list_path(kind: &Kind) -> String {
    let root = match kind.group {
        "" => format!("/api/{}", kind.version),
        group => format!("/apis/{group}/{}", kind.version),
    };
    let namespace = if kind.namespaced { "/namespaces/{namespace}" } else { "" };
    format!("{root}{namespace}/{}", kind.plural)
}

fn paths(kind: &Kind) -> [(String, Value); 2] {
    let list = json!({
        "get": operation(kind, "list", &["labelSelector", "fieldSelector", "limit", "continue", "watch"]),
        "post": operation(kind, "post", &WRITE_PARAMETERS),
        "delete": operation(kind, "deletecollection", &["labelSelector", "fieldSelector", "dryRun"]),
    });
    let item = json!({
        "get": operation(kind, "get", &[]),
        "put": operation(kind, "put", &WRITE_PARAMETERS),
        "patch": operation(kind, "patch", &PATCH_PARAMETERS),
        "delete": operation(kind, "delete", &["dryRun", "gracePeriodSeconds", "propagationPolicy"]),
    });
    [(list_path(kind), list), (item_path(kind), item)]
}

/// `fieldValidation` among those of PATCH is how kubectl finds out that the server validates.
const WRITE_PARAMETERS: [&str; 3] = ["dryRun", "fieldManager", "fieldValidation"];
const PATCH_PARAMETERS: [&str; 4] = ["dryRun", "fieldManager", "fieldValidation", "force"];

fn operation(kind: &Kind, action: &str, parameters: &[&str]) -> Value {
    let parameter =
        |name: &&str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
    json!({
        "parameters": parameters.iter().map(parameter).collect::<Vec<_>>(),
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": group_version_kind(kind),
    })
}

fn group_version_kind(kind: &Kind) -> Value {
    json!({"group": kind.group, "version": kind.version, "kind": kind.kind})
}

/// The embedded schema as it lies in its file.
#[derive(Deserialize)]
struct Source {
    /// `<group>/<version>/<kind>` to the name of a definition.
    kinds: BTreeMap<String, String>,
    definitions: BTreeMap<String, Value>,
}

static SOURCE: LazyLock<Source> =
    LazyLock::new(|| serde_json::from_str(schema::SOURCE).expect("invariant: the embedded schema parses"));

fn schemas(kinds: impl Iterator<Item = &'static Kind>) -> BTreeMap<&'static str, Value> {
    let mut schemas = BTreeMap::new();
    for kind in kinds {
        let Some(name) = SOURCE.kinds.get(&format!("{}/{}/{}", kind.group, kind.version, kind.kind)) else { continue };
        add(name, &mut schemas);
        if let Some(schema) = schemas.get_mut(name.as_str()) {
            schema["x-kubernetes-group-version-kind"] = json!([group_version_kind(kind)]);
        }
    }
    schemas
}

/// Adds a definition and everything that it refers to.
fn add(name: &str, schemas: &mut BTreeMap<&'static str, Value>) {
    let Some((name, definition)) = SOURCE.definitions.get_key_value(name) else { return };
    if schemas.contains_key(name.as_str()) {
        return;
    }
    let mut definition = definition.clone();
    let mut references = Vec::new();
    rewrite(&mut definition, &mut references);
    schemas.insert(name, definition);
    references.iter().for_each(|reference| add(reference, schemas));
}

/// Turns the file's bare references into OpenAPI's, and says which there are. What stands beside a reference is only
/// read from within `allOf`.
fn rewrite(value: &mut Value, references: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(|child| rewrite(child, references));
            if let Some(Value::String(name)) = map.remove("$ref") {
                map.insert("allOf".to_owned(), json!([{"$ref": format!("#/components/schemas/{name}")}]));
                references.push(name);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|child| rewrite(child, references)),
        _ => {}
    }
}
