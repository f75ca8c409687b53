//! What the agent asks of the pod network; the host implements it.

use std::net::Ipv4Addr;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::PodUid;

#[async_trait]
pub trait Network: Send + Sync + 'static {
    /// Makes the pod's address live on this node. Idempotent.
    async fn attach(&self, pod: &PodIdentity) -> Result<(), NetworkError>;

    /// Takes the address away, with every listener and connection that is left. Idempotent.
    fn detach(&self, pod: &PodUid);

    /// Whether the pod is ready as far as this node knows, which is before the endpoints say so.
    fn set_routing(&self, pod: &PodUid, ready: bool);

    /// Waits until no request or connection of the pod is in flight, at most `deadline`. What still arrives is served.
    /// Answers how many were left.
    async fn drain(&self, pod: &PodUid, deadline: Duration) -> usize;

    /// A probe's GET, at the pod itself (never through a Service); redirects are not followed. Answers the status code.
    async fn http_get(&self, pod: &PodUid, probe: &HttpProbe, timeout: Duration) -> Result<u16, ProbeError>;

    /// A probe's connect, at the pod itself. A `wasi:http` container accepts on each port it serves.
    async fn tcp_connect(&self, pod: &PodUid, port: u16, timeout: Duration) -> Result<(), ProbeError>;

    /// A byte stream to a port of the pod itself, ready or not. It ends with the pod.
    async fn connect(&self, pod: &PodUid, port: u16) -> std::io::Result<Box<dyn ByteStream>>;
}

/// A connection, whatever it is made of.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// A pod as the network knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PodIdentity {
    pub namespace: String,
    pub name: String,
    pub uid: PodUid,
    /// Virtual, out of the node's `spec.podCIDR`.
    pub ip: Ipv4Addr,
    pub hostname: String,
    pub labels: std::collections::BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpProbe {
    pub port: u16,
    /// Path and query, starting with `/`.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub https: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NetworkError(pub String);

/// Why a probe got no answer; the text completes "Readiness probe failed: ".
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("connection refused")]
    Refused,
    #[error("timed out")]
    Timeout,
    #[error("{0}")]
    Other(String),
}
