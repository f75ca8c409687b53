//! Objects of custom kinds in the course of a write. Source: `apiextensions-apiserver/pkg/registry/customresource`.

use std::borrow::Cow;

use serde_json::Value;

use super::{CustomKind, cel, default, prune, validate as schema_of};
use crate::field::{Faults, Field};
use crate::kind::Kind;
use crate::schema::{Findings, check_node, object_meta, prune as prune_node};
use crate::{Cause, Reason, Snapshot, Status};

/// Takes out what the schema does not know and fills in its defaults. What is found is of the metadata alone: the rest is
/// for [`validate`] to say. 413 when the defaults are more than an object may be given.
pub(crate) fn decode(custom: &CustomKind, value: &mut Value) -> Result<Findings, Status> {
    let mut findings = check_node(object_meta(), &value["metadata"]);
    let prefixed =
        |path: &mut String| *path = if path.is_empty() { "metadata".to_owned() } else { format!("metadata.{path}") };
    findings.unknown.iter_mut().for_each(prefixed);
    findings.wrong_types.iter_mut().for_each(|fault| prefixed(&mut fault.path));
    findings.missing.clear();
    if findings.wrong_types.is_empty() && value["metadata"].is_object() {
        prune_node(object_meta(), &mut value["metadata"]);
    }
    findings.unknown.extend(prune::prune(&custom.schema, value, true));
    default::default(&custom.schema, value).map_err(|too_much| {
        Status::new(Reason::RequestEntityTooLarge, format!("the object is too large: {too_much}"))
    })?;
    Ok(findings)
}

/// What a reader of `kind` sees of a stored object: in the kind's version, without what the schema no longer knows, with
/// the defaults that it has gained since, as many as an object may be given.
pub(crate) fn shown<'a>(kind: &Kind, custom: &CustomKind, object: &'a Value) -> Cow<'a, Value> {
    let api_version = kind.api_version();
    let same_version = object["apiVersion"] == api_version;
    if same_version && !prune::would_prune(&custom.schema, object) && !default::would_default(&custom.schema, object) {
        return Cow::Borrowed(object);
    }
    let mut shown = object.clone();
    shown["apiVersion"] = Value::from(api_version);
    prune::prune(&custom.schema, &mut shown, true);
    let _ = default::default(&custom.schema, &mut shown);
    Cow::Owned(shown)
}

/// `old` is what an update replaces.
pub(crate) fn validate(custom: &CustomKind, object: &Field, old: Option<&Value>, faults: &mut Faults) {
    let found = schema_of::validate(&custom.schema, object.value, old);
    let blocking = ["FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"];
    let blocked = found.iter().any(|cause| blocking.contains(&cause.reason.as_str()));
    faults.causes.extend(found);
    if !custom.schema.has_rules {
        return;
    }
    if blocked {
        let detail = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
        return faults.push(Cause::invalid("<nil>", &Value::Null, detail));
    }
    faults.causes.extend(cel::validate(&custom.schema, object.value, old));
}

/// A new object needs its definition, and one that is not on its way out.
pub(crate) fn check_definition(kind: &Kind, snapshot: &Snapshot) -> Result<(), Status> {
    let Some(key) = kind.definition() else { return Ok(()) };
    match snapshot.get(&key) {
        Some(crd) if !crd.is_deleting() => Ok(()),
        Some(_) => Err(Status::new(
            Reason::MethodNotAllowed,
            "create not allowed while custom resource definition is terminating",
        )),
        None => Err(Status::new(Reason::NotFound, "the server could not find the requested resource")),
    }
}
