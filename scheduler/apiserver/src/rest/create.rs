use axum::response::Response;
use http::StatusCode;
use serde_json::Value;
use wasmk_api::write;
use wasmk_api::{Key, Op, Precondition, Snapshot, Status};

use super::chance::Chance;
use super::commit::{Attempt, Plan, commit};
use super::document::{Expected, place};
use super::{Call, Part};
use crate::heavy::is_large;
use crate::request::{Body, WriteOptions};
use crate::respond::add_warnings;
use crate::{authz, certificates, tokens};

/// POST to a collection.
pub(super) async fn create(call: &Call, body: Body) -> Result<Response, Status> {
    let options = WriteOptions::parse(&call.query, "CreateOptions")?;
    let expected = Expected::object(call);
    let (mut value, warnings) = expected.accept(body.document(expected.kind)?, options.field_validation)?;
    expected.identify(&mut value)?;
    place(call, &mut value, "")?;
    let mut response = create_value(call, &options, value, false).await?;
    add_warnings(&mut response, &warnings);
    Ok(response)
}

/// Creates the object. `records_fields`: its `managedFields` are complete already.
pub(super) async fn create_value(
    call: &Call,
    options: &WriteOptions,
    value: Value,
    records_fields: bool,
) -> Result<Response, Status> {
    check_is_new(&value)?;
    let manager = (!records_fields).then(|| call.field_manager(&options.field_manager));
    let plan = |snapshot: &Snapshot, chance: &Chance| {
        let context = chance.context(call, snapshot, manager, options.field_validation);
        let mut prepared = write::create(call.kind, &call.path.namespace, value.clone(), &context)?;
        authz::admit_write(&call.identity, &call.target(), snapshot, None, &prepared.value)?;
        prepared.warnings.extend(certificates::begin(call, &mut prepared.value)?);
        prepared.warnings.extend(tokens::fill(&call.server, &mut prepared.value, snapshot));
        let key = prepared.key(call.kind);
        if snapshot.get(&key).is_some() {
            return Err(taken(call, &value, &key.name));
        }
        let guards = guards(call, snapshot);
        Ok(Plan { prepared, precondition: Precondition::Absent, guards })
    };
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    let is_heavy = call.kind.has_rules() || is_large(&value);
    commit(call, Attempt { name, dry_run: options.dry_run, is_heavy }, plan).await?.respond(
        call,
        Part::Object,
        StatusCode::CREATED,
    )
}

fn taken(call: &Call, value: &Value, name: &str) -> Status {
    let mut status = Status::already_exists(call.kind.plural, call.kind.group, name);
    if value["metadata"]["name"].as_str().unwrap_or_default().is_empty() {
        status.message += ", the server was not able to generate a unique name for the object";
        status.retry_after_seconds = Some(1);
    }
    status
}

/// Whoever names a version means an object that is there, or was.
fn check_is_new(value: &Value) -> Result<(), Status> {
    match value["metadata"]["resourceVersion"].as_str() {
        None | Some("" | "0") => Ok(()),
        Some(_) => Err(Status::bad_request("resourceVersion should not be set on objects to be created")),
    }
}

/// Neither the namespace nor the definition of the kind may begin to end while something is created under them.
fn guards(call: &Call, snapshot: &Snapshot) -> Vec<Op> {
    let namespace = call.kind.namespaced.then(|| Key::new("namespaces", "", &call.path.namespace));
    let keys = namespace.into_iter().chain(call.kind.definition());
    let check = |key: Key| {
        let precondition = Precondition::Revision(snapshot.get(&key)?.revision());
        Some(Op::Check { key, precondition })
    };
    keys.filter_map(check).collect()
}
