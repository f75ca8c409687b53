use axum::response::Response;
use serde_json::Value;
use wasmk_api::Status;

use super::document::{Expected, place};
use super::{Call, delete};
use crate::request::{Body, DeleteOptions, Query};
use crate::respond::created;

const EVICTION: Expected = Expected { group: "policy", version: "v1", kind: "Eviction" };

/// `POST …/pods/<name>/eviction`: a deletion that disruption budgets may refuse. There are none yet.
pub(super) async fn evict(call: &Call, body: Body) -> Result<Response, Status> {
    let mut eviction = body.document()?;
    EVICTION.identify(&mut eviction)?;
    place(call, &mut eviction, &call.path.name)?;
    let mut options = DeleteOptions::parse(&Query::default(), &eviction["deleteOptions"])?;
    options.dry_run |= DeleteOptions::parse(&call.query, &Value::Null)?.dry_run;
    delete::delete_object(call, &call.key(), &options).await?;
    Ok(created(call.style()?))
}
