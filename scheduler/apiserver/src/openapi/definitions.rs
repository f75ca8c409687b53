//! The schemas of kinds, as Kubernetes publishes them: what the embedded schema keeps, and what people read.
//!
//! References are bare names here (`{"$ref": "io.k8s.api.core.v1.PodSpec"}`); v2 and v3 each write their own form.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use wasmk_api::kind::Kind;
use wasmk_api::schema;

use crate::subresource;

pub(super) type Definitions = BTreeMap<String, Value>;

/// What every group version answers with or takes besides its own kinds.
pub(super) const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
pub(super) const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
pub(super) const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// What is said of the fields of every kind is read from this one.
const ANY_KIND: &str = "io.k8s.api.core.v1.ConfigMap";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

/// All that the kinds and their operations refer to.
pub(super) fn definitions(kinds: impl Iterator<Item = &'static Kind>) -> Definitions {
    let mut found = Definitions::new();
    add(STATUS, &mut found);
    add(DELETE_OPTIONS, &mut found);
    add(LIST_META, &mut found);
    let patch = "Patch is provided to give a concrete name and type to the Kubernetes PATCH request body.";
    found.insert(PATCH.to_owned(), json!({"description": patch, "type": "object"}));
    mark(&mut found, STATUS, "", "v1", "Status");
    mark(&mut found, DELETE_OPTIONS, "", "v1", "DeleteOptions");
    for kind in kinds {
        add_kind(kind, &mut found);
    }
    found
}

fn add_kind(kind: &Kind, found: &mut Definitions) {
    if let Some(name) = kind_name(kind) {
        match kind.custom_schema() {
            Some(schema) => add_custom(&name, schema, found),
            None => add(&name, found),
        }
        mark(found, &name, kind.group, kind.version, kind.kind);
        let list_name = list_name(kind).unwrap_or_default();
        found.insert(list_name.clone(), list(kind, &name));
        mark(found, &list_name, kind.group, kind.version, kind.list_kind);
    }
    for (group, version, body) in subresource::of(kind).filter_map(|subresource| subresource.body) {
        if let Some(name) = name_of(group, version, body) {
            add(name, found);
            mark(found, name, group, version, body);
        }
    }
}

/// The schema of a kind that a CustomResourceDefinition made, with what every object has besides.
fn add_custom(name: &str, schema: &Value, found: &mut Definitions) {
    add(OBJECT_META, found);
    let mut schema = schema.clone();
    let text = |field: &str| json!({"type": "string", "description": text_of(ANY_KIND, field)});
    for field in ["apiVersion", "kind"] {
        schema["properties"][field] = text(field);
    }
    let described = "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";
    schema["properties"]["metadata"] = json!({"description": described, "$ref": OBJECT_META});
    found.insert(name.to_owned(), schema);
}

/// Takes out of a custom kind's schema what OpenAPI v2 has no words for, so that nobody who reads it refuses too much.
pub(super) fn simplify(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    for absent in ["allOf", "anyOf", "oneOf", "not", "nullable", "x-kubernetes-validations"] {
        object.remove(absent);
    }
    if object.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true)) {
        object.retain(|key, _| key.starts_with("x-kubernetes-") || key == "description");
    }
    children(schema).for_each(simplify);
}

/// The definition of a kind of the registry or of a CustomResourceDefinition, whose group stands in reverse:
/// `com.example.shop.v1.Widget`.
pub(super) fn kind_name(kind: &Kind) -> Option<String> {
    if kind.custom_schema().is_none() {
        return name_of(kind.group, kind.version, kind.kind).map(str::to_owned);
    }
    let group: Vec<&str> = kind.group.split('.').rev().collect();
    Some(format!("{}.{}.{}", group.join("."), kind.version, kind.kind))
}

/// The definition of a kind, for example `io.k8s.api.core.v1.Pod`.
pub(super) fn name_of(group: &str, version: &str, kind: &str) -> Option<&'static str> {
    SOURCE.kinds.get(&format!("{group}/{version}/{kind}")).map(String::as_str)
}

/// `io.k8s.api.core.v1.PodList`
pub(super) fn list_name(kind: &Kind) -> Option<String> {
    let name = kind_name(kind)?;
    let (package, _) = name.rsplit_once('.')?;
    Some(format!("{package}.{}", kind.list_kind))
}

fn list(kind: &Kind, item: &str) -> Value {
    let identity = |field: &str| text_of(item, field).map_or_else(Value::default, Value::from);
    let string = |field: &str| json!({"description": identity(field), "type": "string"});
    json!({
        "description": format!("{} is a list of {}.", kind.list_kind, kind.plural),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": string("apiVersion"),
            "items": {
                "description": format!("The {} of the list.", kind.plural), "type": "array", "items": {"$ref": item},
            },
            "kind": string("kind"),
            "metadata": {"description": "Standard list metadata.", "$ref": LIST_META},
        },
    })
}

fn mark(found: &mut Definitions, name: &str, group: &str, version: &str, kind: &str) {
    let Some(definition) = found.get_mut(name) else { return };
    let one = json!({"group": group, "version": version, "kind": kind});
    let known = &mut definition["x-kubernetes-group-version-kind"];
    match known.as_array_mut() {
        Some(list) if list.contains(&one) => {}
        Some(list) => list.push(one),
        None => *known = json!([one]),
    }
}

/// Adds a definition and everything that it refers to.
fn add(name: &str, found: &mut Definitions) {
    if found.contains_key(name) {
        return;
    }
    let Some(compact) = SOURCE.definitions.get(name) else { return };
    let mut definition = compact.clone();
    publish(&mut definition);
    describe(name, &mut definition);
    let mut references = Vec::new();
    collect_references(&definition, &mut references);
    found.insert(name.to_owned(), definition);
    references.iter().for_each(|reference| add(reference, found));
}

/// The embedded schema has marks of its own, which Kubernetes does not publish.
fn publish(node: &mut Value) {
    let Some(object) = node.as_object_mut() else { return };
    object.remove("x-kubernetes-preserve-unknown-fields");
    match object.get("format").and_then(Value::as_str) {
        Some("quantity") => *node = json!({"type": "string"}),
        Some("int-or-string") => *node = json!({"type": "string", "format": "int-or-string"}),
        Some("date-time-micro") => object["format"] = json!("date-time"),
        _ => {}
    }
    children(node).for_each(publish);
}

fn children(node: &mut Value) -> impl Iterator<Item = &mut Value> {
    let (mut nested, mut fields) = (Vec::new(), None);
    for (key, child) in node.as_object_mut().into_iter().flatten() {
        match key.as_str() {
            "items" | "additionalProperties" => nested.push(child),
            "properties" => fields = child.as_object_mut(),
            _ => {}
        }
    }
    nested.into_iter().chain(fields.into_iter().flat_map(Map::values_mut))
}

fn describe(name: &str, definition: &mut Value) {
    for (field, text) in DESCRIPTIONS.get(name).into_iter().flatten() {
        match field.as_str() {
            "" => definition["description"] = json!(text),
            field => {
                if let Some(property) = definition["properties"].get_mut(field) {
                    property["description"] = json!(text);
                }
            }
        }
    }
}

fn text_of(name: &str, field: &str) -> Option<&'static str> {
    DESCRIPTIONS.get(name)?.get(field).map(String::as_str)
}

fn collect_references(node: &Value, found: &mut Vec<String>) {
    match node {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|child| collect_references(child, found));
        }
        Value::Array(list) => list.iter().for_each(|child| collect_references(child, found)),
        _ => {}
    }
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

static DESCRIPTIONS: LazyLock<BTreeMap<String, BTreeMap<String, String>>> = LazyLock::new(|| {
    let mut text = String::new();
    flate2::read::GzDecoder::new(schema::DESCRIPTIONS)
        .read_to_string(&mut text)
        .expect("invariant: the embedded descriptions are whole");
    serde_json::from_str(&text).expect("invariant: the embedded descriptions parse")
});
