//! PATCH in its four forms.

mod apply;

use axum::response::Response;
use serde_json::{Value, json};
use wasmk_api::patch::{apply_json_patch, apply_merge_patch, apply_strategic_merge};
use wasmk_api::schema::{self, go_value};
use wasmk_api::write::FieldValidation;
use wasmk_api::{Cause, Status};

use super::document::accept_patch;
use super::modify::{Change, modify};
use super::{Call, Part};
use crate::request::{Body, BodyType, WriteOptions, invalid_options, unsupported};
use crate::respond::add_warnings;

const ACCEPTED: &str = "application/json-patch+json, application/merge-patch+json, \
    application/strategic-merge-patch+json, application/apply-patch+yaml";
/// A strategic merge needs to know more of lists than a structural schema says.
const ACCEPTED_BY_CUSTOM: &str =
    "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";

pub(super) async fn patch(call: &Call, part: Part, body: Body) -> Result<Response, Status> {
    let options = WriteOptions::parse(&call.query, "PatchOptions")?;
    if body.media_type == BodyType::ApplyPatch {
        let (config, warnings) = part.expected(call).accept(body.yaml()?, options.field_validation)?;
        let mut response = apply::apply(call, part, options, config).await?;
        add_warnings(&mut response, &warnings);
        return Ok(response);
    }
    if options.force.is_some() {
        let detail = "may not be specified for non-apply patch";
        return Err(invalid_options("PatchOptions", Cause::forbidden("force", detail)));
    }
    let media_type = body.media_type;
    let patch = match media_type {
        BodyType::StrategicMergePatch if call.kind.custom_schema().is_some() && part != Part::Scale => {
            return Err(unsupported(ACCEPTED_BY_CUSTOM));
        }
        BodyType::JsonPatch | BodyType::MergePatch | BodyType::StrategicMergePatch => body.json()?,
        _ => return Err(unsupported(ACCEPTED)),
    };
    let (patch, warnings) = accept_patch(patch, options.field_validation)?;
    let patched = |current: &Value| {
        let patched = match media_type {
            BodyType::JsonPatch => apply_json_patch(current, &patch)?,
            BodyType::MergePatch => apply_merge_patch(current, &patch)?,
            _ => apply_strategic_merge(current, &patch, part.schema(call))?,
        };
        let shown = || if media_type == BodyType::StrategicMergePatch { go_value(&patch) } else { patched.to_string() };
        check_fields(call, part, options.field_validation, &patched, shown)?;
        Ok(patched)
    };
    let mut response =
        modify(call, part, &options, Change { make: &patched, records_fields: false, is_large: body.is_large() })
            .await?;
    add_warnings(&mut response, &warnings);
    Ok(response)
}

/// A patch that makes something else of the object than its kind is a 422 about the patch; `shown` is the culprit.
fn check_fields(
    call: &Call,
    part: Part,
    validation: FieldValidation,
    patched: &Value,
    shown: impl Fn() -> String,
) -> Result<(), Status> {
    if call.kind.custom_schema().is_some() && part != Part::Scale {
        // The schema of a custom kind has words of its own for what is wrong.
        return Ok(());
    }
    let Some(node) = part.schema(call) else { return Ok(()) };
    let findings = schema::check_node(node, patched);
    let fault = match findings.wrong_types.first() {
        Some(fault) => Some(fault.message.clone()),
        None if validation == FieldValidation::Strict => findings.strict_fault(),
        None => None,
    };
    match fault {
        Some(fault) => {
            let cause = Cause::invalid("patch", &json!(shown()), &fault);
            Err(Status::invalid("", "", "", vec![cause]))
        }
        None => Ok(()),
    }
}
