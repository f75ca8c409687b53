//! The way to the nodes: what the API server asks of them, and who gives it.

use async_trait::async_trait;
use axum::body::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::io::{AsyncRead, AsyncWrite};
use wasmk_api::stream::Streams;
use wasmk_api::usage::NodeUsage;
use wasmk_api::{Object, Status};

use crate::LogRequest;

/// A body that is still being written.
pub type LogBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Bytes to and from a node. Shutting the writing side down is a half-close; dropping it lets the node end what it began.
pub type NodeStream = Box<dyn Duplex>;

pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// The crate that wires the control plane gives it.
#[async_trait]
pub trait NodeClient: Send + Sync + 'static {
    /// The log as text, line by line, from `node` (the Node object).
    async fn logs(&self, node: &Object, request: LogRequest) -> Result<LogBody, Status>;

    /// Begins what `request` says. For commands the stream carries the frames of [`wasmk_api::stream`], for a port the
    /// connection's own bytes.
    async fn open(&self, node: &Object, request: StreamRequest) -> Result<NodeStream, Status>;

    /// What the node's containers use now.
    async fn usage(&self, node: &Object) -> Result<NodeUsage, Status>;
}

/// Which pod; the uid, so that no namesake is met.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PodTarget {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StreamRequest {
    /// Run a command in a container.
    Exec { pod: PodTarget, container: String, command: Vec<String>, streams: Streams },
    /// To the container's own process.
    Attach { pod: PodTarget, container: String, streams: Streams },
    /// One connection to a port of the pod.
    PortForward { pod: PodTarget, port: u16 },
}

impl StreamRequest {
    /// Of the node's API: `/wasmk/v1/exec/<namespace>/<pod>/<uid>/<container>?command=…&stdin=true…`.
    pub fn path_and_query(&self) -> String {
        let pod = |pod: &PodTarget| format!("{}/{}/{}", pod.namespace, pod.name, pod.uid);
        match self {
            Self::Exec { pod: target, container, command, streams } => {
                format!("/wasmk/v1/exec/{}/{container}?{}", pod(target), query(command, *streams))
            }
            Self::Attach { pod: target, container, streams } => {
                format!("/wasmk/v1/attach/{}/{container}?{}", pod(target), query(&[], *streams))
            }
            Self::PortForward { pod: target, port } => format!("/wasmk/v1/portforward/{}/{port}", pod(target)),
        }
    }
}

fn query(command: &[String], streams: Streams) -> String {
    let Streams { stdin, stdout, stderr, tty } = streams;
    let flags = [("stdin", stdin), ("stdout", stdout), ("stderr", stderr), ("tty", tty)];
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(command.iter().map(|argument| ("command", argument)));
    query.extend_pairs(flags.map(|(name, flag)| (name, flag.to_string())));
    query.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> PodTarget {
        PodTarget { namespace: "default".to_owned(), name: "web".to_owned(), uid: "u".to_owned() }
    }

    #[test]
    fn a_command_reaches_the_node_word_by_word() {
        let command = vec!["sh".to_owned(), "echo a&b".to_owned(), String::new()];
        let streams = Streams { stdin: true, stdout: true, ..Streams::default() };
        let request = StreamRequest::Exec { pod: pod(), container: "c".to_owned(), command, streams };
        assert_eq!(
            request.path_and_query(),
            "/wasmk/v1/exec/default/web/u/c?command=sh&command=echo+a%26b&command=&stdin=true&stdout=true&stderr=false&tty=false"
        );
    }

    #[test]
    fn a_port_is_part_of_the_path() {
        let request = StreamRequest::PortForward { pod: pod(), port: 80 };
        assert_eq!(request.path_and_query(), "/wasmk/v1/portforward/default/web/u/80");
    }
}
