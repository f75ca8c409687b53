use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};
use wasmk_api::kind::DeleteAnswer;
use wasmk_api::write::{self, Effect, FieldValidation};
use wasmk_api::{Key, Object, Reason, Snapshot, Status};

use super::chance::Chance;
use super::commit::{Attempt, Plan, commit};
use super::list::{Page, list};
use super::{Call, Presenter, Selection};
use crate::authz;
use crate::request::{Body, DeleteOptions, ListOptions};

/// What a deletion did.
pub(super) struct Deleted {
    /// As it is now, or as it last was.
    pub(super) object: Arc<Object>,
    /// Not if it waits for its grace period or its finalizers.
    pub(super) gone: bool,
}

/// DELETE of one object.
pub(super) async fn delete(call: &Call, body: Body) -> Result<Response, Status> {
    let options = DeleteOptions::parse(&call.query, &body.optional_document("DeleteOptions")?)?;
    let deleted = delete_object(call, &call.key(), &options).await?;
    if deleted.gone && call.kind.delete_answer == DeleteAnswer::Status {
        return Ok(call.style()?.respond(StatusCode::OK, &success(call, &deleted.object)));
    }
    Ok(Presenter::of(call)?.one(StatusCode::OK, &deleted.object, call.pretty()))
}

/// DELETE of a collection: each object by itself, as if the client had done it.
pub(super) async fn delete_collection(call: &Call, body: Body) -> Result<Response, Status> {
    let options = DeleteOptions::parse(&call.query, &body.optional_document("DeleteOptions")?)?;
    let list_options = ListOptions::parse(&call.query)?;
    let selection = Selection::parse(call.kind, &list_options)?;
    let page = list(&*call.server.store, &call.resource(), &call.path.namespace, &selection, &list_options)?;
    let mut objects = Vec::with_capacity(page.objects.len());
    for object in page.objects {
        match delete_object(call, object.key(), &options).await {
            Ok(deleted) => objects.push(deleted.object),
            Err(status) if status.reason == Reason::NotFound => {}
            Err(status) => return Err(status),
        }
    }
    let revision = call.server.store.snapshot().revision();
    let deleted = Page { revision, objects, continue_token: page.continue_token, remaining: page.remaining };
    Ok(Presenter::of(call)?.list(deleted, call.pretty()))
}

pub(super) async fn delete_object(call: &Call, key: &Key, options: &DeleteOptions) -> Result<Deleted, Status> {
    let plan = |snapshot: &Snapshot, chance: &Chance| {
        let missing = || Status::not_found(call.kind.plural, call.kind.group, &key.name);
        let old = snapshot.get(key).ok_or_else(missing)?;
        // The request was let in on the word of an older snapshot.
        authz::admit_write(&call.identity, &call.target(), snapshot, Some(old.value()), old.value())?;
        let context = chance.context(call, snapshot, None, FieldValidation::Ignore);
        Ok(Plan::of(old, write::delete(call.kind, old, &options.write, &context)?))
    };
    let attempt = Attempt { name: &key.name, dry_run: options.dry_run, is_heavy: false };
    let outcome = commit(call, attempt, plan).await?;
    let gone = outcome.effect == Effect::Remove;
    Ok(Deleted { object: outcome.into_object(call), gone })
}

fn success(call: &Call, object: &Object) -> Value {
    let mut details = json!({"name": object.name(), "kind": call.kind.plural, "uid": object.uid()});
    if !call.kind.group.is_empty() {
        details["group"] = json!(call.kind.group);
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
