//! The four ways to patch an object, and the bookkeeping of who owns which field.
//!
//! Every function is pure: old object and patch in, new object out. What comes out is not validated and carries no
//! defaults; that is the business of the write that follows.

mod apply;
mod compare;
mod conflict;
mod fieldset;
mod managed;
mod strategic;
mod types;

use serde_json::Value;

pub use apply::ServerSideApply;
pub use fieldset::FieldSet;
pub use managed::{FieldWrite, same_but_for_times};
pub use strategic::apply_strategic_merge;

use crate::{Reason, Status};

/// Kubernetes' own bound on one JSON patch.
pub const JSON_PATCH_OPERATIONS_MAX: usize = 10_000;

/// RFC 6902, all operations or none. What is no JSON patch is a 400; one that does not fit the object is a 422.
pub fn apply_json_patch(current: &Value, patch: &Value) -> Result<Value, Status> {
    let patch: json_patch::Patch = serde::Deserialize::deserialize(patch)
        .map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))?;
    if patch.len() > JSON_PATCH_OPERATIONS_MAX {
        let message = format!(
            "The allowed maximum operations in a JSON patch is {JSON_PATCH_OPERATIONS_MAX}, got {}",
            patch.len()
        );
        return Err(Status::new(Reason::RequestEntityTooLarge, message));
    }
    let mut patched = current.clone();
    json_patch::patch(&mut patched, &patch)
        .map_err(|error| Status::new(Reason::Invalid, format!("the JSON patch does not fit the object: {error}")))?;
    Ok(patched)
}

/// RFC 7386.
pub fn apply_merge_patch(current: &Value, patch: &Value) -> Result<Value, Status> {
    if !patch.is_object() {
        return Err(Status::bad_request("a merge patch must be a JSON object"));
    }
    let mut patched = current.clone();
    json_patch::merge(&mut patched, patch);
    Ok(patched)
}

#[cfg(test)]
mod tests;
