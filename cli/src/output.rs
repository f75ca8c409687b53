//! How answers are printed: tables, JSON, YAML, names and jsonpath.

pub(crate) mod human;
mod table;
pub(crate) mod template;

use std::str::FromStr;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use wasmk_api::jsonpath::Template;

pub(crate) use table::{Columns, print_aligned};

/// `-o`.
#[derive(Clone, Debug)]
pub(crate) enum Output {
    Wide,
    Json,
    Yaml,
    Name,
    JsonPath(Template),
}

impl FromStr for Output {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "wide" => Self::Wide,
            "json" => Self::Json,
            "yaml" => Self::Yaml,
            "name" => Self::Name,
            _ => match text.strip_prefix("jsonpath=") {
                Some(template) => Self::JsonPath(template.parse()?),
                None => bail!("use one of wide, json, yaml, name, jsonpath=TEMPLATE"),
            },
        })
    }
}

/// Prints a value as JSON, indented by four as kubectl does.
pub(crate) fn print_json(value: &Value) -> Result<()> {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    serde::Serialize::serialize(value, &mut serde_json::Serializer::with_formatter(&mut text, formatter))?;
    println!("{}", String::from_utf8(text)?);
    Ok(())
}

pub(crate) fn to_yaml(value: &Value) -> Result<String> {
    serde_yaml::to_string(value).context("write YAML")
}

/// Prints one object (or a List) in a machine's format. Tables are not for this function.
pub(crate) fn print_object(value: &Value, output: &Output, name: impl Fn(&Value) -> String) -> Result<()> {
    match output {
        Output::Json => print_json(value)?,
        Output::Yaml => print!("{}", to_yaml(value)?),
        Output::JsonPath(template) => print!("{}", template.render(value)),
        Output::Name | Output::Wide => match value["items"].as_array() {
            Some(items) => items.iter().for_each(|item| println!("{}", name(item))),
            None => println!("{}", name(value)),
        },
    }
    Ok(())
}

/// `metadata.managedFields` is noise to a reader; kubectl hides it too.
pub(crate) fn without_managed_fields(mut value: Value) -> Value {
    let strip = |object: &mut Value| {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
    };
    match value.get_mut("items").and_then(Value::as_array_mut) {
        Some(items) => items.iter_mut().for_each(strip),
        None => strip(&mut value),
    }
    value
}
