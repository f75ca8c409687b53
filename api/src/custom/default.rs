//! Filling in defaults. Source: `apiextensions-apiserver/pkg/apiserver/schema/defaulting`.

use serde_json::Value;

use super::schema::Schema;

/// Nulls that the schema does not allow go, or become the default; then whatever has a default and is absent gets it.
pub(super) fn default(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, value| match schema.child(key) {
                Some(child) => !is_unwanted_null(value, child) || child.default.is_some(),
                None => true,
            });
            for (name, child) in &schema.properties {
                if let Some(default) = &child.default
                    && fields.get(&**name).is_none_or(|value| is_unwanted_null(value, child))
                {
                    fields.insert(name.to_string(), default.clone());
                }
            }
            for (key, value) in fields {
                if let Some(child) = schema.child(key) {
                    replace_null(child, value);
                    default(child, value);
                }
            }
        }
        Value::Array(items) => {
            let Some(child) = schema.items.as_deref() else { return };
            for item in items {
                replace_null(child, item);
                default(child, item);
            }
        }
        _ => {}
    }
}

/// Whether [`default`] would change anything.
pub(super) fn would_default(schema: &Schema, value: &Value) -> bool {
    match value {
        Value::Object(fields) => {
            let mut properties = schema.properties.iter();
            properties.any(|(name, child)| child.default.is_some() && !fields.contains_key(&**name))
                || fields.iter().any(|(key, value)| {
                    let child = schema.child(key);
                    child.is_some_and(|child| is_unwanted_null(value, child) || would_default(child, value))
                })
        }
        Value::Array(items) => schema.items.as_deref().is_some_and(|child| {
            let unwanted = |item: &Value| child.default.is_some() && is_unwanted_null(item, child);
            items.iter().any(|item| unwanted(item) || would_default(child, item))
        }),
        _ => false,
    }
}

fn replace_null(schema: &Schema, value: &mut Value) {
    if let Some(default) = schema.default.as_ref().filter(|_| is_unwanted_null(value, schema)) {
        *value = default.clone();
    }
}

fn is_unwanted_null(value: &Value, schema: &Schema) -> bool {
    value.is_null() && !schema.nullable
}
