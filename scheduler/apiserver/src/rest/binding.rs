use axum::response::Response;
use http::StatusCode;
use serde_json::json;
use wasmk_api::{Precondition, Status, Transaction, write};
use wasmk_store::CommitError;

use super::chance::Chance;
use super::document::{Expected, place};
use super::modify::TRIES_MAX;
use super::{Call, commit_error};
use crate::request::{Body, WriteOptions};

const BINDING: Expected = Expected { group: "", version: "v1", kind: "Binding" };

/// `POST …/pods/<name>/binding`: gives a pod its node, for schedulers from outside.
pub(super) async fn bind(call: &Call, body: Body) -> Result<Response, Status> {
    let options = WriteOptions::parse(&call.query, "CreateOptions")?;
    let mut binding = body.document()?;
    BINDING.identify(&mut binding)?;
    if binding["metadata"]["name"].as_str().is_some_and(|name| name != call.path.name) {
        return Err(Status::bad_request("name in URL does not match name in Binding object"));
    }
    place(call, &mut binding, &call.path.name)?;
    for _ in 0..TRIES_MAX {
        let snapshot = call.server.store.snapshot();
        let pod = call.find(&snapshot)?;
        let chance = Chance::default();
        let prepared = {
            let manager = call.field_manager(&options.field_manager);
            let context = chance.context(call, &snapshot, Some(manager), options.field_validation);
            let (target, uid) = (binding["target"]["name"].as_str(), binding["metadata"]["uid"].as_str());
            write::bind(pod, target.unwrap_or_default(), uid, &context)?
        };
        if !options.dry_run {
            let ops = prepared.into_ops(call.kind, Precondition::Revision(pod.revision()));
            match call.server.store.commit(Transaction { ops }).await {
                Ok(_) => {}
                Err(CommitError::Conflict(_)) => continue,
                Err(error) => return Err(commit_error(error)),
            }
        }
        let success = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
        return Ok(call.style()?.respond(StatusCode::CREATED, &success));
    }
    Err(Status::modified("pods/binding", "", &call.path.name))
}
