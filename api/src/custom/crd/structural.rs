//! The rules of structural schemas. Source: `apiextensions-apiserver/pkg/apiserver/schema/validation.go`.

use serde_json::Value;

use super::rules;
use crate::Cause;
use crate::custom::prune::prune_default;
use crate::custom::schema::{Pattern, Schema};
use crate::custom::validate as values;
use crate::field::{Faults, Field, join};

/// Where in a schema a value stands, for the words of its faults.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Field,
    Item,
}

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// What OpenAPI has and structural schemas do not.
const UNSUPPORTED: [&str; 6] = ["$ref", "id", "additionalItems", "patternProperties", "definitions", "dependencies"];

/// What only the structure itself may say, not the parts of an `allOf` and the like.
const STRUCTURE_ONLY: [&str; 8] = [
    "additionalProperties",
    "default",
    "description",
    "nullable",
    "title",
    "type",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-preserve-unknown-fields",
];

/// `schema` is a whole `openAPIV3Schema`.
pub(super) fn validate(schema: &Field, faults: &mut Faults) {
    if schema.get("type").is_set() && schema.value["type"] != "object" {
        faults.invalid(&schema.get("type"), "must be object at the root");
    }
    let before = faults.causes.len();
    structure(schema, Level::Root, faults);
    metadata(schema, faults);
    // The rest stands on a sound structure.
    if faults.causes.len() == before {
        let parsed = Schema::parse(schema.value);
        defaults(schema, &parsed, faults);
        rules::validate(schema, &parsed, faults);
    }
}

fn structure(schema: &Field, level: Level, faults: &mut Faults) {
    if !schema.value.is_object() {
        return faults.invalid(schema, "must be a schema object");
    }
    type_of(schema, level, faults);
    common(schema, faults);
    lists_and_maps(schema, faults);
    let (properties, values) = (schema.get("properties"), schema.get("additionalProperties"));
    if properties.is_set() && values.is_set() && *values.value != Value::Bool(false) {
        faults.forbid(&values.path, "additionalProperties and properties are mutual exclusive");
    }
    if *values.value == Value::Bool(false) {
        faults.forbid(&values.path, "additionalProperties cannot be set to false");
    }
    for (name, below) in properties.entries() {
        structure(&Field { path: properties.key_path(name), value: below }, Level::Field, faults);
    }
    if values.value.is_object() {
        structure(&values, Level::Field, faults);
    }
    let items = schema.get("items");
    match items.value {
        Value::Array(_) => faults.forbid(&items.path, "items must be a schema object and not an array"),
        Value::Null if schema.value["type"] == "array" => faults.push(Cause::required(items.path, "must be specified")),
        Value::Null => {}
        _ => structure(&items, Level::Item, faults),
    }
    each_combined(schema, |part| value_validation(part, schema.value["x-kubernetes-int-or-string"] == true, faults));
}

fn type_of(schema: &Field, level: Level, faults: &mut Faults) {
    let (json_type, flag) = (schema.get("type"), |name: &str| schema.value[name] == true);
    let (int_or_string, preserves) = (flag("x-kubernetes-int-or-string"), flag("x-kubernetes-preserve-unknown-fields"));
    if !json_type.is_empty() {
        match json_type.text() {
            "null" => faults.forbid(&json_type.path, "type cannot be set to null, use nullable as an alternative"),
            _ if int_or_string => faults.forbid(&json_type.path, "must be empty if x-kubernetes-int-or-string is true"),
            _ => faults.one_of(&json_type, &TYPES),
        }
    } else if !(int_or_string || preserves && level != Level::Root) {
        let detail = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        faults.push(Cause::required(&json_type.path, detail));
    }
    if preserves && !json_type.is_empty() && !["object", "array"].contains(&json_type.text()) {
        faults.invalid(&json_type, "must be object or array if x-kubernetes-preserve-unknown-fields is true");
    }
    if flag("x-kubernetes-embedded-resource") {
        if json_type.text() != "object" {
            faults.invalid(&json_type, "must be object if x-kubernetes-embedded-resource is true");
        }
        let properties = schema.get("properties");
        if !preserves && properties.is_empty() {
            let detail = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
            faults.push(Cause::required(properties.path, detail));
        }
    }
}

/// Rules for every schema, of structure or not.
fn common(schema: &Field, faults: &mut Faults) {
    for name in UNSUPPORTED {
        let field = schema.get(name);
        if !field.is_empty() {
            faults.forbid(&field.path, &format!("{name} is not supported"));
        }
    }
    if schema.value["uniqueItems"] == true {
        let path = join(&schema.path, "uniqueItems");
        faults.forbid(&path, "uniqueItems cannot be set to true since the runtime complexity becomes quadratic");
    }
    if schema.value["x-kubernetes-preserve-unknown-fields"] == false {
        let field = schema.get("x-kubernetes-preserve-unknown-fields");
        faults.invalid(&field, "must be true or undefined");
    }
    let pattern = schema.get("pattern");
    if pattern.str().is_some_and(|text| Pattern::new(text).is_none()) {
        faults.invalid(&pattern, "must be a valid regular expression");
    }
    for (low, high) in [("minLength", "maxLength"), ("minItems", "maxItems"), ("minProperties", "maxProperties")] {
        faults.non_negative(&schema.get(low));
        faults.non_negative(&schema.get(high));
    }
}

fn lists_and_maps(schema: &Field, faults: &mut Faults) {
    let (list, map) = (schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-map-type"));
    if list.is_set() {
        faults.one_of(&list, &["atomic", "set", "map"]);
        if schema.value["type"] != "array" {
            faults.invalid(&schema.get("type"), "must be array if x-kubernetes-list-type is specified");
        }
    }
    if map.is_set() {
        faults.one_of(&map, &["atomic", "granular"]);
        if schema.value["type"] != "object" {
            faults.invalid(&schema.get("type"), "must be object if x-kubernetes-map-type is specified");
        }
    }
    let (keys, items) = (schema.get("x-kubernetes-list-map-keys"), schema.get("items"));
    if list.text() != "map" {
        if keys.is_set() {
            faults.forbid(&keys.path, "must not be specified if x-kubernetes-list-type is not map");
        }
        return;
    }
    if keys.is_empty() {
        faults.push(Cause::required(&keys.path, "must not be empty if x-kubernetes-list-type is map"));
    }
    if items.value["type"] != "object" {
        faults.invalid(&items.get("type"), "must be object if parent array's x-kubernetes-list-type is map");
    }
    for key in keys.items() {
        let properties = items.get("properties");
        let property = Field { path: properties.key_path(key.text()), value: &properties.value[key.text()] };
        if !property.is_set() {
            faults.invalid(&key, "must contain a property of the items");
            continue;
        }
        if ["object", "array"].contains(&property.get("type").text()) {
            faults.invalid(
                &property.get("type"),
                "must be a scalar type if parent array's x-kubernetes-list-type is map",
            );
        }
        let required = items.get("required").items().any(|one| one.value == key.value);
        if !required && !property.value.as_object().is_some_and(|property| property.contains_key("default")) {
            let path = property.path.clone() + ".default";
            faults.push(Cause::required(
                path,
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
            ));
        }
    }
}

/// A part of `allOf`, `anyOf`, `oneOf` or `not` only checks.
fn value_validation(schema: &Field, of_int_or_string: bool, faults: &mut Faults) {
    common(schema, faults);
    for name in STRUCTURE_ONLY {
        let field = schema.get(name);
        // The one way to say what an int-or-string is made of.
        let types_int_or_string = name == "type" && of_int_or_string && ["integer", "string"].contains(&field.text());
        if !field.is_empty() && *field.value != Value::Bool(false) && !types_int_or_string {
            let detail =
                if name == "type" { "must be empty to be structural" } else { "must be undefined to be structural" };
            faults.forbid(&field.path, detail);
        }
    }
    let below = schema.get("properties");
    for (name, value) in below.entries() {
        value_validation(&Field { path: below.key_path(name), value }, false, faults);
    }
    if schema.get("items").value.is_object() {
        value_validation(&schema.get("items"), false, faults);
    }
    each_combined(schema, |part| value_validation(part, of_int_or_string, faults));
}

fn each_combined(schema: &Field, mut visit: impl FnMut(&Field)) {
    for name in ["allOf", "anyOf", "oneOf"] {
        schema.get(name).items().for_each(|part| visit(&part));
    }
    if schema.get("not").value.is_object() {
        visit(&schema.get("not"));
    }
}

/// The metadata of a kind is what it is; a schema may restrict names.
fn metadata(root: &Field, faults: &mut Faults) {
    let properties = root.get("properties");
    for name in ["apiVersion", "kind"] {
        let json_type = Field { path: properties.key_path(name), value: &properties.value[name] }.get("type");
        if json_type.is_set() && json_type.text() != "string" {
            faults.invalid(&json_type, "must be string");
        }
    }
    let metadata = Field { path: properties.key_path("metadata"), value: &properties.value["metadata"] };
    if metadata.is_set() && metadata.value["type"] != "object" {
        faults.invalid(&metadata.get("type"), "must be object");
    }
    let restricted = metadata.get("properties").entries().all(|(name, _)| ["name", "generateName"].contains(&name));
    if !restricted {
        let detail = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        faults.forbid(&metadata.path, detail);
    }
}

/// A default must be a value that the schema takes, whole.
fn defaults(schema: &Field, parsed: &Schema, faults: &mut Faults) {
    let default = schema.get("default");
    if parsed.default.is_some() {
        let mut pruned = default.value.clone();
        if !prune_default(parsed, &mut pruned).is_empty() {
            faults.invalid(&default, "must not have unknown fields");
        }
        for cause in values::validate(parsed, default.value, None) {
            let path = if cause.field.is_empty() { default.path.clone() } else { join(&default.path, &cause.field) };
            faults.push(Cause { field: path, ..cause });
        }
    }
    each_child(schema, parsed, &mut |child, parsed| defaults(child, parsed, faults));
}

/// The schemas right below one, as they are written and as they were read.
pub(in crate::custom) fn each_child(schema: &Field, parsed: &Schema, visit: &mut dyn FnMut(&Field, &Schema)) {
    let properties = schema.get("properties");
    for (name, value) in properties.entries() {
        if let Some(parsed) = parsed.properties.get(name) {
            visit(&Field { path: properties.key_path(name), value }, parsed);
        }
    }
    for (name, parsed) in [("additionalProperties", &parsed.values), ("items", &parsed.items)] {
        if let Some(parsed) = parsed {
            visit(&schema.get(name), parsed);
        }
    }
}
