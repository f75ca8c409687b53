//! Changing an object that is there.

use axum::response::Response;
use http::StatusCode;
use serde_json::Value;
use wasmk_api::{Snapshot, Status};

use super::chance::Chance;
use super::commit::{Plan, commit};
use super::document::place;
use super::{Call, Part};
use crate::authz;
use crate::request::{Body, WriteOptions};

/// How the wanted object comes from the current one; both are the part's view of the object.
pub(super) struct Change<'a> {
    pub(super) make: &'a (dyn Fn(&Value) -> Result<Value, Status> + Sync),
    /// Server-side apply keeps the records of who owns which field itself.
    pub(super) records_fields: bool,
}

/// PUT
pub(super) async fn replace(call: &Call, part: Part, body: Body) -> Result<Response, Status> {
    let options = WriteOptions::parse(&call.query, "UpdateOptions")?;
    let document = body.document()?;
    let make = |_: &Value| Ok(document.clone());
    modify(call, part, &options, Change { make: &make, records_fields: false }).await
}

/// Makes the change and answers with what is there afterwards. A change that names no `resourceVersion` is made to
/// whatever is there; one that does fails when something else is.
pub(super) async fn modify(
    call: &Call,
    part: Part,
    options: &WriteOptions,
    change: Change<'_>,
) -> Result<Response, Status> {
    let plan = |snapshot: &Snapshot, chance: &Chance| plan(call, part, options, &change, snapshot, chance);
    commit(call, &call.path.name, options.dry_run, plan).await?.respond(call, part, StatusCode::OK)
}

fn plan(
    call: &Call,
    part: Part,
    options: &WriteOptions,
    change: &Change<'_>,
    snapshot: &Snapshot,
    chance: &Chance,
) -> Result<Plan, Status> {
    let old = call.find(snapshot)?;
    let mut wanted = (change.make)(&part.view(old))?;
    part.expected(call).identify(&mut wanted)?;
    place(call, &mut wanted, &call.path.name)?;
    let manager = (!change.records_fields).then(|| call.field_manager(&options.field_manager));
    let context = chance.context(call, snapshot, manager, options.field_validation);
    let prepared = part.prepare(call.kind, old, wanted, &context)?;
    authz::admit_write(&call.identity, &call.target(), Some(old.value()), &prepared.value)?;
    Ok(Plan::of(old, prepared))
}
