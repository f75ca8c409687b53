//! The protobuf form of the OpenAPI v2 document. Source of the field numbers: `gnostic/openapiv2/OpenAPIv2.proto`.

use serde_json::Value;

use crate::protobuf::wire::{message, number, text};

pub(super) fn document(document: &Value) -> Vec<u8> {
    let info = [texts(1, &document["info"]["title"]), texts(2, &document["info"]["version"])].concat();
    let paths = named(&document["paths"], 2, path_item);
    let definitions = named(&document["definitions"], 1, schema);
    [texts(1, &document["swagger"]), message(2, &info), message(8, &paths), message(9, &definitions)].concat()
}

/// A map as repeated pairs of a name and a value, in field `number`.
fn named(map: &Value, number: u32, encode: fn(&Value) -> Vec<u8>) -> Vec<u8> {
    let entries = map.as_object().into_iter().flatten();
    entries.flat_map(|(name, value)| message(number, &[text(1, name), message(2, &encode(value))].concat())).collect()
}

fn path_item(item: &Value) -> Vec<u8> {
    let methods = [("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("patch", 8)];
    let operations = methods.into_iter().filter(|(method, _)| item[method].is_object());
    let operations = operations.flat_map(|(method, number)| message(number, &operation(&item[method])));
    operations.chain(repeated(9, &item["parameters"], parameter)).collect()
}

fn operation(operation: &Value) -> Vec<u8> {
    [
        repeated(1, &operation["tags"], plain),
        texts(3, &operation["description"]),
        texts(5, &operation["operationId"]),
        repeated(6, &operation["produces"], plain),
        repeated(7, &operation["consumes"], plain),
        repeated(8, &operation["parameters"], parameter),
        message(9, &named(&operation["responses"], 1, response)),
        repeated(10, &operation["schemes"], plain),
        extensions(13, operation),
    ]
    .concat()
}

fn parameter(parameter: &Value) -> Vec<u8> {
    let place = parameter["in"].as_str().unwrap_or_default();
    let encoded = match place {
        "body" => {
            let body = [
                texts(2, &parameter["name"]),
                texts(3, &parameter["in"]),
                flag(4, &parameter["required"]),
                message(5, &schema(&parameter["schema"])),
            ];
            message(1, &body.concat())
        }
        "path" => message(2, &message(4, &simple_parameter(parameter, [5, 19]))),
        _ => message(2, &message(3, &simple_parameter(parameter, [6, 20]))),
    };
    message(1, &encoded)
}

/// Parameters of paths and of queries differ in the numbers of their type and of `uniqueItems`.
fn simple_parameter(parameter: &Value, [json_type, unique]: [u32; 2]) -> Vec<u8> {
    [
        flag(1, &parameter["required"]),
        texts(2, &parameter["in"]),
        texts(3, &parameter["description"]),
        texts(4, &parameter["name"]),
        texts(json_type, &parameter["type"]),
        flag(unique, &parameter["uniqueItems"]),
    ]
    .concat()
}

fn response(response: &Value) -> Vec<u8> {
    let answer = match &response["schema"] {
        Value::Null => Vec::new(),
        found => message(2, &message(1, &schema(found))),
    };
    message(1, &[texts(1, &response["description"]), answer].concat())
}

fn schema(schema: &Value) -> Vec<u8> {
    let json_type = schema["type"].as_str().map(|one| message(22, &text(1, one))).unwrap_or_default();
    let child = |field: &str, wrap: fn(Vec<u8>) -> Vec<u8>| match &schema[field] {
        Value::Null => Vec::new(),
        found => wrap(self::schema(found)),
    };
    let properties = match &schema["properties"] {
        Value::Null => Vec::new(),
        found => message(25, &named(found, 1, self::schema)),
    };
    [
        texts(1, &schema["$ref"]),
        texts(2, &schema["format"]),
        texts(4, &schema["description"]),
        repeated(19, &schema["required"], plain),
        child("additionalProperties", |values| message(21, &message(1, &values))),
        json_type,
        child("items", |items| message(23, &message(1, &items))),
        properties,
        extensions(31, schema),
    ]
    .concat()
}

/// Everything whose name begins with `x-`, as YAML, of which JSON is a part.
fn extensions(field: u32, node: &Value) -> Vec<u8> {
    let marked = node.as_object().into_iter().flatten().filter(|(name, _)| name.starts_with("x-"));
    let encode = |(name, value): (&String, &Value)| {
        message(field, &[text(1, name), message(2, &text(2, &format!("{value}\n")))].concat())
    };
    marked.flat_map(encode).collect()
}

fn repeated(number: u32, list: &Value, encode: fn(&Value) -> Vec<u8>) -> Vec<u8> {
    list.as_array().into_iter().flatten().flat_map(|item| message(number, &encode(item))).collect()
}

fn plain(value: &Value) -> Vec<u8> {
    value.as_str().unwrap_or_default().as_bytes().to_vec()
}

fn texts(number: u32, value: &Value) -> Vec<u8> {
    value.as_str().filter(|value| !value.is_empty()).map(|value| text(number, value)).unwrap_or_default()
}

fn flag(field: u32, value: &Value) -> Vec<u8> {
    if value.as_bool() == Some(true) { number(field, 1) } else { Vec::new() }
}
