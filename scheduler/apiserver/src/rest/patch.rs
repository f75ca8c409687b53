//! PATCH in its four forms.

use axum::response::Response;
use jiff::Timestamp;
use serde_json::Value;
use wasmk_api::patch::{ServerSideApply, apply_json_patch, apply_merge_patch, apply_strategic_merge};
use wasmk_api::{Cause, Reason, Status};

use super::document::place;
use super::modify::{Change, modify};
use super::{Call, Part, create};
use crate::request::{Body, BodyType, WriteOptions, invalid_options, unsupported};

const ACCEPTED: &str = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml, \
    application/strategic-merge-patch+json";

pub(super) async fn patch(call: &Call, part: Part, body: Body) -> Result<Response, Status> {
    let options = WriteOptions::parse(&call.query, "PatchOptions")?;
    if body.media_type == BodyType::ApplyPatch {
        return apply(call, part, options, body.yaml()?).await;
    }
    if options.force {
        let detail = "may not be specified for non-apply patch";
        return Err(invalid_options("PatchOptions", Cause::forbidden("force", detail)));
    }
    let media_type = body.media_type;
    let patch = match media_type {
        BodyType::JsonPatch | BodyType::MergePatch | BodyType::StrategicMergePatch => body.json()?,
        _ => return Err(unsupported(ACCEPTED)),
    };
    let patched = |current: &Value| match media_type {
        BodyType::JsonPatch => apply_json_patch(current, &patch),
        BodyType::MergePatch => apply_merge_patch(current, &patch),
        _ => apply_strategic_merge(current, &patch, part.schema(call)),
    };
    modify(call, part, &options, Change { make: &patched, records_fields: false }).await
}

/// Server-side apply: what is not there is created.
async fn apply(call: &Call, part: Part, options: WriteOptions, mut config: Value) -> Result<Response, Status> {
    if options.field_manager.is_empty() {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        return Err(invalid_options("PatchOptions", cause));
    }
    part.expected(call).identify(&mut config)?;
    place(call, &mut config, &call.path.name)?;
    let absent = call.server.store.snapshot().get(&call.key()).is_none();
    let applier = ServerSideApply {
        manager: &options.field_manager,
        force: options.force,
        subresource: part.name(),
        object_type: part.schema(call),
        now: Timestamp::now(),
    };
    if absent && part == Part::Object {
        let applied = applier.apply(None, &config)?;
        match create::create_value(call, &options, applied, true).await {
            // Somebody else was faster: apply to what is there now.
            Err(status) if status.reason == Reason::AlreadyExists => {}
            answered => return answered,
        }
    }
    let applied = |current: &Value| applier.apply(Some(current), &config);
    modify(call, part, &options, Change { make: &applied, records_fields: true }).await
}
