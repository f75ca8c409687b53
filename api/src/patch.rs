//! The four ways to patch an object, and the bookkeeping of who owns which field.
//!
//! Every function is pure: old object and patch in, new object out. What comes out is not validated and carries no
//! defaults; that is the business of the write that follows.

mod apply;
mod compare;
mod conflict;
mod fieldset;
mod json;
#[cfg(any(test, fuzzing))]
pub(crate) mod laws;
mod managed;
mod strategic;
mod types;
mod versions;

pub use apply::{ServerSideApply, group_version_kind};
pub use fieldset::FieldSet;
pub use json::{JSON_PATCH_COPY_BYTES_MAX, JSON_PATCH_OPERATIONS_MAX, apply_json_patch, apply_merge_patch};
pub use managed::{FieldWrite, same_but_for_times};
pub use strategic::apply_strategic_merge;

#[cfg(test)]
mod tests;
