//! Values against schemas, in the words of Kubernetes. Source: `k8s.io/kube-openapi/pkg/validation` and
//! `apiextensions-apiserver/pkg/apiserver/validation`.

mod combine;
mod format;
mod lists;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub(super) use format::{is_cidr, is_uri};
pub(super) use lists::Correlated;

use super::schema::{Bound, Checks, Schema};
use crate::Cause;
use crate::field::join;

/// Bytes of what is said to be wrong with one object. A long key is told of with each field below it, so that little can
/// ask for much.
const FAULTS_BYTES_MAX: usize = 1024 * 1024;

/// What is wrong, as far as there is room to tell.
struct Found {
    causes: Vec<Cause>,
    room: usize,
}

impl Found {
    fn new() -> Self {
        Self { causes: Vec::new(), room: FAULTS_BYTES_MAX }
    }

    fn push(&mut self, cause: Cause) {
        if self.room > 0 {
            self.room = self.room.saturating_sub(cause.field.len() + cause.message.len());
            self.causes.push(cause);
        }
    }

    fn extend(&mut self, causes: impl IntoIterator<Item = Cause>) {
        causes.into_iter().for_each(|cause| self.push(cause));
    }
}

/// What is wrong with `value`. What an update leaves as it was in `old` is not held against it (KEP-4008).
pub(super) fn validate(schema: &Schema, value: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut faults = Found::new();
    visit(schema, value, old, "", &mut faults);
    faults.causes
}

fn visit(schema: &Schema, value: &Value, old: Option<&Value>, path: &str, faults: &mut Found) {
    if old == Some(value) || value.is_null() && schema.nullable || faults.room == 0 {
        return;
    }
    check_type(schema, value, path, faults);
    combine::check(&schema.checks, value, path, faults);
    match value {
        Value::String(text) => check_text(&schema.checks, text, path, faults),
        Value::Number(_) => check_number(&schema.checks, value, path, faults),
        Value::Array(items) => check_list(schema, items, old, path, faults),
        _ => {}
    }
    check_enum(&schema.checks, value, path, faults);
    if let Value::Object(fields) = value {
        check_count(&schema.checks, fields.len(), path, faults);
        for (name, value) in fields {
            if let Some(child) = schema.child(name) {
                visit(child, value, old.and_then(|old| old.get(name)), &join(path, name), faults);
            }
        }
        for name in schema.checks.required.iter().filter(|name| !fields.contains_key(&***name)) {
            faults.push(Cause::required(join(path, name), ""));
        }
        if schema.embedded_resource {
            check_embedded(value, path, faults);
        }
    }
}

fn check_type(schema: &Schema, value: &Value, path: &str, faults: &mut Found) {
    let (wanted, fits) = match &*schema.json_type {
        _ if schema.int_or_string => ("integer,string", value.is_string() || is_integer(value)),
        "" => return,
        "object" => ("object", value.is_object()),
        "array" => ("array", value.is_array()),
        "string" => ("string", value.is_string()),
        "integer" => ("integer", is_integer(value)),
        "number" => ("number", value.is_number()),
        "boolean" => ("boolean", value.is_boolean()),
        _ => return,
    };
    if !fits {
        let found = Value::from(type_name(value));
        let detail = format!("{path} in body must be of type {wanted}: {found}");
        faults.push(wrong_type(path, &found, &detail));
    }
}

fn wrong_type(path: &str, shown: &Value, detail: &str) -> Cause {
    Cause::new("FieldValueTypeInvalid", path, format!("Invalid value: {shown}: {detail}"))
}

/// Go's decoder makes floats of all but plain integers; those without a fraction still count.
fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check_text(checks: &Checks, text: &str, path: &str, faults: &mut Found) {
    let length = text.chars().count() as u64;
    let shown = Value::from(text);
    if let Some(max) = checks.max_length.filter(|max| length > *max) {
        let bytes = if max == 1 { "byte" } else { "bytes" };
        faults.push(Cause::new("FieldValueTooLong", path, format!("Too long: may not be more than {max} {bytes}")));
    }
    if let Some(min) = checks.min_length.filter(|min| length < *min) {
        faults.push(Cause::invalid(path, &shown, &format!("{path} in body should be at least {min} chars long")));
    }
    if let Some(pattern) = checks.pattern.as_ref().filter(|pattern| !pattern.regex.is_match(text)) {
        faults.push(Cause::invalid(path, &shown, &format!("{path} in body should match '{}'", pattern.text)));
    }
    if let Some(format) = checks.format.as_deref().filter(|format| !format::fits(format, text)) {
        faults.push(wrong_type(path, &shown, &format!("{path} in body must be of type {format}: {shown}")));
    }
}

fn check_number(checks: &Checks, value: &Value, path: &str, faults: &mut Found) {
    let Some(number) = value.as_f64() else { return };
    let mut refuse = |detail: String| faults.push(Cause::invalid(path, value, &format!("{path} in body {detail}")));
    if let Some(Bound { limit, exclusive }) = checks.maximum
        && (number > limit || exclusive && number == limit)
    {
        let or_equal = if exclusive { "" } else { " or equal to" };
        refuse(format!("should be less than{or_equal} {}", go_float(limit)));
    }
    if let Some(Bound { limit, exclusive }) = checks.minimum
        && (number < limit || exclusive && number == limit)
    {
        let or_equal = if exclusive { "" } else { " or equal to" };
        refuse(format!("should be greater than{or_equal} {}", go_float(limit)));
    }
    if let Some(factor) = checks.multiple_of.filter(|factor| (number / factor).fract() != 0.0) {
        refuse(format!("should be a multiple of {}", go_float(factor)));
    }
}

fn check_list(schema: &Schema, items: &[Value], old: Option<&Value>, path: &str, faults: &mut Found) {
    let count = items.len() as u64;
    if let Some(min) = schema.checks.min_items.filter(|min| count < *min) {
        let detail = format!("{path} in body should have at least {min} items");
        faults.push(Cause::invalid(path, &Value::from(count), &detail));
    }
    if let Some(max) = schema.checks.max_items.filter(|max| count > *max) {
        faults.push(too_many(path, count, max));
    }
    if let Some(child) = schema.items.as_deref() {
        let old = Correlated::new(&schema.list_type, old);
        for (index, item) in items.iter().enumerate() {
            visit(child, item, old.get(item), &format!("{path}[{index}]"), faults);
        }
    }
    lists::check_distinct(&schema.list_type, items, path, faults);
}

fn check_count(checks: &Checks, fields: usize, path: &str, faults: &mut Found) {
    let count = fields as u64;
    if let Some(min) = checks.min_properties.filter(|min| count < *min) {
        let detail = format!("{path} in body should have at least {min} properties");
        faults.push(Cause::invalid(path, &Value::from(count), &detail));
    }
    if let Some(max) = checks.max_properties.filter(|max| count > *max) {
        faults.push(too_many(path, count, max));
    }
}

fn too_many(path: &str, count: u64, max: u64) -> Cause {
    let items = if max == 1 { "item" } else { "items" };
    Cause::new("FieldValueTooMany", path, format!("Too many: {count}: must have at most {max} {items}"))
}

fn check_enum(checks: &Checks, value: &Value, path: &str, faults: &mut Found) {
    if checks.one_of_values.is_empty() || checks.one_of_values.iter().any(|allowed| same(allowed, value)) {
        return;
    }
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let supported: Vec<String> = checks.one_of_values.iter().map(shown).collect();
    let supported: Vec<&str> = supported.iter().map(String::as_str).collect();
    faults.push(Cause::unsupported(path, value, &supported));
}

/// `1` and `1.0` are the same number.
fn same(a: &Value, b: &Value) -> bool {
    a == b || a.as_f64().is_some_and(|a| b.as_f64() == Some(a))
}

fn check_embedded(value: &Value, path: &str, faults: &mut Found) {
    for field in ["apiVersion", "kind"] {
        if value[field].as_str().unwrap_or_default().is_empty() {
            faults.push(Cause::required(join(path, field), "must not be empty"));
        }
    }
}

/// As Go's `%v` prints a float: with an exponent from a million on.
fn go_float(number: f64) -> String {
    let magnitude = number.abs();
    if number == 0.0 || (1e-4..1e6).contains(&magnitude) || !number.is_finite() {
        return number.to_string();
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}
