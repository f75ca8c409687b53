//! From what was sent to a value of the kind, and what is wrong with it.

use serde_json::{Map, Value, json};

use super::FieldValidation;
use crate::field::{Faults, Field};
use crate::kind::Kind;
use crate::nesting::{NESTING_MAX, depth};
use crate::{Cause, Status, custom, schema};

/// Checks identity, types and field names; what decoding would lose is taken out, and the rest becomes the form that is
/// stored. Answers with warnings.
pub fn decode(kind: &'static Kind, value: &mut Value, validation: FieldValidation) -> Result<Vec<String>, Status> {
    identify(kind, value)?;
    if depth(value) > NESTING_MAX {
        return Err(Status::bad_request(format!("the {} nests deeper than {NESTING_MAX} levels", kind.kind)));
    }
    let findings = match kind.custom {
        Some(custom) => custom::decode(custom, value)?,
        None => schema::check_node(kind.schema(), value),
    };
    if let Some(status) = findings.type_error(kind.version, kind.kind) {
        return Err(status);
    }
    let warnings = match validation {
        FieldValidation::Ignore => Vec::new(),
        FieldValidation::Warn => findings.unknown_warnings().collect(),
        FieldValidation::Strict => match findings.strict_error(kind.version, kind.kind) {
            Some(status) => return Err(status),
            None => Vec::new(),
        },
    };
    if kind.custom.is_none() {
        schema::prune(kind.schema(), value);
    }
    if !value["metadata"].is_object() {
        value["metadata"] = Value::Object(Map::new());
    }
    drop_empty(&mut value["metadata"]);
    store(kind, value)?;
    Ok(warnings)
}

/// Makes it what is stored. A version may keep in annotations what it has no fields for, so the result is checked again.
fn store(kind: &'static Kind, value: &mut Value) -> Result<(), Status> {
    let stored = kind.stored();
    if stored == kind {
        return Ok(());
    }
    kind.convert_to_stored(value);
    if kind.custom.is_some() {
        // Its versions have the same fields, as far as each knows them.
        return Ok(());
    }
    if let Some(status) = schema::check_node(stored.schema(), value).type_error(stored.version, stored.kind) {
        return Err(status);
    }
    schema::prune(stored.schema(), value);
    Ok(())
}

/// What the schema requires, what the kind's rules say, and what wasmk does not support; answers with warnings. `old` is
/// what an update replaces.
pub(super) fn validate(kind: &'static Kind, value: &Value, old: Option<&Value>) -> Result<Vec<String>, Status> {
    let (mut faults, root) = (Faults::default(), Field::root(value));
    super::metadata::validate(kind, &root.get("metadata"), &mut faults);
    (kind.validate)(&root, &mut faults);
    if old.is_none() {
        (kind.validate_create)(&root, &mut faults);
    }
    match kind.custom {
        Some(custom) => custom::validate(custom, &root, old, &mut faults),
        None => require(kind, value, &mut faults),
    }
    let warnings = crate::unsupported::check(kind, &root, &mut faults);
    refuse(kind, value, faults)?;
    Ok(warnings)
}

pub(super) fn refuse(kind: &Kind, value: &Value, faults: Faults) -> Result<(), Status> {
    if faults.causes.is_empty() {
        return Ok(());
    }
    let metadata = &value["metadata"];
    let named = metadata["name"].as_str().or(metadata["generateName"].as_str()).unwrap_or_default();
    Err(Status::invalid(kind.kind, kind.group, named, faults.causes))
}

/// Required fields that no rule of the kind has spoken of. A status is written by those who know what they do.
fn require(kind: &'static Kind, value: &Value, faults: &mut Faults) {
    let missing = schema::check_node(kind.stored().schema(), value).missing;
    for path in missing.into_iter().filter(|path| !path.starts_with("status")) {
        if !faults.causes.iter().any(|cause| cause.field == path) {
            faults.push(Cause::required(path, ""));
        }
    }
}

/// An empty list or map says what an absent one says, and is stored as that.
fn drop_empty(metadata: &mut Value) {
    for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
        let found = &metadata[field];
        if found.as_array().is_some_and(Vec::is_empty) || found.as_object().is_some_and(Map::is_empty) {
            super::metadata::remove(metadata, field);
        }
    }
}

fn identify(kind: &Kind, value: &mut Value) -> Result<(), Status> {
    if !value.is_object() {
        let message = format!("the object provided is unrecognized: a {} is a JSON object", kind.kind);
        return Err(Status::bad_request(message));
    }
    let api_version = kind.api_version();
    for (field, expected) in [("apiVersion", api_version.as_str()), ("kind", kind.kind)] {
        match value[field].as_str() {
            None | Some("") => value[field] = json!(expected),
            Some(found) if found == expected => {}
            Some(found) => {
                return Err(Status::bad_request(format!(
                    "{field} in the data ({found}) does not match the expected {field} ({expected})"
                )));
            }
        }
    }
    Ok(())
}
