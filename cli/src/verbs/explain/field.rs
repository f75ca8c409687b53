//! A field of the API, from the server's own OpenAPI documents: `kubectl explain`.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::args::Global;
use crate::discovery::Resource;
use crate::session::Session;

/// Deeper is a schema that holds itself.
const DEPTH_MAX: usize = 12;
const WIDTH: usize = 80;

pub(super) async fn explain(global: &Global, what: &str, recursive: bool) -> Result<()> {
    let nothing = || format!("{what} is no wasm file, no image that is here or in the cluster, and no kind of object");
    let session = Session::connect(global).await.with_context(nothing)?;
    let mut path = what.split('.');
    let kind = path.next().unwrap_or_default();
    let resource = session.discovery().await.with_context(nothing)?.find(kind).with_context(nothing)?;
    let document = session.get(&document(resource)).await.context("read what the server says of its API")?;
    let schemas = &document["components"]["schemas"];
    let whole = schema_of(schemas, resource).with_context(|| format!("the server does not describe {resource}"))?;
    let path: Vec<&str> = path.collect();
    let found = walk(schemas, whole, &path)?;
    print!("{}", render(schemas, resource, &path, found, recursive));
    Ok(())
}

fn document(resource: &Resource) -> String {
    match resource.group.as_str() {
        "" => format!("/openapi/v3/api/{}", resource.version),
        group => format!("/openapi/v3/apis/{group}/{}", resource.version),
    }
}

fn schema_of<'a>(schemas: &'a Value, resource: &Resource) -> Option<&'a Value> {
    let is_it = |kind: &Value| {
        let text = |field: &str| kind[field].as_str().unwrap_or_default();
        text("group") == resource.group && text("version") == resource.version && text("kind") == resource.kind
    };
    let kinds = |schema: &'a Value| schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten();
    // Options of requests and events of watches carry the names of many kinds.
    schemas.as_object()?.values().find(|schema| kinds(*schema).count() == 1 && kinds(*schema).any(is_it))
}

/// The field that a path leads to.
fn walk<'a>(schemas: &'a Value, mut schema: &'a Value, path: &[&str]) -> Result<&'a Value> {
    for field in path {
        let fields = target(schemas, schema);
        schema = match fields["properties"].get(field) {
            Some(found) => found,
            None => {
                let known = fields["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
                bail!("there is no field {field}; there are {}", known.collect::<Vec<_>>().join(", "))
            }
        };
    }
    Ok(schema)
}

/// What a reference, a list or a map is of.
fn target<'a>(schemas: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..DEPTH_MAX {
        let reference = [&schema["$ref"], &schema["allOf"][0]["$ref"]].into_iter().find_map(Value::as_str);
        schema = match (reference, &schema["items"], &schema["additionalProperties"]) {
            (Some(reference), ..) => &schemas[reference.rsplit('/').next().unwrap_or_default()],
            (None, items, _) if items.is_object() => items,
            (None, _, values) if values.is_object() => values,
            _ => return schema,
        };
    }
    schema
}

/// `string`, `[]Container`, `map[string]string`, as kubectl has them.
fn type_of(schema: &Value) -> String {
    let reference = [&schema["$ref"], &schema["allOf"][0]["$ref"]].into_iter().find_map(Value::as_str);
    if let Some(reference) = reference {
        return reference.rsplit(['/', '.']).next().unwrap_or_default().to_owned();
    }
    match schema["type"].as_str() {
        Some("array") => format!("[]{}", type_of(&schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("map[string]{}", type_of(&schema["additionalProperties"]))
        }
        Some("object") | None => "Object".to_owned(),
        Some(other) => other.to_owned(),
    }
}

fn render(schemas: &Value, resource: &Resource, path: &[&str], schema: &Value, recursive: bool) -> String {
    let mut text = String::new();
    if !resource.group.is_empty() {
        text += &format!("GROUP:      {}\n", resource.group);
    }
    text += &format!("KIND:       {}\nVERSION:    {}\n", resource.kind, resource.version);
    if let Some(field) = path.last() {
        text += &format!("\nFIELD: {field} <{}>\n", type_of(schema));
    }
    let fields = target(schemas, schema);
    let descriptions = [&schema["description"], &fields["description"]];
    let description = descriptions.into_iter().find_map(Value::as_str).unwrap_or("<empty>");
    text += &format!("\nDESCRIPTION:\n{}", wrapped(description, 4));
    if fields["properties"].is_object() {
        text += "\nFIELDS:\n";
        list(schemas, fields, 2, recursive, &mut text);
    }
    text
}

fn list(schemas: &Value, fields: &Value, indent: usize, recursive: bool, text: &mut String) {
    let required = |name: &str| fields["required"].as_array().into_iter().flatten().any(|field| field == name);
    for (name, schema) in fields["properties"].as_object().into_iter().flatten() {
        let mark = if required(name) { " -required-" } else { "" };
        *text += &format!("{:indent$}{name}\t<{}>{mark}\n", "", type_of(schema));
        if !recursive {
            *text += &wrapped(schema["description"].as_str().unwrap_or("<no description>"), indent + 2);
            *text += "\n";
            continue;
        }
        let below = target(schemas, schema);
        if below["properties"].is_object() && indent < 2 * DEPTH_MAX {
            list(schemas, below, indent + 2, true, text);
        }
    }
}

fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = String::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && indent + line.len() + 1 + word.len() > WIDTH {
                lines += &format!("{:indent$}{line}\n", "");
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line += word;
        }
        lines += &format!("{:indent$}{line}\n", "");
    }
    lines
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_found_through_references_and_lists() {
        let schemas = json!({
            "v1.Pod": {"description": "A pod.", "properties": {"spec": {"allOf": [{"$ref": "#/x/v1.PodSpec"}], "description": "What it is."}}},
            "v1.PodSpec": {"properties": {
                "containers": {"type": "array", "items": {"$ref": "#/x/v1.Container"}, "description": "They run."},
                "nodeSelector": {"type": "object", "additionalProperties": {"type": "string"}}},
                "required": ["containers"]},
            "v1.Container": {"description": "One.", "properties": {"image": {"type": "string"}}},
        });
        let resource = Resource {
            group: String::new(),
            version: "v1".into(),
            plural: "pods".into(),
            singular: "pod".into(),
            kind: "Pod".into(),
            short_names: Vec::new(),
            categories: Vec::new(),
            verbs: Vec::new(),
            is_namespaced: true,
        };
        let explain = |path: &[&str], recursive| {
            let found = walk(&schemas, &schemas["v1.Pod"], path).unwrap();
            render(&schemas, &resource, path, found, recursive)
        };
        expect![[r#"
            KIND:       Pod
            VERSION:    v1

            FIELD: spec <PodSpec>

            DESCRIPTION:
                What it is.

            FIELDS:
              containers	<[]Container> -required-
                They run.

              nodeSelector	<map[string]string>
                <no description>

        "#]]
        .assert_eq(&explain(&["spec"], false));
        assert!(explain(&["spec", "containers"], false).contains("image\t<string>"));
        assert!(explain(&[], true).contains("    containers\t<[]Container> -required-\n      image\t<string>\n"));
        let wrong = walk(&schemas, &schemas["v1.Pod"], &["spec", "contaners"]).unwrap_err().to_string();
        assert_eq!(wrong, "there is no field contaners; there are containers, nodeSelector");
    }
}
