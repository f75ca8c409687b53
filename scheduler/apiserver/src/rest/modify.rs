//! Changing an object that is there: read, change, prepare, commit; again when somebody else was faster.

use axum::response::Response;
use http::StatusCode;
use serde_json::Value;
use wasmk_api::write::{Effect, Prepared};
use wasmk_api::{Object, Precondition, Snapshot, Status, Transaction};
use wasmk_store::CommitError;

use super::chance::Chance;
use super::{Call, Part, commit_error};
use crate::authz;
use crate::request::{Body, WriteOptions};
use crate::respond::add_warnings;

/// Each try that fails means that another write succeeded; who loses this often is told so.
pub(super) const TRIES_MAX: usize = 16;

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
    for _ in 0..TRIES_MAX {
        let snapshot = call.server.store.snapshot();
        let old = call.find(&snapshot)?;
        let mut prepared = plan(call, part, options, &change, old, &snapshot)?;
        let warnings = std::mem::take(&mut prepared.warnings);
        let mut response = if options.dry_run || prepared.effect == Effect::Unchanged {
            part.respond_value(call, StatusCode::OK, prepared.value, old.revision())?
        } else {
            let ops = prepared.into_ops(call.kind, Precondition::Revision(old.revision()));
            match call.server.store.commit(Transaction { ops }).await {
                Ok(committed) => part.respond(call, StatusCode::OK, &committed.changes[0].object)?,
                Err(CommitError::Conflict(_)) => continue,
                Err(error) => return Err(commit_error(error)),
            }
        };
        add_warnings(&mut response, &warnings);
        return Ok(response);
    }
    Err(Status::modified(call.kind.plural, call.kind.group, &call.path.name))
}

fn plan(
    call: &Call,
    part: Part,
    options: &WriteOptions,
    change: &Change<'_>,
    old: &Object,
    snapshot: &Snapshot,
) -> Result<Prepared, Status> {
    let mut wanted = (change.make)(&part.view(old))?;
    part.expected(call).identify(&mut wanted)?;
    super::document::place(call, &mut wanted, &call.path.name)?;
    let manager = (!change.records_fields).then(|| call.field_manager(&options.field_manager));
    let chance = Chance::default();
    let context = chance.context(call, snapshot, manager, options.field_validation);
    let prepared = part.prepare(call.kind, old, wanted, &context)?;
    authz::admit_write(&call.identity, &call.target(), Some(old.value()), &prepared.value)?;
    Ok(prepared)
}
