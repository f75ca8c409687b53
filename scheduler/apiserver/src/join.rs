//! How a machine becomes a node: it fetches the authority, checks it against its token, and has its key certified.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::info;
use wasmk_api::{Key, Reason, Status, names};

use crate::ApiServer;
use crate::request::read_body;
use crate::respond::status_response;

/// Where guests find the API; it is in the server's own certificate.
const API_SERVICE_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 43, 0, 1));

/// `GET /cacerts`: the authority's certificate. Public, as the asker cannot verify anything yet.
pub(crate) async fn ca_certificates(State(server): State<Arc<ApiServer>>) -> Response {
    let pem = server.settings.authority.certificate_pem().to_owned();
    ([(http::header::CONTENT_TYPE, "application/x-pem-file")], pem).into_response()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct JoinRequest {
    node_name: String,
    /// The addresses that the node serves on; they go into its certificate.
    addresses: Vec<IpAddr>,
    /// A certificate signing request, PEM.
    csr: String,
}

#[derive(Serialize)]
struct JoinResponse {
    certificate: String,
    ca: String,
}

/// `POST /wasmk/v1/join`: certifies a node's key, for whoever knows the join secret.
pub(crate) async fn join(State(server): State<Arc<ApiServer>>, headers: HeaderMap, body: axum::body::Body) -> Response {
    match certify(&server, &headers, body).await {
        Ok(response) => (StatusCode::OK, Json(response)).into_response(),
        Err(status) => status_response(&status),
    }
}

async fn certify(server: &ApiServer, headers: &HeaderMap, body: axum::body::Body) -> Result<JoinResponse, Status> {
    let secret = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if !secret.is_some_and(|secret| server.settings.join_token.admits(secret)) {
        let message = "the join token is not this cluster's; `wasmk server` prints the right one when it starts";
        return Err(Status::new(Reason::Unauthorized, message));
    }
    let body = read_body(headers, body).await?;
    let request: JoinRequest = serde_json::from_slice(&body.bytes)
        .map_err(|error| Status::bad_request(format!("decode the join request: {error}")))?;
    check_node_name(&request.node_name)?;
    check_node_is_free(server, &request.node_name)?;
    check_addresses(server, &request)?;
    let authority = &server.settings.authority;
    let certificate = authority
        .sign_node(&request.csr, &request.node_name, &request.addresses, Timestamp::now())
        .map_err(|error| Status::bad_request(error.to_string()))?;
    info!(node = request.node_name, addresses = ?request.addresses, "certified a node");
    Ok(JoinResponse { certificate, ca: authority.certificate_pem().to_owned() })
}

/// A node that is at work keeps its name: a second one would act with its rights.
fn check_node_is_free(server: &ApiServer, name: &str) -> Result<(), Status> {
    let node = server.store.snapshot().get(&Key::new("nodes", "", name)).cloned();
    let conditions = node.as_ref().and_then(|node| node.value()["status"]["conditions"].as_array());
    let is_ready =
        conditions.into_iter().flatten().any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    match is_ready {
        false => Ok(()),
        true => Err(Status::new(
            Reason::Conflict,
            format!("node {name:?} is at work already; choose another name by --name, or wait until it is not ready"),
        )),
    }
}

/// The certificate speaks for the addresses in it: whoever has the join secret is not the API server because of it, nor
/// another node.
fn check_addresses(server: &ApiServer, request: &JoinRequest) -> Result<(), Status> {
    let (snapshot, nodes) = (server.store.snapshot(), "nodes".into());
    let taken_by = |address: &IpAddr| {
        let text = address.to_string();
        let mut others = snapshot.list(&nodes, None).filter(|node| node.name() != request.node_name);
        others.find(|node| {
            let addresses = node.value()["status"]["addresses"].as_array();
            addresses.into_iter().flatten().any(|one| one["type"] == "InternalIP" && one["address"] == text.as_str())
        })
    };
    for address in &request.addresses {
        if *address == API_SERVICE_ADDRESS {
            let message =
                format!("{address} is the address of the API server, not of a node; choose another by --node-ip");
            return Err(Status::bad_request(message));
        }
        if let Some(other) = taken_by(address).filter(|_| !address.is_loopback()) {
            let message = format!("{address} is the address of node {:?}; choose another by --node-ip", other.name());
            return Err(Status::new(Reason::Conflict, message));
        }
    }
    Ok(())
}

/// A node's name becomes part of its certificate's subject and of many objects' fields.
fn check_node_name(name: &str) -> Result<(), Status> {
    if name == "localhost" || name == "kubernetes" || name.starts_with("kubernetes.") {
        let message = format!("{name:?} is a name of the API server, not of a node; choose another by --name");
        return Err(Status::bad_request(message));
    }
    match names::check_dns1123_subdomain(name).first() {
        None => Ok(()),
        Some(fault) => Err(Status::bad_request(format!("{name:?} is no name for a node: {fault}"))),
    }
}
