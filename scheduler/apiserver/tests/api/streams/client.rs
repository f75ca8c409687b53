use std::io;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::{Method, Request, response};
use http_body_util::BodyExt;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};

use crate::support::PODS;
use crate::tls::Listening;

pub(super) type WebSocket = WebSocketStream<TokioIo<Upgraded>>;

/// A listening server with a pod that runs.
pub(super) struct Cluster {
    pub(super) listening: Listening,
}

impl Cluster {
    pub(super) async fn start() -> Self {
        let listening = Listening::start().await;
        listening.server.run_pod().await;
        Self { listening }
    }

    pub(super) async fn stop(self) {
        self.listening.stop().await;
    }

    /// `below` is what comes after the pod's path. Else the `Status` that the server refused with.
    pub(super) async fn websocket(&self, below: &str, protocols: &str) -> Result<WebSocket, Value> {
        let headers = [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", protocols),
        ];
        let (response, connection) = self.upgrade(Method::GET, below, &headers).await?;
        assert_eq!(response.headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(protocols.split(',').any(|protocol| response.headers["sec-websocket-protocol"] == protocol));
        Ok(WebSocketStream::from_raw_socket(connection, Role::Client, None).await)
    }

    /// The protocol that was agreed to, and the connection.
    pub(super) async fn spdy(&self, below: &str, protocol: &str) -> Result<(String, TokioIo<Upgraded>), Value> {
        let headers = [("connection", "Upgrade"), ("upgrade", "SPDY/3.1"), ("x-stream-protocol-version", protocol)];
        let (response, connection) = self.upgrade(Method::POST, below, &headers).await?;
        Ok((response.headers["x-stream-protocol-version"].to_str().unwrap().to_owned(), connection))
    }

    pub(super) async fn upgrade(
        &self,
        method: Method,
        below: &str,
        headers: &[(&str, &str)],
    ) -> Result<(response::Parts, TokioIo<Upgraded>), Value> {
        let (mut sender, driver) =
            hyper::client::conn::http1::handshake(TokioIo::new(self.connect().await)).await.unwrap();
        tokio::spawn(driver.with_upgrades());
        let mut request = Request::builder().method(method).uri(format!("{PODS}/web/{below}")).header("host", "wasmk");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = sender.send_request(request.body(Body::empty()).unwrap()).await.unwrap();
        if response.status() != 101 {
            let body = response.into_body().collect().await.unwrap().to_bytes();
            return Err(serde_json::from_slice(&body).unwrap());
        }
        let connection = hyper::upgrade::on(&mut response).await.unwrap();
        Ok((response.into_parts().0, TokioIo::new(connection)))
    }

    async fn connect(&self) -> TlsStream<TcpStream> {
        let authority = &self.listening.server.authority;
        let client = authority.issue_client("wasmk-admin", "system:masters", Timestamp::now()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).unwrap()).unwrap();
        let certificate = CertificateDer::from_pem_slice(client.certificate_pem.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(client.key_pem.as_bytes()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots);
        let mut config = config.with_client_auth_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let stream = TcpStream::connect(self.listening.address).await.unwrap();
        let name = ServerName::from(self.listening.address.ip());
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }
}

/// The bytes of binary messages as one stream both ways.
pub(super) fn tunnel(socket: WebSocket) -> impl AsyncRead + AsyncWrite {
    let (sender, receiver) = socket.split();
    let bytes = receiver.filter_map(|message| async {
        match message.unwrap() {
            Message::Binary(bytes) => Some(Ok::<_, io::Error>(bytes)),
            _ => None,
        }
    });
    let messages = sender.sink_map_err(io::Error::other);
    let messages = messages.with(|bytes: Bytes| async { Ok::<_, io::Error>(Message::Binary(bytes)) });
    tokio::io::join(StreamReader::new(Box::pin(bytes)), Box::pin(SinkWriter::new(CopyToBytes::new(messages))))
}
