use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use super::cel::Rule;

/// A structural schema: what a CustomResourceDefinition says of one value and of all below it. The parts of an `allOf`,
/// `anyOf`, `oneOf` or `not` are schemas too, which only check.
#[derive(Default)]
pub(crate) struct Schema {
    /// Empty for what may be of several types.
    pub(super) json_type: Box<str>,
    pub(super) nullable: bool,
    pub(super) int_or_string: bool,
    pub(super) preserves_unknown: bool,
    pub(super) embedded_resource: bool,
    pub(super) default: Option<Value>,
    pub(super) properties: BTreeMap<Box<str>, Schema>,
    /// The values of a map.
    pub(super) values: Option<Box<Schema>>,
    pub(super) items: Option<Box<Schema>>,
    pub(super) list_type: ListType,
    pub(super) atomic_map: bool,
    pub(super) checks: Checks,
    pub(super) rules: Vec<Rule>,
    /// Of this schema or any below it.
    pub(super) has_rules: bool,
}

#[derive(Default, PartialEq, Eq, Debug)]
pub(super) enum ListType {
    #[default]
    Atomic,
    Set,
    /// With the fields that tell items apart.
    Map(Vec<Box<str>>),
}

/// What is asked of a value besides its type.
#[derive(Default)]
pub(super) struct Checks {
    pub(super) format: Option<Box<str>>,
    pub(super) pattern: Option<Pattern>,
    pub(super) maximum: Option<Bound>,
    pub(super) minimum: Option<Bound>,
    pub(super) multiple_of: Option<f64>,
    pub(super) max_length: Option<u64>,
    pub(super) min_length: Option<u64>,
    pub(super) max_items: Option<u64>,
    pub(super) min_items: Option<u64>,
    pub(super) max_properties: Option<u64>,
    pub(super) min_properties: Option<u64>,
    pub(super) required: Vec<Box<str>>,
    /// Empty when anything will do.
    pub(super) one_of_values: Vec<Value>,
    pub(super) all_of: Vec<Schema>,
    pub(super) any_of: Vec<Schema>,
    pub(super) one_of: Vec<Schema>,
    pub(super) not: Option<Box<Schema>>,
}

pub(super) struct Pattern {
    pub(super) text: Box<str>,
    pub(super) regex: Regex,
}

#[derive(Clone, Copy)]
pub(super) struct Bound {
    pub(super) limit: f64,
    pub(super) exclusive: bool,
}

impl Schema {
    /// Reads an `openAPIV3Schema`. What the check of the definition would refuse is passed over.
    pub(super) fn parse(schema: &Value) -> Self {
        let flag = |name: &str| schema[name] == true;
        let extension = |name: &str| flag(&format!("x-kubernetes-{name}"));
        let mut parsed = Self {
            json_type: text(&schema["type"]),
            nullable: flag("nullable"),
            int_or_string: extension("int-or-string"),
            preserves_unknown: extension("preserve-unknown-fields"),
            embedded_resource: extension("embedded-resource"),
            default: schema.get("default").cloned(),
            properties: properties(&schema["properties"]),
            values: child(&schema["additionalProperties"]),
            items: child(&schema["items"]),
            list_type: list_type(schema),
            atomic_map: schema["x-kubernetes-map-type"] == "atomic",
            checks: Checks::parse(schema),
            rules: Rule::parse_all(schema),
            has_rules: false,
        };
        parsed.has_rules = !parsed.rules.is_empty() || parsed.children().any(|child| child.has_rules);
        parsed
    }

    /// The schema below `key` of an object.
    pub(super) fn child(&self, key: &str) -> Option<&Schema> {
        self.properties.get(key).or(self.values.as_deref())
    }

    fn children(&self) -> impl Iterator<Item = &Schema> {
        self.properties.values().chain(self.values.as_deref()).chain(self.items.as_deref())
    }
}

impl Checks {
    fn parse(schema: &Value) -> Self {
        let number = |name: &str| schema[name].as_f64();
        let count = |name: &str| schema[name].as_u64();
        let list = |name: &str| schema[name].as_array().map(Vec::as_slice).unwrap_or_default();
        let schemas = |name: &str| list(name).iter().map(Schema::parse).collect();
        let bound = |name: &str, exclusive: &str| {
            number(name).map(|limit| Bound { limit, exclusive: schema[exclusive] == true })
        };
        Self {
            format: schema["format"].as_str().map(Box::from),
            pattern: schema["pattern"].as_str().and_then(Pattern::new),
            maximum: bound("maximum", "exclusiveMaximum"),
            minimum: bound("minimum", "exclusiveMinimum"),
            multiple_of: number("multipleOf"),
            max_length: count("maxLength"),
            min_length: count("minLength"),
            max_items: count("maxItems"),
            min_items: count("minItems"),
            max_properties: count("maxProperties"),
            min_properties: count("minProperties"),
            required: list("required").iter().map(text).collect(),
            one_of_values: list("enum").to_vec(),
            all_of: schemas("allOf"),
            any_of: schemas("anyOf"),
            one_of: schemas("oneOf"),
            not: child(&schema["not"]),
        }
    }
}

impl Pattern {
    /// `None` for what is no regular expression.
    pub(super) fn new(text: &str) -> Option<Self> {
        Some(Self { text: text.into(), regex: Regex::new(text).ok()? })
    }
}

fn properties(found: &Value) -> BTreeMap<Box<str>, Schema> {
    let entries = found.as_object().into_iter().flatten();
    entries.map(|(name, schema)| (name.as_str().into(), Schema::parse(schema))).collect()
}

fn child(found: &Value) -> Option<Box<Schema>> {
    found.is_object().then(|| Box::new(Schema::parse(found)))
}

fn list_type(schema: &Value) -> ListType {
    match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => ListType::Set,
        Some("map") => {
            ListType::Map(schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().map(text).collect())
        }
        _ => ListType::Atomic,
    }
}

fn text(value: &Value) -> Box<str> {
    value.as_str().unwrap_or_default().into()
}

/// About how many bytes of text a value is.
pub(super) fn text_bytes(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.len() as u64 + 2,
        Value::Array(items) => items.iter().map(text_bytes).sum::<u64>() + 2,
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| key.len() as u64 + text_bytes(value)).sum::<u64>() + 2
        }
        _ => 4,
    }
}
