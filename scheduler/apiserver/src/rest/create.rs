use axum::response::Response;
use http::StatusCode;
use serde_json::Value;
use wasmk_api::write;
use wasmk_api::{Key, Op, Precondition, Snapshot, Status};

use super::chance::Chance;
use super::commit::{Plan, commit};
use super::document::{Expected, place};
use super::{Call, Part};
use crate::authz;
use crate::request::{Body, WriteOptions};

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
    let manager = (!records_fields).then(|| call.field_manager(&options.field_manager));
    let plan = |snapshot: &Snapshot, chance: &Chance| {
        let context = chance.context(call, snapshot, manager, options.field_validation);
        let prepared = write::create(call.kind, &call.path.namespace, value.clone(), &context)?;
        authz::admit_write(&call.identity, &call.target(), None, &prepared.value)?;
        let key = prepared.key(call.kind);
        if snapshot.get(&key).is_some() {
            return Err(Status::already_exists(call.kind.plural, call.kind.group, &key.name));
        }
        let guards = namespace_guard(call, snapshot).into_iter().collect();
        Ok(Plan { prepared, precondition: Precondition::Absent, guards })
    };
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    commit(call, name, options.dry_run, plan).await?.respond(call, Part::Object, StatusCode::CREATED)
}

/// The namespace must not begin to end while something is created in it.
fn namespace_guard(call: &Call, snapshot: &Snapshot) -> Option<Op> {
    let key = Key::new("namespaces", "", &call.path.namespace);
    let namespace = snapshot.get(&key).filter(|_| call.kind.namespaced)?;
    Some(Op::Check { key, precondition: Precondition::Revision(namespace.revision()) })
}
