//! How a machine becomes a node: it checks the server by the token's hash, and gets a certificate of its own for a key
//! that never leaves it.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;

use crate::Identity;

/// Answers of the server are small; anything more is not one.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Who wants to join what.
pub struct JoinRequest<'a> {
    /// `https://host:port`.
    pub server: &'a str,
    /// `wk1.<hash of the authority>.<secret>`, as `wasmk server` prints it.
    pub token: &'a str,
    pub node_name: &'a str,
    /// Where others reach the node; they are in its certificate.
    pub addresses: &'a [IpAddr],
}

#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error("the server's address {0:?} is no URL such as https://10.0.0.1:6443")]
    Server(String),
    #[error("the token is not of the form wk1.HASH.SECRET; copy it whole from what `wasmk server` prints")]
    Token,
    #[error("connect to {server}: {why}")]
    Unreachable { server: String, why: String },
    #[error("the server at {0} is not the one that the token is for: its certificate authority differs")]
    OtherServer(String),
    #[error("the server refuses the token: {0}")]
    Refused(String),
    #[error("the server's answer cannot be read: {0}")]
    Answer(String),
    #[error("make a key: {0}")]
    Key(#[from] rcgen::Error),
}

/// Obtains a certificate for this node.
pub async fn join(request: &JoinRequest<'_>) -> Result<Identity, JoinError> {
    let server: Uri = request.server.parse().map_err(|_| JoinError::Server(request.server.to_owned()))?;
    if server.scheme_str() != Some("https") || server.host().is_none() {
        return Err(JoinError::Server(request.server.to_owned()));
    }
    let (hash, secret) = split_token(request.token)?;
    let ca_pem = authority(&server, hash).await?;
    let key = KeyPair::generate()?;
    let answer = ask(&server, &ca_pem, &key, secret, request).await?;
    let certificate_pem =
        answer["certificate"].as_str().ok_or_else(|| JoinError::Answer("it has no certificate".to_owned()))?;
    Ok(Identity { certificate_pem: certificate_pem.to_owned(), key_pem: key.serialize_pem(), ca_pem })
}

fn split_token(token: &str) -> Result<(&str, &str), JoinError> {
    let parts: Vec<&str> = token.trim().splitn(3, '.').collect();
    match parts.as_slice() {
        ["wk1", hash, secret] if hash.len() == 64 && !secret.is_empty() => Ok((hash, secret)),
        _ => Err(JoinError::Token),
    }
}

/// Whether a token is for the cluster of this authority.
pub(crate) fn is_authority_of(ca_pem: &str, token: &str) -> bool {
    let der = CertificateDer::from_pem_slice(ca_pem.as_bytes());
    let found = der.map(|der| hex::encode(Sha256::digest(&der)));
    matches!((split_token(token), found), (Ok((hash, _)), Ok(found)) if hash.eq_ignore_ascii_case(&found))
}

/// The server's authority, fetched without trust and then checked against the token.
async fn authority(server: &Uri, hash: &str) -> Result<String, JoinError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| JoinError::Answer(error.to_string()))?;
    let tls = builder.dangerous().with_custom_certificate_verifier(Arc::new(Unchecked(provider))).with_no_client_auth();
    let request = Request::get("/cacerts").body(Full::default()).expect("the request is well-formed");
    let response = exchange(server, tls, request).await?;
    let pem = String::from_utf8(response.into_body().to_vec()).map_err(|error| JoinError::Answer(error.to_string()))?;
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| JoinError::Answer(error.to_string()))?;
    if hex::encode(Sha256::digest(&der)) == hash.to_ascii_lowercase() {
        Ok(pem)
    } else {
        Err(JoinError::OtherServer(server.to_string()))
    }
}

/// Sends the certificate request over a connection that the authority vouches for.
async fn ask(
    server: &Uri,
    ca_pem: &str,
    key: &KeyPair,
    secret: &str,
    join: &JoinRequest<'_>,
) -> Result<Value, JoinError> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(ca_pem.as_bytes()).expect("it was read before");
    roots.add(authority).map_err(|error| JoinError::Answer(error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| JoinError::Answer(error.to_string()))?;
    let tls = builder.with_root_certificates(roots).with_no_client_auth();
    let body =
        json!({"nodeName": join.node_name, "addresses": join.addresses, "csr": signing_request(key, join.node_name)?});
    let request = Request::post("/wasmk/v1/join")
        .header(header::AUTHORIZATION, format!("Bearer {secret}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::from(body.to_string()))
        .map_err(|_| JoinError::Token)?;
    let response = exchange(server, tls, request).await?;
    let answer: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let message = || answer["message"].as_str().map_or_else(|| response.status().to_string(), str::to_owned);
    match response.status() {
        status if status.is_success() => Ok(answer),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(JoinError::Refused(message())),
        _ => Err(JoinError::Answer(message())),
    }
}

fn signing_request(key: &KeyPair, node_name: &str) -> Result<String, rcgen::Error> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, format!("system:node:{node_name}"));
    parameters.serialize_request(key)?.pem()
}

/// A server that says nothing is not waited for.
const ANSWER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(15);

async fn exchange(
    server: &Uri,
    tls: ClientConfig,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, JoinError> {
    let late = |_| JoinError::Unreachable { server: server.to_string(), why: "no answer".to_owned() };
    tokio::time::timeout(ANSWER_TIMEOUT, exchange_unlimited(server, tls, request)).await.map_err(late)?
}

/// One request on a connection of its own.
async fn exchange_unlimited(
    server: &Uri,
    tls: ClientConfig,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, JoinError> {
    let unreachable = |why: String| JoinError::Unreachable { server: server.to_string(), why };
    let host = server.host().expect("it was checked to have one").trim_matches(['[', ']']).to_owned();
    let port = server.port_u16().unwrap_or(6443);
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| unreachable(error.to_string()))?;
    let name = ServerName::try_from(host.clone()).map_err(|_| JoinError::Server(server.to_string()))?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
    let stream = connector.connect(name, stream).await.map_err(|error| unreachable(error.to_string()))?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| unreachable(error.to_string()))?;
    let connection = tokio::spawn(connection);
    let authority = format!("{host}:{port}");
    request.headers_mut().insert(header::HOST, authority.parse().map_err(|_| JoinError::Server(server.to_string()))?);
    let response = sender.send_request(request).await.map_err(|error| unreachable(error.to_string()))?;
    let (parts, body) = response.into_parts();
    let body = http_body_util::Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    connection.abort();
    Ok(Response::from_parts(parts, body.map_err(|error| JoinError::Answer(error.to_string()))?.to_bytes()))
}

/// Accepts any server. Only for fetching the authority, which the token's hash then proves or refutes.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_three_parts() {
        let hash = "a".repeat(64);
        assert_eq!(
            split_token(&format!(" wk1.{hash}.secret.with.dots\n")).unwrap(),
            (hash.as_str(), "secret.with.dots")
        );
        for broken in ["", "wk1", "wk1.abc.secret", &format!("wk2.{hash}.s"), &format!("wk1.{hash}.")] {
            assert!(matches!(split_token(broken), Err(JoinError::Token)), "{broken}");
        }
    }
}
