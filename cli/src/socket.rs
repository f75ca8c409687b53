//! A WebSocket to a subresource of a pod.

use anyhow::{Context, Result, ensure};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kube::client::Body;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::session::{Session, refusal};

pub(crate) type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

impl Session {
    /// Opens a WebSocket that speaks `protocol`. What the server refuses with keeps its words.
    pub(crate) async fn socket(&self, path: &str, protocol: &str) -> Result<Socket> {
        let key = generate_key();
        let request = Request::get(path)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header("sec-websocket-version", "13")
            .header(SEC_WEBSOCKET_KEY, &key)
            .header(SEC_WEBSOCKET_PROTOCOL, protocol)
            .body(Body::empty())?;
        let response = self.client().send(request).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(refusal(response).await);
        }
        check(&response, &key, protocol)?;
        let upgraded = hyper::upgrade::on(response).await.context("change the connection to a WebSocket")?;
        Ok(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await)
    }
}

/// That it is a WebSocket's server that answered, and to this request.
fn check(response: &Response<Body>, key: &str, protocol: &str) -> Result<()> {
    let header = |name| response.headers().get(name).map(HeaderValue::as_bytes);
    let is_answer = header(SEC_WEBSOCKET_ACCEPT) == Some(derive_accept_key(key.as_bytes()).as_bytes());
    ensure!(
        is_answer && header(SEC_WEBSOCKET_PROTOCOL) == Some(protocol.as_bytes()),
        "the server does not speak {protocol}"
    );
    Ok(())
}
