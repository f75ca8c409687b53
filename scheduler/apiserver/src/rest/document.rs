//! What a client sends is about what its path says: the right kind in the right place. Fields are the write's to check.

use serde_json::{Value, json};
use wasmk_api::write::FieldValidation;
use wasmk_api::{Cause, Status, schema};

use super::Call;
use crate::request::Document;

/// Group, version and kind that a body must have.
#[derive(Clone, Copy)]
pub(crate) struct Expected {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
}

impl Expected {
    pub(crate) fn object(call: &Call) -> Self {
        Self { group: call.kind.group, version: call.kind.version, kind: call.kind.kind }
    }

    /// What the document says, and warnings. A field that is there twice is warned of, or refused, as unknown ones are.
    pub(crate) fn accept(
        &self,
        document: Document,
        validation: FieldValidation,
    ) -> Result<(Value, Vec<String>), Status> {
        if document.duplicates.is_empty() || validation == FieldValidation::Ignore {
            return Ok((document.value, Vec::new()));
        }
        let mut faults: Vec<String> = document.duplicate_warnings().collect();
        if validation == FieldValidation::Strict {
            let findings = schema::check(self.group, self.version, self.kind, &document.value);
            faults.extend(findings.iter().flat_map(|findings| findings.unknown_warnings()));
            let (kind, version, faults) = (self.kind, self.version, faults.join(", "));
            return Err(Status::bad_request(format!(
                "{kind} in version \"{version}\" cannot be handled as a {kind}: strict decoding error: {faults}"
            )));
        }
        Ok((document.value, faults))
    }

    fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Whether the value says that it is what is expected.
    pub(super) fn is(&self, value: &Value) -> bool {
        value["apiVersion"] == self.api_version() && value["kind"] == self.kind
    }

    /// Fills in `apiVersion` and `kind` where the path says what is meant; refuses others.
    pub(crate) fn identify(&self, value: &mut Value) -> Result<(), Status> {
        if !value.is_object() {
            return Err(Status::bad_request(format!("the body is no {}: it is not a JSON object", self.kind)));
        }
        let api_version = self.api_version();
        for (field, expected) in [("apiVersion", api_version.as_str()), ("kind", self.kind)] {
            if value[field].is_null() || value[field] == "" {
                value[field] = json!(expected);
            }
        }
        let (found_version, found_kind) = (text(value, "apiVersion")?, text(value, "kind")?);
        if found_version != api_version {
            return Err(Status::bad_request(format!(
                "the API version in the data ({found_version}) does not match the expected API version ({api_version})"
            )));
        }
        if found_kind != self.kind {
            let group = if self.group.is_empty() { "core" } else { self.group.split('.').next().unwrap_or_default() };
            let (version, kind) = (self.version, self.kind);
            return Err(Status::bad_request(format!(
                "{found_kind} in version \"{version}\" cannot be handled as a {kind}: converting ({version}.{found_kind}) to ({group}.{kind}): unknown conversion"
            )));
        }
        Ok(())
    }
}

/// As [`Expected::accept`], for what is no object but a change to one.
pub(super) fn accept_patch(document: Document, validation: FieldValidation) -> Result<(Value, Vec<String>), Status> {
    let faults: Vec<String> = document.duplicate_warnings().collect();
    match validation {
        FieldValidation::Strict if !faults.is_empty() => {
            let detail = format!("strict decoding error: {}", faults.join(", "));
            let cause = Cause::invalid("patch", &json!(document.value.to_string()), &detail);
            Err(Status::invalid("", "", "", vec![cause]))
        }
        FieldValidation::Ignore => Ok((document.value, Vec::new())),
        _ => Ok((document.value, faults)),
    }
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, Status> {
    value[field].as_str().ok_or_else(|| Status::bad_request(format!("{field} must be a string")))
}

/// Puts the object where the path says; a body that says otherwise is refused. `name` is empty for a creation.
pub(crate) fn place(call: &Call, value: &mut Value, name: &str) -> Result<(), Status> {
    if value["metadata"].is_null() {
        value["metadata"] = json!({});
    }
    let metadata = &mut value["metadata"];
    if !metadata.is_object() {
        // The check of the fields says so better.
        return Ok(());
    }
    let namespace = call.path.namespace.as_str();
    match metadata["namespace"].as_str().unwrap_or_default() {
        "" if namespace.is_empty() => {}
        "" => metadata["namespace"] = json!(namespace),
        found if found == namespace => {}
        _ => {
            let message = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Status::bad_request(message));
        }
    }
    match metadata["name"].as_str().unwrap_or_default() {
        _ if name.is_empty() => {}
        "" => metadata["name"] = json!(name),
        found if found == name => {}
        found => {
            let message = format!("the name of the object ({found}) does not match the name on the URL ({name})");
            return Err(Status::bad_request(message));
        }
    }
    Ok(())
}
