//! How deep JSON may nest.

use serde_json::Value;

/// What is stored must be readable again: JSON readers stop at 128 levels, and objects come wrapped in lists, Tables and
/// events, with `managedFields` that nest a little deeper than what they are about.
pub const NESTING_MAX: usize = 100;

/// Levels of maps and lists; 0 for a scalar.
pub(crate) fn depth(value: &Value) -> usize {
    let deepest = match value {
        Value::Object(map) => map.values().map(depth).max(),
        Value::Array(items) => items.iter().map(depth).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or(0)
}
