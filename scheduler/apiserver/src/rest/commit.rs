//! Every write: plan it on a snapshot, commit it guarded by what was read, and plan again if somebody was faster.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};
use wasmk_api::write::{Effect, Prepared};
use wasmk_api::{Object, Op, Precondition, Reason, Snapshot, Status, Transaction};
use wasmk_store::CommitError;

use super::chance::Chance;
use super::{Call, Part};
use crate::respond::add_warnings;

/// Each try that fails means that another write succeeded, so this many writers of one object at once all succeed.
const TRIES_MAX: usize = 64;

/// A write that has been thought through.
pub(super) struct Plan {
    pub(super) prepared: Prepared,
    /// On the object itself.
    pub(super) precondition: Precondition,
    /// On what else was read.
    pub(super) guards: Vec<Op>,
}

impl Plan {
    /// For a new version of `old`, or its end.
    pub(super) fn of(old: &Object, prepared: Prepared) -> Self {
        Self { prepared, precondition: Precondition::Revision(old.revision()), guards: Vec::new() }
    }
}

/// A write that took effect, or would have.
pub(super) struct Outcome {
    pub(super) effect: Effect,
    written: Written,
    warnings: Vec<String>,
}

enum Written {
    Stored(Arc<Object>),
    /// By a dry run, or because nothing changed, or because it has gone.
    Imagined(Value),
}

/// How a write is to be made.
pub(super) struct Attempt<'a> {
    /// For the failure when too many others write the same object.
    pub(super) name: &'a str,
    /// Only say what would be.
    pub(super) dry_run: bool,
    /// Planning it takes more than a moment.
    pub(super) is_heavy: bool,
}

/// Commits what `plan` says.
pub(super) async fn commit(
    call: &Call,
    attempt: Attempt<'_>,
    plan: impl Fn(&Snapshot, &Chance) -> Result<Plan, Status>,
) -> Result<Outcome, Status> {
    let Attempt { name, dry_run, is_heavy } = attempt;
    for _ in 0..TRIES_MAX {
        let plan = || plan(&call.server.store.snapshot(), &Chance::default());
        let planned = if is_heavy { call.heavily(plan).await } else { plan() };
        let Plan { mut prepared, precondition, guards } = planned?;
        let (effect, warnings) = (prepared.effect, std::mem::take(&mut prepared.warnings));
        if dry_run || effect == Effect::Unchanged {
            return Ok(Outcome { effect, written: Written::Imagined(prepared.value), warnings });
        }
        let last = (effect == Effect::Remove).then(|| prepared.value.clone());
        let mut ops = prepared.into_ops(call.kind, precondition);
        ops.extend(guards);
        match call.server.store.commit(Transaction { ops }).await {
            Ok(mut committed) => {
                let written = match last {
                    // What was stored last does not know yet that it goes.
                    Some(mut last) => {
                        last["metadata"]["resourceVersion"] = json!(committed.revision.to_string());
                        Written::Imagined(last)
                    }
                    None => Written::Stored(committed.changes.swap_remove(0).object),
                };
                return Ok(Outcome { effect, written, warnings });
            }
            // Who is kept busy by others' writes keeps nobody else from working.
            Err(CommitError::Conflict(_)) => tokio::task::yield_now().await,
            Err(CommitError::Closed) => {
                return Err(Status::new(Reason::ServiceUnavailable, "the server is shutting down"));
            }
            Err(error @ CommitError::Unavailable(_)) => {
                return Err(Status::new(Reason::InternalError, error.to_string()));
            }
        }
    }
    Err(Status::modified(call.kind.plural, call.kind.group, name))
}

impl Outcome {
    /// The part of the object as it is now, or as it last was.
    pub(super) fn respond(self, call: &Call, part: Part, code: StatusCode) -> Result<Response, Status> {
        let mut response = match &self.written {
            Written::Stored(object) => part.respond(call, code, object)?,
            Written::Imagined(value) => part.respond_value(call, code, value)?,
        };
        add_warnings(&mut response, &self.warnings);
        Ok(response)
    }

    pub(super) fn into_object(self, call: &Call) -> Arc<Object> {
        match self.written {
            Written::Stored(object) => object,
            Written::Imagined(value) => imagine(call, value),
        }
    }
}

/// An object that is in no store, in the version that it says.
pub(super) fn imagine(call: &Call, value: Value) -> Arc<Object> {
    let metadata = &value["metadata"];
    let text = |field: &str| metadata[field].as_str().unwrap_or_default();
    let key = wasmk_api::Key::new(call.resource(), text("namespace"), text("name"));
    let revision = text("resourceVersion").parse().unwrap_or(0);
    Object::new(key, revision, value)
}
