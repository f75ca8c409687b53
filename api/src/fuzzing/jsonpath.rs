use serde_json::Value;

use crate::jsonpath::Template;

const WORK_MAX: usize = 10_000;

/// A template in the first line, an object in JSON after it: what can be read finds the same every time, and what a
/// template finds in the object is of the object.
pub fn jsonpath(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (template, object) = text.split_once('\n').unwrap_or((text, "null"));
    let Ok(template) = template.parse::<Template>() else { return };
    let template = template.bounded(WORK_MAX);
    let Ok(object) = serde_json::from_str::<Value>(object) else { return };
    let found = template.values(&object);
    assert!(found.iter().all(|found| is_within(found, &object)), "what is found is of the object");
    assert!(found.len() <= WORK_MAX && template.render(&object).len() <= WORK_MAX, "work is bounded");
}

fn is_within(wanted: &Value, value: &Value) -> bool {
    std::ptr::eq(wanted, value)
        || match value {
            Value::Array(items) => items.iter().any(|item| is_within(wanted, item)),
            Value::Object(fields) => fields.values().any(|field| is_within(wanted, field)),
            _ => false,
        }
}
