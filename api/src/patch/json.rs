//! JSON patch (RFC 6902) and JSON merge patch (RFC 7386).

use json_patch::{Patch, PatchOperation};
use serde_json::Value;

use super::strategic::rejected;
use crate::nesting::{NESTING_MAX, depth};
use crate::schema::go_json_type;
use crate::{Reason, Status};

/// Kubernetes' own bound on one JSON patch.
pub const JSON_PATCH_OPERATIONS_MAX: usize = 10_000;
/// Kubernetes' own bound on what the copies of one JSON patch add up to: each one can double the document.
pub const JSON_PATCH_COPY_BYTES_MAX: usize = 3 * 1024 * 1024;

/// All operations or none. What is no JSON patch is a 400; one that does not fit the object is a 422.
pub fn apply_json_patch(current: &Value, patch: &Value) -> Result<Value, Status> {
    let Patch(operations) = decode(patch)?;
    let mut patched = current.clone();
    let mut copied = 0;
    for operation in operations {
        copied += check(&patched, &operation)?;
        if copied > JSON_PATCH_COPY_BYTES_MAX {
            return Err(rejected());
        }
        json_patch::patch(&mut patched, &[operation]).map_err(|_| rejected())?;
    }
    Ok(patched)
}

pub fn apply_merge_patch(current: &Value, patch: &Value) -> Result<Value, Status> {
    if !patch.is_object() {
        return Err(undecodable(patch, "map[string]interface {}"));
    }
    let mut patched = current.clone();
    json_patch::merge(&mut patched, patch);
    Ok(patched)
}

fn decode(patch: &Value) -> Result<Patch, Status> {
    let Value::Array(operations) = patch else { return Err(undecodable(patch, "[]handlers.jsonPatchOp")) };
    if let Some(other) = operations.iter().find(|operation| !operation.is_object()) {
        return Err(undecodable(other, "handlers.jsonPatchOp"));
    }
    if operations.len() > JSON_PATCH_OPERATIONS_MAX {
        let message = format!(
            "The allowed maximum operations in a JSON patch is {JSON_PATCH_OPERATIONS_MAX}, got {}",
            operations.len()
        );
        return Err(Status::new(Reason::RequestEntityTooLarge, message));
    }
    serde::Deserialize::deserialize(patch).map_err(|_| rejected())
}

fn undecodable(found: &Value, wanted: &str) -> Status {
    let found = go_json_type(found);
    Status::bad_request(format!("error decoding patch: json: cannot unmarshal {found} into Go value of type {wanted}"))
}

/// The bytes that the operation copies. Refuses what would nest too deep.
fn check(document: &Value, operation: &PatchOperation) -> Result<usize, Status> {
    let (path, value, copies) = match operation {
        PatchOperation::Add(add) => (&add.path, Some(&add.value), false),
        PatchOperation::Replace(replace) => (&replace.path, Some(&replace.value), false),
        PatchOperation::Move(from) => (&from.path, document.pointer(from.from.as_str()), false),
        PatchOperation::Copy(from) => (&from.path, document.pointer(from.from.as_str()), true),
        PatchOperation::Remove(_) | PatchOperation::Test(_) => return Ok(0),
    };
    let Some(value) = value else { return Ok(0) };
    if path.tokens().count() + depth(value) > NESTING_MAX {
        return Err(rejected());
    }
    Ok(if copies { value.to_string().len() } else { 0 })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_json_patch_applies_whole_or_not_at_all() {
        let object = json!({"a": [1, 2], "b": {"c": "d"}});
        let patch = json!([{"op": "test", "path": "/b/c", "value": "d"}, {"op": "remove", "path": "/a/0"}]);
        assert_eq!(apply_json_patch(&object, &patch).unwrap(), json!({"a": [2], "b": {"c": "d"}}));
        for failing in [
            json!([{"op": "remove", "path": "/a"}, {"op": "test", "path": "/b/c", "value": "x"}]),
            json!([{"op": "remove", "path": "/x"}]),
            json!([{"op": "replace", "path": "/x", "value": 1}]),
            json!([{"op": "add", "path": "/x/y", "value": 1}]),
            json!([{"op": "add", "path": "/a/7", "value": 1}]),
            json!([{"op": "burn", "path": "/a"}]),
            json!([{"op": "add"}]),
        ] {
            let refused = apply_json_patch(&object, &failing).unwrap_err();
            assert_eq!(refused.code, 422);
            assert_eq!(refused.message, "the server rejected our request due to an error in our request");
        }
    }

    #[test]
    fn what_is_no_patch_is_a_bad_request() {
        let refused = apply_json_patch(&json!({}), &json!({"op": "add"})).unwrap_err();
        let words = "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp";
        assert_eq!((refused.code, refused.message.as_str()), (400, words));
        assert_eq!(apply_json_patch(&json!({}), &json!(["add"])).unwrap_err().code, 400);
        let refused = apply_merge_patch(&json!({}), &json!([])).unwrap_err();
        let words = "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}";
        assert_eq!((refused.code, refused.message.as_str()), (400, words));
    }

    #[test]
    fn operations_are_counted() {
        let operations = |count: usize| Value::Array(vec![json!({"op": "test", "path": "/a", "value": 1}); count]);
        let object = json!({"a": 1});
        assert!(apply_json_patch(&object, &operations(JSON_PATCH_OPERATIONS_MAX)).is_ok());
        let refused = apply_json_patch(&object, &operations(JSON_PATCH_OPERATIONS_MAX + 1)).unwrap_err();
        assert_eq!(refused.code, 413);
        assert_eq!(refused.message, "The allowed maximum operations in a JSON patch is 10000, got 10001");
    }

    #[test]
    fn copies_cannot_fill_the_memory() {
        let double = json!({"op": "copy", "from": "", "path": "/a"});
        let patch = Value::Array(vec![json!({"op": "copy", "from": "", "path": "/b"}), double.clone(), double]);
        assert!(apply_json_patch(&json!({"a": 1}), &patch).is_ok());
        let doubling: Vec<Value> =
            (0..64).map(|n| json!({"op": "copy", "from": "", "path": format!("/{n}")})).collect();
        assert_eq!(apply_json_patch(&json!({"a": 1}), &json!(doubling)).unwrap_err().code, 422);
    }

    #[test]
    fn nothing_nests_deeper_than_can_be_read_back() {
        let wrap = json!({"op": "copy", "from": "", "path": "/a"});
        let patch = Value::Array(vec![wrap; NESTING_MAX + 1]);
        assert_eq!(apply_json_patch(&json!({"a": {}}), &patch).unwrap_err().code, 422);
    }

    #[test]
    fn a_merge_patch_deletes_by_null_and_replaces_lists() {
        let patched = apply_merge_patch(&json!({"a": [1], "b": 2, "c": 3}), &json!({"a": [4], "b": null})).unwrap();
        assert_eq!(patched, json!({"a": [4], "c": 3}));
    }

    /// The cases of RFC 7386's appendix that patch an object by an object.
    #[test]
    fn merge_patches_do_as_the_rfc_says() {
        for (target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            assert_eq!(apply_merge_patch(&target, &patch).unwrap(), result);
        }
    }
}
