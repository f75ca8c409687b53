use serde_json::Value;

use crate::nesting::depth;
use crate::patch::{FieldSet, apply_json_patch, apply_merge_patch, apply_strategic_merge};
use crate::schema;

/// Levels at which JSON readers stop.
const READERS_TAKE: usize = 128;

/// The text of a JSON list: an object and patches of it. Patches apply or are refused; merge patches twice are once,
/// and all results stay as shallow as what JSON readers take.
pub fn json_patch(text: &[u8]) {
    let Some((object, patches)) = documents(text) else { return };
    for patch in &patches {
        if let Ok(patched) = apply_json_patch(&object, patch) {
            check_readable(&patched);
        }
        if let Ok(once) = apply_merge_patch(&object, patch) {
            assert_eq!(apply_merge_patch(&once, patch).as_ref(), Ok(&once), "a merge patch twice is once");
            check_readable(&once);
        }
    }
}

/// The text of a JSON list: an object and patches that need not have the right types. Strategic merge and server-side
/// apply take or refuse them, and field sets are written as they were read.
pub fn patch_documents(text: &[u8]) {
    let Some((object, patches)) = documents(text) else { return };
    let word = |field: &str| object[field].as_str().unwrap_or_default();
    let object_type = schema::for_api_version(word("apiVersion"), word("kind"));
    for patch in &patches {
        if let Ok(patched) = apply_strategic_merge(&object, patch, object_type) {
            check_readable(&patched);
        }
        for force in [false, true] {
            super::apply::applied(Some(&object), patch, "m", force, object_type, 0)
                .map(|applied| check_readable(&applied))
                .ok();
        }
        if let Some(fields) = FieldSet::from_json(patch) {
            assert_eq!(FieldSet::from_json(&fields.to_json()), Some(fields), "a field set is read as it was written");
        }
    }
}

fn documents(text: &[u8]) -> Option<(Value, Vec<Value>)> {
    let Value::Array(mut list) = serde_json::from_slice(text).ok()? else { return None };
    (!list.is_empty()).then(|| (list.remove(0), list))
}

fn check_readable(value: &Value) {
    let again: Value = serde_json::from_str(&value.to_string()).expect("what was patched can be read back");
    assert!(depth(&again) <= READERS_TAKE);
}
