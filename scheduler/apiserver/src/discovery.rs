//! What there is: groups, versions and resources, all derived from the kinds that are served.

mod aggregated;
mod catalog;
mod resources;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

pub(crate) use catalog::Catalog;

use crate::ApiServer;
use crate::request::Accept;
use crate::respond::Style;
use crate::server::page_not_found;

/// `GET /`: what there is to ask for.
pub(crate) async fn paths(State(server): State<Arc<ApiServer>>, headers: HeaderMap) -> Response {
    let catalog = Catalog::of(&server);
    let groups = catalog.groups().into_iter().flat_map(|group| {
        let root = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        let versions: Vec<String> = catalog.versions(group).iter().map(|version| format!("{root}/{version}")).collect();
        std::iter::once(root).chain(versions)
    });
    let fixed = ["/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"];
    let mut paths: Vec<String> = groups.chain(fixed.map(str::to_owned)).collect();
    paths.sort_unstable();
    plain(&headers, || json!({"paths": paths}))
}

/// `GET /api`
pub(crate) async fn core_versions(State(server): State<Arc<ApiServer>>, headers: HeaderMap) -> Response {
    let catalog = Catalog::of(&server);
    answer(&catalog, &headers, aggregated::core, || {
        json!({
            "kind": "APIVersions", "versions": catalog.versions(""),
            "serverAddressByClientCIDRs": [],
        })
    })
}

/// `GET /apis`
pub(crate) async fn groups(State(server): State<Arc<ApiServer>>, headers: HeaderMap) -> Response {
    let catalog = Catalog::of(&server);
    answer(&catalog, &headers, aggregated::groups, || {
        let names = catalog.groups().into_iter().filter(|name| !name.is_empty());
        let groups: Vec<Value> = names.map(|name| group_json(&catalog, name)).collect();
        json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
    })
}

/// `GET /apis/<group>`
pub(crate) async fn group(
    State(server): State<Arc<ApiServer>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let catalog = Catalog::of(&server);
    match catalog.groups().into_iter().find(|known| *known == name && !known.is_empty()) {
        None => page_not_found(),
        Some(name) => plain(&headers, || {
            let mut group = group_json(&catalog, name);
            group["kind"] = json!("APIGroup");
            group["apiVersion"] = json!("v1");
            group
        }),
    }
}

/// `GET /api/<version>`
pub(crate) async fn core_resources(
    State(server): State<Arc<ApiServer>>,
    Path(version): Path<String>,
    headers: HeaderMap,
) -> Response {
    resource_list(&server, "", &version, &headers)
}

/// `GET /apis/<group>/<version>`
pub(crate) async fn resources(
    State(server): State<Arc<ApiServer>>,
    Path((group, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    resource_list(&server, &group, &version, &headers)
}

fn resource_list(server: &ApiServer, group: &str, version: &str, headers: &HeaderMap) -> Response {
    match resources::list(&Catalog::of(server), group, version) {
        Some(list) => plain(headers, || list),
        None => page_not_found(),
    }
}

fn group_json(catalog: &Catalog, name: &str) -> Value {
    let version = |version: &&str| json!({"groupVersion": format!("{name}/{version}"), "version": version});
    let versions: Vec<Value> = catalog.versions(name).iter().map(version).collect();
    json!({"name": name, "preferredVersion": versions[0], "versions": versions})
}

/// The aggregated document for clients that take it, the plain one for the others.
fn answer(
    catalog: &Catalog,
    headers: &HeaderMap,
    aggregated: fn(&Catalog, &str) -> Value,
    plain_document: impl FnOnce() -> Value,
) -> Response {
    let accept = Accept::parse(headers);
    let Some(version) = accept.aggregated_discovery() else { return plain(headers, plain_document) };
    let content_type = format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
    let body = serde_json::to_vec(&aggregated(catalog, version)).expect("JSON values always encode");
    (StatusCode::OK, [(CONTENT_TYPE, content_type)], body).into_response()
}

fn plain(headers: &HeaderMap, document: impl FnOnce() -> Value) -> Response {
    match Accept::parse(headers).negotiate_whole() {
        Ok(format) => Style { format, pretty: false }.respond(StatusCode::OK, &document()),
        Err(status) => crate::respond::status_response(&status),
    }
}
