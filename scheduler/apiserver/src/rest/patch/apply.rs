//! Server-side apply.

use axum::response::Response;
use jiff::Timestamp;
use serde_json::Value;
use wasmk_api::patch::{ServerSideApply, group_version_kind};
use wasmk_api::write::applied_scale;
use wasmk_api::{Cause, Reason, Status};

use crate::authz::{self, Attributes, What};
use crate::heavy::is_large;
use crate::request::{WriteOptions, invalid_options};
use crate::rest::document::place;
use crate::rest::modify::{Change, modify};
use crate::rest::{Call, Part, create};

/// What is not there is created.
pub(super) async fn apply(
    call: &Call,
    part: Part,
    options: WriteOptions,
    mut config: Value,
) -> Result<Response, Status> {
    if options.field_manager.is_empty() {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        return Err(invalid_options("PatchOptions", cause));
    }
    if !part.expected(call).is(&config) {
        return Err(Status::bad_request(format!("invalid object type: {}", group_version_kind(&config))));
    }
    let named = config["metadata"]["name"].is_string();
    place(call, &mut config, &call.path.name)?;
    let (part, config) = match part {
        Part::Scale => (Part::AppliedScale, applied_scale(call.kind, &config)),
        part => (part, config),
    };
    let applier = ServerSideApply {
        manager: &options.field_manager,
        force: options.force.unwrap_or(false),
        subresource: part.name(),
        object_type: part.schema(call),
        now: Timestamp::now(),
    };
    let snapshot = call.server.store.snapshot();
    if part == Part::Object && snapshot.get(&call.key()).is_none() {
        // The request was let in as a patch.
        let creation = Attributes { identity: &call.identity, verb: "create", what: What::Resource(&call.path) };
        authz::require(&creation, &snapshot)?;
        check_creatable(call, &config, named)?;
        let applied = applier.apply(None, &config)?;
        match create::create_value(call, &options, applied, true).await {
            // Somebody else was faster: apply to what is there now.
            Err(status) if status.reason == Reason::AlreadyExists => {}
            answered => return answered,
        }
    }
    let applied = |current: &Value| applier.apply(Some(current), &config);
    modify(call, part, &options, Change { make: &applied, records_fields: true, is_large: is_large(&config) }).await
}

fn check_creatable(call: &Call, config: &Value, named: bool) -> Result<(), Status> {
    let name = &call.path.name;
    if !named {
        return Err(Status::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: Internal error occurred: name must be provided"
        )));
    }
    match config["metadata"]["uid"].as_str().unwrap_or_default() {
        "" => Ok(()),
        uid => {
            let message = format!(
                "Operation cannot be fulfilled on {} \"{name}\": uid mismatch: the provided object specified uid {uid}, and no existing object was found",
                call.kind.resource()
            );
            Err(Status::new(Reason::Conflict, message).about(call.kind.plural, call.kind.group, name))
        }
    }
}
