//! The nodes' own HTTPS ports: mutual TLS, connections kept and shared.

mod address;
mod tls;

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use futures::TryStreamExt;
use http::{Request, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Limited, StreamBody};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use tokio_util::io::{ReaderStream, StreamReader};
use wasmk_api::usage::NodeUsage;
use wasmk_api::{Object, Reason, Status};
use wasmk_apiserver::pki::{CertificateAuthority, PkiError};
use wasmk_apiserver::{LogBody, LogRequest, NodeClient, NodeStream, StreamRequest};

/// Nodes answer at once or are gone; a user waits for this.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A user who reads logs reads several; after this the connection goes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// A node that vanished under a log that is followed is noticed after this.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Of a node's answer that is an error, this much is shown.
const ERROR_BYTES_MAX: usize = 4096;
const USAGE_PATH: &str = "/wasmk/v1/usage";
/// Ample for 4,000 pods of several containers each.
const USAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What a node may send ahead of a slow reader of one stream.
const STREAM_WINDOW: u32 = 256 * 1024;
/// All that HTTP/2 allows, so that readers who stand still hold up nobody but themselves; the API server bounds how many
/// streams there are.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// What waits on its way to the node; beyond it the writer waits.
const WRITE_BUFFER_BYTES: usize = 64 * 1024;

type Outgoing = UnsyncBoxBody<Bytes, io::Error>;

/// The way to the nodes' own HTTPS ports.
pub(crate) struct NodePorts {
    client: Client<HttpsConnector<HttpConnector>, Outgoing>,
}

impl NodePorts {
    pub(crate) fn new(authority: &CertificateAuthority, now: Timestamp) -> Result<Self, PkiError> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::config(authority, now)?)
            .https_only()
            .enable_http1()
            .enable_http2()
            .wrap_connector(connector);
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_TIMEOUT);
        client
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .http2_keep_alive_timeout(CONNECT_TIMEOUT)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW);
        Ok(Self { client: client.build(connector) })
    }

    /// Until the answer begins; what a node refuses with keeps its code and words.
    async fn send(&self, request: Request<Outgoing>) -> Result<Incoming, SendError> {
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.client.request(request)).await;
        let answer =
            answer.map_err(|_| SendError::Unreachable(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())))?;
        let answer = answer.map_err(|error| SendError::Unreachable(chain(&error)))?;
        let (head, body) = answer.into_parts();
        if head.status == StatusCode::OK {
            return Ok(body);
        }
        let text = Limited::new(body, ERROR_BYTES_MAX).collect().await.map(|text| text.to_bytes()).unwrap_or_default();
        Err(SendError::Refused(refusal(head.status, String::from_utf8_lossy(&text).trim())))
    }
}

enum SendError {
    Unreachable(String),
    Refused(Status),
}

#[async_trait]
impl NodeClient for NodePorts {
    async fn logs(&self, node: &Object, request: LogRequest) -> Result<LogBody, Status> {
        let uri = address::uri(node, &request.path_and_query())?;
        let nothing = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = Request::get(uri).body(nothing).map_err(|error| Status::bad_request(error.to_string()))?;
        let body = self.send(request).await.map_err(|error| match error {
            SendError::Unreachable(why) => {
                let message = format!("node {} cannot be reached for its logs: {why}", node.name());
                Status::new(Reason::ServiceUnavailable, message)
            }
            SendError::Refused(status) => status,
        })?;
        Ok(body.map_err(Into::into).boxed_unsync())
    }

    async fn usage(&self, node: &Object) -> Result<NodeUsage, Status> {
        let uri = address::uri(node, USAGE_PATH)?;
        let nothing = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = Request::get(uri).body(nothing).map_err(|error| Status::bad_request(error.to_string()))?;
        let unreachable = |why: String| {
            let message = format!("node {} does not say what it uses: {why}", node.name());
            Status::new(Reason::ServiceUnavailable, message)
        };
        let body = self.send(request).await.map_err(|error| match error {
            SendError::Unreachable(why) => unreachable(why),
            SendError::Refused(status) => status,
        })?;
        let body =
            Limited::new(body, USAGE_BYTES_MAX).collect().await.map_err(|error| unreachable(error.to_string()))?;
        serde_json::from_slice(&body.to_bytes()).map_err(|error| unreachable(error.to_string()))
    }

    async fn open(&self, node: &Object, request: StreamRequest) -> Result<NodeStream, Status> {
        let uri = address::uri(node, &request.path_and_query())?;
        // The far end of the pipe becomes the request's body, which ends when the writer shuts down or is dropped.
        let (writer, body) = tokio::io::duplex(WRITE_BUFFER_BYTES);
        let body = StreamBody::new(ReaderStream::new(body).map_ok(Frame::data)).boxed_unsync();
        let request = Request::post(uri).body(body).map_err(|error| Status::bad_request(error.to_string()))?;
        let answer = self.send(request).await.map_err(|error| match error {
            SendError::Unreachable(why) => {
                Status::new(Reason::InternalError, format!("error dialing backend: node {}: {why}", node.name()))
            }
            SendError::Refused(status) => status,
        })?;
        let reader = StreamReader::new(answer.into_data_stream().map_err(io::Error::other));
        Ok(Box::new(tokio::io::join(reader, writer)))
    }
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
    use super::*;

    #[test]
    fn what_a_node_refuses_keeps_its_words() {
        let status = refusal(StatusCode::NOT_FOUND, "no log of container c");
        assert_eq!((status.code, status.message.as_str()), (404, "no log of container c"));
        assert_eq!(refusal(StatusCode::IM_A_TEAPOT, "").code, 500);
    }
}
