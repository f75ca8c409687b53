use axum::response::Response;
use http::StatusCode;
use serde_json::Value;
use wasmk_api::write;
use wasmk_api::{Key, Op, Precondition, Reason, Status, Transaction};
use wasmk_store::CommitError;

use super::chance::Chance;
use super::document::{Expected, place};
use super::modify::TRIES_MAX;
use super::{Call, Presenter, commit_error};
use crate::authz;
use crate::request::{Body, WriteOptions};
use crate::respond::add_warnings;

/// POST to a collection.
pub(super) async fn create(call: &Call, body: Body) -> Result<Response, Status> {
    let options = WriteOptions::parse(&call.query, "CreateOptions")?;
    let mut value = body.document()?;
    Expected::object(call).identify(&mut value)?;
    place(call, &mut value, "")?;
    create_value(call, &options, value, false).await
}

/// Creates the object. `records_fields`: its `managedFields` are complete already.
pub(super) async fn create_value(
    call: &Call,
    options: &WriteOptions,
    value: Value,
    records_fields: bool,
) -> Result<Response, Status> {
    for _ in 0..TRIES_MAX {
        let snapshot = call.server.store.snapshot();
        let manager = (!records_fields).then(|| call.field_manager(&options.field_manager));
        let chance = Chance::default();
        let (key, mut prepared) = {
            let context = chance.context(call, &snapshot, manager, options.field_validation);
            let prepared = write::create(call.kind, &call.path.namespace, value.clone(), &context)?;
            (prepared.key(call.kind), prepared)
        };
        authz::admit_write(&call.identity, &call.target(), None, &prepared.value)?;
        if snapshot.get(&key).is_some() {
            return Err(Status::already_exists(call.kind.plural, call.kind.group, &key.name));
        }
        let presenter = Presenter::of(call)?;
        let warnings = std::mem::take(&mut prepared.warnings);
        let mut response = if options.dry_run {
            presenter.value(StatusCode::CREATED, &prepared.value, call.pretty())
        } else {
            let mut ops = prepared.into_ops(call.kind, Precondition::Absent);
            ops.extend(namespace_guard(call, &snapshot));
            match call.server.store.commit(Transaction { ops }).await {
                Ok(committed) => presenter.one(StatusCode::CREATED, &committed.changes[0].object, call.pretty()),
                // Another creation took the name, or a Service its port, or the namespace changed: look again.
                Err(CommitError::Conflict(_)) => continue,
                Err(error) => return Err(commit_error(error)),
            }
        };
        add_warnings(&mut response, &warnings);
        return Ok(response);
    }
    Err(Status::new(Reason::Conflict, format!("{} could not be created: too many writers at once", call.kind.kind)))
}

/// The namespace must not begin to end while something is created in it.
fn namespace_guard(call: &Call, snapshot: &wasmk_api::Snapshot) -> Option<Op> {
    let key = Key::new("namespaces", "", &call.path.namespace);
    let namespace = snapshot.get(&key).filter(|_| call.kind.namespaced)?;
    Some(Op::Check { key, precondition: Precondition::Revision(namespace.revision()) })
}
