//! Filling in defaults. Source: `apiextensions-apiserver/pkg/apiserver/schema/defaulting`.

use serde_json::Value;

use super::schema::{Schema, text_bytes};

/// Bytes of defaults that one object may be given: as many as a request may carry. Defaults are filled in for each item
/// of a list, and in what other defaults have made, so that little may ask for much.
const DEFAULTED_BYTES_MAX: u64 = 3 * 1024 * 1024;

/// There are more defaults than one object may be given; those beyond were left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the defaults of its schema would add more than {DEFAULTED_BYTES_MAX} bytes to it")]
pub(super) struct TooMuch;

/// Nulls that the schema does not allow go, or become the default; then whatever has a default and is absent gets it.
pub(super) fn default(schema: &Schema, value: &mut Value) -> Result<(), TooMuch> {
    let mut filling = Filling { left: DEFAULTED_BYTES_MAX, fits: true };
    filling.visit(schema, value);
    if filling.fits { Ok(()) } else { Err(TooMuch) }
}

struct Filling {
    left: u64,
    fits: bool,
}

impl Filling {
    fn visit(&mut self, schema: &Schema, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|key, value| match schema.child(key) {
                    Some(child) => !is_unwanted_null(value, child) || child.default.is_some(),
                    None => true,
                });
                for (name, child) in &schema.properties {
                    if fields.get(&**name).is_none_or(|value| is_unwanted_null(value, child))
                        && let Some(default) = self.copy(child)
                    {
                        fields.insert(name.to_string(), default);
                    }
                }
                for (key, value) in fields {
                    if let Some(child) = schema.child(key) {
                        self.replace_null(child, value);
                        self.visit(child, value);
                    }
                }
            }
            Value::Array(items) => {
                let Some(child) = schema.items.as_deref() else { return };
                for item in items {
                    self.replace_null(child, item);
                    self.visit(child, item);
                }
            }
            _ => {}
        }
    }

    fn replace_null(&mut self, schema: &Schema, value: &mut Value) {
        if is_unwanted_null(value, schema)
            && let Some(default) = self.copy(schema)
        {
            *value = default;
        }
    }

    /// The schema's default, as long as there is room for it.
    fn copy(&mut self, schema: &Schema) -> Option<Value> {
        let default = schema.default.as_ref()?;
        let left = self.left.checked_sub(text_bytes(default));
        self.fits &= left.is_some();
        self.left = left?;
        Some(default.clone())
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

fn is_unwanted_null(value: &Value, schema: &Schema) -> bool {
    value.is_null() && !schema.nullable
}
