//! Clients of running containers: those who run a command beside one, listen to one, or connect to a pod's port.

use std::io;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::parts::Parts;
use crate::{ByteStream, Container, ExecError, PodUid, Streams};

/// Clients of one container at once: people and their scripts. Commands share the container's memory limit.
pub(crate) const PER_CONTAINER_MAX: usize = 32;
/// Clients of all containers of the node at once: each may hold a thread and some MiB in its pipes.
const PER_NODE_MAX: usize = 256;
/// Forwarded connections at once; a browser opens six to a page.
const CONNECTIONS_MAX: usize = 1024;

/// Which container a client wants. With a uid, only of that very pod.
#[derive(Clone, Debug)]
pub struct ContainerQuery {
    pub namespace: String,
    pub pod: String,
    pub uid: Option<PodUid>,
    pub container: String,
}

/// Why there is no session. The text is for the user.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SessionError {
    #[error("{0}")]
    NotFound(String),
    /// The kubelet's words for a container that does not run.
    #[error("container not found ({0:?})")]
    NotRunning(String),
    #[error("{0}")]
    TooMany(String),
    /// Nothing answers at the pod's port.
    #[error("{0}")]
    NotConnected(String),
}

/// The node's places for clients.
pub(crate) struct Sessions {
    clients: Arc<Semaphore>,
    connections: Arc<Semaphore>,
}

/// A client's place at a running container, before anything is started.
pub struct Slot {
    container: Arc<dyn Container>,
    place: Place,
}

/// What a client has; its place is free again when it is dropped.
pub struct Session {
    pub streams: Streams,
    pub place: Place,
}

/// Held as long as a client is there.
pub struct Place {
    _places: Vec<OwnedSemaphorePermit>,
}

/// A connection to a pod's port.
pub struct PodConnection {
    pub stream: Box<dyn ByteStream>,
    pub place: Place,
}

impl Slot {
    /// Runs a command beside the container.
    pub async fn exec(self, command: Vec<String>, wants_stdin: bool) -> Result<Session, ExecError> {
        let streams = self.container.exec(command, wants_stdin).await?;
        Ok(Session { streams, place: self.place })
    }

    /// Joins the container's own streams.
    pub fn attach(self, wants_stdin: bool) -> Session {
        Session { streams: self.container.attach(wants_stdin), place: self.place }
    }
}

impl Sessions {
    pub(crate) fn new() -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self { clients: semaphore(PER_NODE_MAX), connections: semaphore(CONNECTIONS_MAX) }
    }
}

pub(crate) fn enter(parts: &Parts, query: &ContainerQuery) -> Result<Slot, SessionError> {
    let ContainerQuery { namespace, pod, uid, container } = query;
    let (uid, containers) = find(parts, namespace, pod, uid.as_ref())?;
    if !containers.contains(container) {
        return Err(SessionError::NotFound(format!("container {container:?} is not in pod {pod:?}")));
    }
    let running = parts.roster.running(&uid, container);
    let (handle, places) = running.ok_or_else(|| SessionError::NotRunning(container.clone()))?;
    let own = place(&places, || format!("container {container:?} has {PER_CONTAINER_MAX} clients already"))?;
    let of_node = place(&parts.sessions.clients, || format!("the node serves {PER_NODE_MAX} clients already"))?;
    Ok(Slot { container: handle, place: Place { _places: vec![own, of_node] } })
}

pub(crate) async fn connect(
    parts: &Parts,
    namespace: &str,
    pod: &str,
    uid: Option<&PodUid>,
    port: u16,
) -> Result<PodConnection, SessionError> {
    let (uid, _) = find(parts, namespace, pod, uid)?;
    let full = || format!("the node forwards {CONNECTIONS_MAX} connections already");
    let place = Place { _places: vec![place(&parts.sessions.connections, full)?] };
    let stream = parts.network.connect(&uid, port).await;
    let stream = stream.map_err(|error| SessionError::NotConnected(refusal(namespace, pod, &uid, port, &error)))?;
    Ok(PodConnection { stream, place })
}

fn find(
    parts: &Parts,
    namespace: &str,
    pod: &str,
    uid: Option<&PodUid>,
) -> Result<(PodUid, Vec<String>), SessionError> {
    let missing = || SessionError::NotFound(format!("pod \"{namespace}/{pod}\" is not on this node"));
    parts.roster.find(namespace, pod, uid).ok_or_else(missing)
}

fn place(places: &Arc<Semaphore>, full: impl Fn() -> String) -> Result<OwnedSemaphorePermit, SessionError> {
    places.clone().try_acquire_owned().map_err(|_| SessionError::TooMany(full()))
}

/// As the kubelet puts it, with containerd's words for where it tried.
fn refusal(namespace: &str, pod: &str, uid: &PodUid, port: u16, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        _ => error.to_string(),
    };
    let inside = format!("{namespace}/{pod}");
    format!(
        "error forwarding port {port} to pod {pod}_{namespace}, uid {uid}: failed to execute portforward in network \
         namespace {inside:?}: failed to connect to localhost:{port} inside namespace {inside:?}, IPv4: dial tcp4 \
         127.0.0.1:{port}: {why}"
    )
}
