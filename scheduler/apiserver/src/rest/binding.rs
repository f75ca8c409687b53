use axum::response::Response;
use wasmk_api::{Snapshot, Status, write};

use super::Call;
use super::chance::Chance;
use super::commit::{Attempt, Plan, commit};
use super::document::{Expected, place};
use crate::request::{Body, WriteOptions};
use crate::respond::created;

const BINDING: Expected = Expected { group: "", version: "v1", kind: "Binding" };

/// `POST …/pods/<name>/binding`: gives a pod its node, for schedulers from outside.
pub(super) async fn bind(call: &Call, body: Body) -> Result<Response, Status> {
    let options = WriteOptions::parse(&call.query, "CreateOptions")?;
    let mut binding = body.document(BINDING.kind)?.value;
    BINDING.identify(&mut binding)?;
    if binding["metadata"]["name"].as_str().is_some_and(|name| name != call.path.name) {
        return Err(Status::bad_request("name in URL does not match name in Binding object"));
    }
    place(call, &mut binding, &call.path.name)?;
    let (node, uid) = (binding["target"]["name"].as_str().unwrap_or_default(), binding["metadata"]["uid"].as_str());
    let manager = call.field_manager(&options.field_manager);
    let plan = |snapshot: &Snapshot, chance: &Chance| {
        let pod = call.find(snapshot)?;
        let context = chance.context(call, snapshot, Some(manager), options.field_validation);
        Ok(Plan::of(pod, write::bind(pod, node, uid, &context)?))
    };
    let attempt = Attempt { name: &call.path.name, dry_run: options.dry_run, is_heavy: false };
    commit(call, attempt, plan).await?;
    Ok(created(call.style()?))
}
