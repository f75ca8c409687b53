//! JSON patch (RFC 6902) and JSON merge patch (RFC 7386).

use json_patch::jsonptr::Pointer;
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

/// What the operations of one JSON patch may look at together: values to be moved deeper, and entries of lists that move
/// over. Ten thousand operations on a large object could otherwise take minutes.
const JSON_PATCH_STEPS_MAX: usize = 10_000_000;
/// Entries that move over in the time that looking at one value takes.
const ENTRIES_A_STEP: usize = 16;

/// All operations or none. What is no JSON patch is a 400; one that does not fit the object is a 422.
pub fn apply_json_patch(current: &Value, patch: &Value) -> Result<Value, Status> {
    let Patch(operations) = decode(patch)?;
    let mut patched = current.clone();
    let mut cost = Cost::default();
    for operation in operations {
        cost.add(&patched, &operation)?;
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

#[derive(Default)]
struct Cost {
    bytes_copied: usize,
    steps: usize,
}

impl Cost {
    /// Refuses what would nest too deep, and what is too much altogether.
    fn add(&mut self, document: &Value, operation: &PatchOperation) -> Result<(), Status> {
        match operation {
            PatchOperation::Add(add) => {
                // It is as large as the patch says: reading the patch took longer.
                check_nesting(&add.path, &add.value)?;
                self.steps += siblings(document, &add.path);
            }
            PatchOperation::Replace(replace) => check_nesting(&replace.path, &replace.value)?,
            PatchOperation::Remove(remove) => self.steps += siblings(document, &remove.path),
            PatchOperation::Move(from) => {
                self.steps += siblings(document, &from.from) + siblings(document, &from.path);
                // What comes no deeper than it was needs no look.
                if from.path.count() > from.from.count()
                    && let Some(value) = document.pointer(from.from.as_str())
                {
                    self.steps += size(value);
                    check_nesting(&from.path, value)?;
                }
            }
            PatchOperation::Copy(from) => {
                self.steps += siblings(document, &from.path);
                if let Some(value) = document.pointer(from.from.as_str()) {
                    check_nesting(&from.path, value)?;
                    self.bytes_copied += value.to_string().len();
                }
            }
            PatchOperation::Test(_) => {}
        }
        let is_too_much = self.bytes_copied > JSON_PATCH_COPY_BYTES_MAX || self.steps > JSON_PATCH_STEPS_MAX;
        if is_too_much { Err(rejected()) } else { Ok(()) }
    }
}

fn check_nesting(path: &Pointer, value: &Value) -> Result<(), Status> {
    if path.count() + depth(value) > NESTING_MAX { Err(rejected()) } else { Ok(()) }
}

/// What it takes that the entries of the list that `path` leads into move over for one more or one less.
fn siblings(document: &Value, path: &Pointer) -> usize {
    let holder = path.parent().and_then(|holder| document.pointer(holder.as_str()));
    holder.and_then(Value::as_array).map_or(0, Vec::len) / ENTRIES_A_STEP
}

/// Values within a value, itself included.
fn size(value: &Value) -> usize {
    match value {
        Value::Object(map) => 1 + map.values().map(size).sum::<usize>(),
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        _ => 1,
    }
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

    /// Each of these took a look at all of the object, ten thousand times.
    #[test]
    fn large_objects_are_patched_in_little_time() {
        let many: serde_json::Map<String, Value> = (0..100_000).map(|n| (format!("k{n}"), json!("v"))).collect();
        let operations =
            |one: Value, other: Value| json!([one, other].into_iter().cycle().take(10_000).collect::<Vec<_>>());
        let there = json!({"op": "move", "from": "/data", "path": "/x"});
        let back = json!({"op": "move", "from": "/x", "path": "/data"});
        let object = json!({"data": many, "list": [], "below": {}});
        let begun = std::time::Instant::now();
        assert_eq!(apply_json_patch(&object, &operations(there, back)).unwrap(), object);
        let deeper = json!({"op": "move", "from": "/data", "path": "/below/x"});
        let back = json!({"op": "move", "from": "/below/x", "path": "/data"});
        assert_eq!(apply_json_patch(&object, &operations(deeper, back)).unwrap_err().code, 422);
        let long = json!({"list": vec![0; 1_000_000]});
        let first = json!({"op": "add", "path": "/list/0", "value": 1});
        let gone = json!({"op": "remove", "path": "/list/0"});
        assert_eq!(apply_json_patch(&long, &operations(first, gone)).unwrap_err().code, 422);
        // Unbounded, each takes many times as long, even on a fast machine.
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", begun.elapsed());
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
