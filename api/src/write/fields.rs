//! From what was sent to a value of the kind, and what is wrong with it.

use serde_json::{Map, Value, json};

use super::FieldValidation;
use crate::field::{Faults, Field};
use crate::kind::Kind;
use crate::{Cause, Status, schema};

/// Checks identity, types and field names; what decoding would lose is taken out. Answers with warnings.
pub(super) fn decode(kind: &Kind, value: &mut Value, validation: FieldValidation) -> Result<Vec<String>, Status> {
    identify(kind, value)?;
    let findings = schema::check_node(kind.schema(), value);
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
    schema::prune(kind.schema(), value);
    if !value["metadata"].is_object() {
        value["metadata"] = Value::Object(Map::new());
    }
    drop_empty(&mut value["metadata"]);
    Ok(warnings)
}

/// What the schema requires, what the kind's rules say, and what wasmk does not support; answers with warnings.
pub(super) fn validate(kind: &Kind, value: &Value) -> Result<Vec<String>, Status> {
    let (mut faults, root) = (Faults::default(), Field::root(value));
    super::metadata::validate(kind, &root.get("metadata"), &mut faults);
    (kind.validate)(&root, &mut faults);
    require(kind, value, &mut faults);
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
fn require(kind: &Kind, value: &Value, faults: &mut Faults) {
    let missing = schema::check_node(kind.schema(), value).missing;
    for path in missing.into_iter().filter(|path| !path.starts_with("status")) {
        if !faults.causes.iter().any(|cause| cause.field == path) {
            faults.push(Cause::required(path, ""));
        }
    }
}

/// An empty list or map says what an absent one says, and is stored as that.
fn drop_empty(metadata: &mut Value) {
    for field in ["labels", "annotations", "finalizers", "ownerReferences", "managedFields"] {
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
