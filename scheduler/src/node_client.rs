use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use wasmk_api::{Object, Reason, Status};
use wasmk_apiserver::pki::{CertificateAuthority, PkiError};
use wasmk_apiserver::{LogBody, LogRequest, NodeClient};

/// How the API server shows itself to nodes.
const USER: &str = "wasmk-apiserver";
const GROUP: &str = "system:masters";
/// Nodes answer at once or are gone; a user waits for this.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A user who reads logs reads several; after this the connection goes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// A node that vanished under a log that is followed is noticed after this.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Of a node's answer that is an error, this much is shown.
const ERROR_BYTES_MAX: usize = 4096;

/// The way to the nodes' own HTTPS ports: mutual TLS, connections kept and shared.
pub(crate) struct NodeLogs {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl NodeLogs {
    pub(crate) fn new(authority: &CertificateAuthority, now: Timestamp) -> Result<Self, PkiError> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let tls = tls_config(authority, now)?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .enable_http2()
            .wrap_connector(connector);
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_TIMEOUT);
        client
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .http2_keep_alive_timeout(CONNECT_TIMEOUT);
        Ok(Self { client: client.build(connector) })
    }
}

#[async_trait]
impl NodeClient for NodeLogs {
    async fn logs(&self, node: &Object, request: LogRequest) -> Result<LogBody, Status> {
        let uri = uri(node, &request)?;
        let unreachable = |why: String| {
            let message = format!("node {} cannot be reached for its logs: {why}", node.name());
            Status::new(Reason::ServiceUnavailable, message)
        };
        let asked = Request::get(uri).body(Empty::new()).map_err(|error| Status::bad_request(error.to_string()))?;
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.client.request(asked)).await;
        let answer = answer.map_err(|_| unreachable(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())))?;
        let answer = answer.map_err(|error| unreachable(chain(&error)))?;
        let (head, body) = answer.into_parts();
        if head.status == StatusCode::OK {
            return Ok(body.map_err(Into::into).boxed_unsync());
        }
        let text = Limited::new(body, ERROR_BYTES_MAX).collect().await.map(|text| text.to_bytes()).unwrap_or_default();
        Err(refusal(head.status, String::from_utf8_lossy(&text).trim()))
    }
}

fn tls_config(authority: &CertificateAuthority, now: Timestamp) -> Result<ClientConfig, PkiError> {
    let own = authority.issue_client(USER, GROUP, now)?;
    let parse = |error: rustls::pki_types::pem::Error| PkiError::Request(error.to_string());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).map_err(parse)?)?;
    let certificate = CertificateDer::from_pem_slice(own.certificate_pem.as_bytes()).map_err(parse)?;
    let key = PrivateKeyDer::from_pem_slice(own.key_pem.as_bytes()).map_err(parse)?;
    Ok(ClientConfig::builder().with_root_certificates(roots).with_client_auth_cert(vec![certificate], key)?)
}

fn uri(node: &Object, request: &LogRequest) -> Result<Uri, Status> {
    let status = &node.value()["status"];
    let addresses = status["addresses"].as_array().into_iter().flatten();
    let internal = addresses.filter(|address| address["type"] == "InternalIP");
    let address = internal.filter_map(|address| address["address"].as_str()?.parse::<IpAddr>().ok()).next();
    let port = status["daemonEndpoints"]["kubeletEndpoint"]["Port"].as_u64();
    let (Some(address), Some(port)) = (address, port) else {
        let message = format!("node {} does not say at which address and port it answers", node.name());
        return Err(Status::new(Reason::ServiceUnavailable, message));
    };
    let host = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let LogRequest { namespace, pod, uid, container, .. } = request;
    let text = format!("https://{host}:{port}/wasmk/v1/logs/{namespace}/{pod}/{uid}/{container}?{}", request.query());
    text.parse().map_err(|error| Status::bad_request(format!("{text}: {error}")))
}

fn refusal(status: StatusCode, text: &str) -> Status {
    let reason = match status {
        StatusCode::NOT_FOUND => Reason::NotFound,
        StatusCode::BAD_REQUEST => Reason::BadRequest,
        StatusCode::TOO_MANY_REQUESTS => Reason::TooManyRequests,
        StatusCode::SERVICE_UNAVAILABLE => Reason::ServiceUnavailable,
        _ => Reason::InternalError,
    };
    let text = if text.is_empty() { status.canonical_reason().unwrap_or_default() } else { text };
    Status::new(reason, text)
}

/// An error with its causes: hyper's own words say little.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wasmk_api::Key;

    use super::*;

    fn request() -> LogRequest {
        LogRequest {
            namespace: "default".to_owned(),
            pod: "web".to_owned(),
            uid: "u".to_owned(),
            container: "c".to_owned(),
            follow: true,
            ..LogRequest::default()
        }
    }

    #[test]
    fn a_node_is_asked_at_its_own_address_and_port() {
        let status = json!({
            "addresses": [{"type": "Hostname", "address": "a"}, {"type": "InternalIP", "address": "127.0.0.2"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        });
        let node = Object::new(Key::new("nodes", "", "a"), 1, json!({"metadata": {"name": "a"}, "status": status}));
        let uri = uri(&node, &request()).unwrap().to_string();
        assert_eq!(uri, "https://127.0.0.2:10250/wasmk/v1/logs/default/web/u/c?follow=true");
    }

    #[test]
    fn a_node_that_says_no_address_is_named() {
        let node = Object::new(Key::new("nodes", "", "a"), 1, json!({"metadata": {"name": "a"}}));
        let status = uri(&node, &request()).unwrap_err();
        assert!(status.message.contains("node a"), "{status}");
    }

    #[test]
    fn what_a_node_refuses_keeps_its_words() {
        let status = refusal(StatusCode::NOT_FOUND, "no log of container c");
        assert_eq!((status.code, status.message.as_str()), (404, "no log of container c"));
        assert_eq!(refusal(StatusCode::IM_A_TEAPOT, "").code, 500);
    }
}
