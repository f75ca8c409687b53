//! Changing an object that is there.

use axum::response::Response;
use http::StatusCode;
use serde_json::Value;
use wasmk_api::{Snapshot, Status};

use super::chance::Chance;
use super::commit::{Attempt, Plan, commit};
use super::document::place;
use super::{Call, Part};
use crate::request::{Body, WriteOptions};
use crate::respond::add_warnings;
use crate::{authz, certificates, heavy};

/// How the wanted object comes from the current one; both are the part's view of the object.
pub(super) struct Change<'a> {
    pub(super) make: &'a (dyn Fn(&Value) -> Result<Value, Status> + Sync),
    /// Server-side apply keeps the records of who owns which field itself.
    pub(super) records_fields: bool,
    /// The request says much.
    pub(super) is_large: bool,
}

/// PUT
pub(super) async fn replace(call: &Call, part: Part, body: Body) -> Result<Response, Status> {
    let options = WriteOptions::parse(&call.query, "UpdateOptions")?;
    let expected = part.expected(call);
    let (mut wanted, warnings) = expected.accept(body.document(expected.kind)?, options.field_validation)?;
    // What the body says of its place is checked even when nothing is there.
    place(call, &mut wanted, &call.path.name)?;
    let make = |_: &Value| Ok(wanted.clone());
    let mut response =
        modify(call, part, &options, Change { make: &make, records_fields: false, is_large: body.is_large() }).await?;
    add_warnings(&mut response, &warnings);
    Ok(response)
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
    let snapshot = call.server.store.snapshot();
    let is_heavy = change.is_large
        || call.kind.has_rules()
        || snapshot.get(&call.key()).is_some_and(|old| heavy::is_large(old.value()));
    let attempt = Attempt { name: &call.path.name, dry_run: options.dry_run, is_heavy };
    commit(call, attempt, plan).await?.respond(call, part, StatusCode::OK)
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
    let mut wanted = (change.make)(&part.view(call.kind, old))?;
    part.expected(call).identify(&mut wanted)?;
    place(call, &mut wanted, &call.path.name)?;
    let manager = (!change.records_fields).then(|| call.field_manager(&options.field_manager));
    let context = chance.context(call, snapshot, manager, options.field_validation);
    let mut prepared = part.prepare(call.kind, old, wanted, &context)?;
    certificates::follow(call, snapshot, old.value(), &mut prepared.value)?;
    authz::admit_write(&call.identity, &call.target(), snapshot, Some(old.value()), &prepared.value)?;
    Ok(Plan::of(old, prepared))
}
