//! What there is: groups, versions and resources, all derived from the kind registry.

mod aggregated;
mod resources;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use wasmk_api::kind;

use crate::ApiServer;
use crate::request::Accept;
use crate::respond::Style;
use crate::server::page_not_found;

/// `GET /api`
pub(crate) async fn core_versions(headers: HeaderMap) -> Response {
    answer(&headers, aggregated::core, || {
        json!({
            "kind": "APIVersions", "versions": versions(""),
            "serverAddressByClientCIDRs": [],
        })
    })
}

/// `GET /apis`
pub(crate) async fn groups(headers: HeaderMap) -> Response {
    answer(&headers, aggregated::groups, || {
        let groups: Vec<Value> = group_names().into_iter().filter(|name| !name.is_empty()).map(group_json).collect();
        json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
    })
}

/// `GET /apis/<group>`
pub(crate) async fn group(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match group_names().into_iter().find(|known| *known == name && !known.is_empty()) {
        None => page_not_found(),
        Some(name) => plain(&headers, || {
            let mut group = group_json(name);
            group["kind"] = json!("APIGroup");
            group["apiVersion"] = json!("v1");
            group
        }),
    }
}

/// `GET /api/<version>`
pub(crate) async fn core_resources(Path(version): Path<String>, headers: HeaderMap) -> Response {
    resource_list("", &version, &headers)
}

/// `GET /apis/<group>/<version>`
pub(crate) async fn resources(
    State(_): State<Arc<ApiServer>>,
    Path((group, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    resource_list(&group, &version, &headers)
}

fn resource_list(group: &str, version: &str, headers: &HeaderMap) -> Response {
    match resources::list(group, version) {
        Some(list) => plain(headers, || list),
        None => page_not_found(),
    }
}

/// Every group, the core one (empty) first, then in the registry's order.
pub(crate) fn group_names() -> Vec<&'static str> {
    distinct(kind::all().iter().map(|kind| kind.group))
}

/// The versions of a group, the preferred one first.
pub(crate) fn versions(group: &str) -> Vec<&'static str> {
    distinct(kind::all().iter().filter(|kind| kind.group == group).map(|kind| kind.version))
}

fn distinct(names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let mut known = Vec::new();
    for name in names {
        if !known.contains(&name) {
            known.push(name);
        }
    }
    known
}

fn group_json(name: &str) -> Value {
    let version = |version: &&str| json!({"groupVersion": format!("{name}/{version}"), "version": version});
    let versions: Vec<Value> = versions(name).iter().map(version).collect();
    json!({"name": name, "preferredVersion": versions[0], "versions": versions})
}

/// The aggregated document for clients that take it, the plain one for the others.
fn answer(headers: &HeaderMap, aggregated: fn(&str) -> Value, plain_document: impl FnOnce() -> Value) -> Response {
    let accept = Accept::parse(headers);
    let Some(version) = accept.aggregated_discovery() else { return plain(headers, plain_document) };
    let content_type = format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
    let body = serde_json::to_vec(&aggregated(version)).expect("JSON values always encode");
    (StatusCode::OK, [(CONTENT_TYPE, content_type)], body).into_response()
}

fn plain(headers: &HeaderMap, document: impl FnOnce() -> Value) -> Response {
    match Accept::parse(headers).negotiate_whole() {
        Ok(format) => Style { format, pretty: false }.respond(StatusCode::OK, &document()),
        Err(status) => crate::respond::status_response(&status),
    }
}
