//! Objects over HTTP: one machinery for every kind of the registry.

mod binding;
mod call;
mod chance;
mod commit;
mod continuation;
mod create;
mod delete;
mod document;
mod eviction;
mod list;
mod modify;
mod part;
mod patch;
mod present;
mod selection;

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use wasmk_api::{Reason, Status};

pub(crate) use call::Call;
pub(crate) use document::{Expected, place};
pub(crate) use list::{Page, too_large, watch_error};
pub(crate) use part::Part;
pub(crate) use present::Presenter;
pub(crate) use selection::Selection;

use crate::heavy::LARGE_LIST;
use crate::request::{ListOptions, Query, ResourcePath, Verb, read_body};
use crate::respond::{add_warnings, status_response};
use crate::server::page_not_found;
use crate::subresource::{self, Lasts};
use crate::watch::{WatchRequest, watch};
use crate::{ApiServer, Identity, connect, logs, reviews, tokens, usage};
use call::NoResource;

/// Answers a request that has been authorized.
pub(crate) async fn answer(
    server: Arc<ApiServer>,
    identity: Identity,
    verb: Verb,
    path: ResourcePath,
    request: Request,
) -> Response {
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let call = match Call::new(server, identity, verb, path, query, request.headers()) {
        Ok(call) => call,
        Err(NoResource::Group) => return page_not_found(),
        Err(missing @ NoResource::Resource) => return status_response(&missing.status()),
    };
    let answered = dispatch(&call, verb, request).await;
    let mut response = answered.unwrap_or_else(|status| status_response(&status));
    add_warnings(&mut response, call.kind.deprecation().map(str::to_owned).as_slice());
    response
}

async fn dispatch(call: &Call, verb: Verb, request: Request) -> Result<Response, Status> {
    let subresource = call.path.subresource.as_str();
    if !subresource.is_empty() {
        let known = subresource::find(call.kind, subresource).ok_or_else(|| NoResource::Resource.status())?;
        if !known.verbs.contains(&verb) {
            return Err(method_not_allowed());
        }
        if known.lasts == Lasts::Connection {
            return connect::answer(call, request).await;
        }
    } else if !call.kind.verbs.contains(&verb.as_str()) || !is_addressed(call, verb) {
        return Err(method_not_allowed());
    }
    let (parts, body) = request.into_parts();
    let body = read_body(&parts.headers, body).await?;
    if body.is_large() {
        call.take_turn().await;
    }
    if !verb.is_read() {
        // Before anything has an effect that the client could then not be told of.
        call.accept.negotiate()?;
    }
    if let Some(answer) = reviews::find(call.kind).filter(|_| subresource.is_empty() && verb == Verb::Create) {
        return reviews::review(call, answer, &body);
    }
    if usage::is_measured(call.kind) {
        return usage::answer(call, verb).await;
    }
    match (subresource, verb) {
        ("log", _) => logs::logs(call).await,
        ("token", _) => tokens::request(call, body).await,
        ("binding", _) => binding::bind(call, body).await,
        ("eviction", _) => eviction::evict(call, body).await,
        ("", Verb::List) => list_objects(call).await,
        ("", Verb::Watch) => watch_objects(call),
        ("", Verb::Create) => create::create(call, body).await,
        ("", Verb::Delete) => delete::delete(call, body).await,
        ("", Verb::DeleteCollection) => delete::delete_collection(call, body).await,
        (_, Verb::Get) => get(call, Part::of(subresource)),
        (_, Verb::Update) => modify::replace(call, Part::of(subresource), body).await,
        (_, Verb::Patch) => patch::patch(call, Part::of(subresource), body).await,
        _ => Err(method_not_allowed()),
    }
}

/// Some verbs are about one object, the others about a collection; that of all namespaces is only looked at.
fn is_addressed(call: &Call, verb: Verb) -> bool {
    let named = !call.path.name.is_empty();
    let placed = !call.kind.namespaced || !call.path.namespace.is_empty();
    match verb {
        Verb::Get | Verb::Update | Verb::Patch | Verb::Delete => named,
        Verb::List => !named,
        Verb::Create | Verb::DeleteCollection => !named && placed,
        Verb::Watch => true,
    }
}

fn get(call: &Call, part: Part) -> Result<Response, Status> {
    let snapshot = call.server.store.snapshot();
    let wanted = ListOptions::parse(&call.query)?.resource_version.unwrap_or(0);
    if wanted > snapshot.revision() {
        return Err(too_large(wanted, snapshot.revision()));
    }
    let object = call.find(&snapshot)?;
    part.respond(call, StatusCode::OK, object)
}

async fn list_objects(call: &Call) -> Result<Response, Status> {
    let options = ListOptions::parse(&call.query)?;
    let selection = Selection::parse(call.kind, &options)?;
    let presenter = Presenter::of(call)?;
    let page = list::list(&*call.server.store, &call.resource(), &call.path.namespace, &selection, &options)?;
    let is_heavy = page.objects.len() > LARGE_LIST;
    let present = || presenter.list(page, call.pretty());
    Ok(if is_heavy { call.heavily(present).await } else { present() })
}

fn watch_objects(call: &Call) -> Result<Response, Status> {
    let mut options = ListOptions::parse_watch(&call.query)?;
    if !call.path.name.is_empty() {
        options.field_selector = format!("metadata.name={}", call.path.name);
    }
    let request = WatchRequest {
        kind: call.kind,
        namespace: call.path.namespace.clone(),
        selection: Selection::parse(call.kind, &options)?,
        presenter: Presenter::of(call)?,
        options,
    };
    watch(&call.server, &call.identity, request)
}

pub(crate) fn method_not_allowed() -> Status {
    Status::new(Reason::MethodNotAllowed, "the server does not allow this method on the requested resource")
}
