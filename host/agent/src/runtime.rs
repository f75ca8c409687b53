//! What the agent asks of the wasm runtime; the host implements it.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::sync::mpsc;

use crate::Image;
use crate::logs::{LogSink, Stream};
use crate::network::PodIdentity;

#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// Compiles (or finds compiled) what the image holds. The agent asks once an image and shares the answer.
    async fn prepare(&self, image: &Image) -> Result<Arc<dyn Program>, PrepareError>;
}

/// Something that can run, any number of times at once.
#[async_trait]
pub trait Program: Send + Sync + 'static {
    fn kind(&self) -> ProgramKind;

    /// Runs it as one container. The pod was attached to the network before, and stays so until the container ended.
    ///
    /// A handler that was started takes requests to `spec.ports` (any port if there is none).
    async fn start(&self, spec: ContainerSpec) -> Result<Arc<dyn Container>, StartError>;
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProgramKind {
    /// A `wasi:http` handler: it is called and never exits by itself.
    Http,
    /// It runs to its exit code or for ever, as a process does.
    Command,
}

/// A running container. Dropping the last handle kills it.
#[async_trait]
pub trait Container: Send + Sync + 'static {
    /// How it ended; any number of callers may wait, also after the end.
    async fn wait(&self) -> Exit;

    /// Ends it now. Idempotent; [`Container::wait`] then answers [`Exit::Killed`] unless it ended by itself.
    fn kill(&self);

    /// Ends its standard input, which tells a program that reads it to come to its end. False if it has none.
    fn end_input(&self) -> bool;

    fn usage(&self) -> Usage;

    /// Runs a command beside it, with its files, environment, network and limits, until the command or the container
    /// ends, or the returned value is dropped. `command` is never empty.
    async fn exec(&self, command: Vec<String>, wants_stdin: bool) -> Result<Streams, ExecError>;

    /// Its own output from now on and, if wanted and it has one, its input.
    fn attach(&self, wants_stdin: bool) -> Streams;
}

/// The streams of something that runs, for a client. It must not keep a container alive.
pub struct Streams {
    /// Dropping it is the end of the input.
    pub stdin: Option<mpsc::Sender<Bytes>>,
    /// Ends when nothing more will come.
    pub output: BoxStream<'static, Piece>,
    pub exit: BoxFuture<'static, Exit>,
}

/// Output as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    pub stream: Stream,
    pub data: Bytes,
}

/// Whether a container reads standard input.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Stdin {
    /// It finds the end at once.
    #[default]
    Closed,
    /// What clients write that attach to it (`stdin: true`).
    Open,
    /// What the first of them writes, then the end (`stdinOnce: true`).
    Once,
}

/// Everything that a container is given.
#[derive(Clone)]
pub struct ContainerSpec {
    pub pod: PodIdentity,
    pub container: String,
    /// Never empty; `argv[0]` first.
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    pub working_dir: Option<String>,
    pub mounts: Vec<Mount>,
    pub stdin: Stdin,
    /// The container's declared TCP ports.
    pub ports: Vec<u16>,
    /// `resources.limits.memory`.
    pub memory_bytes_max: Option<u64>,
    /// `resources.limits.cpu`.
    pub cpu_millis_max: Option<u64>,
    /// How many requests one instance of a handler serves, one after another; each has one of its own by default.
    pub requests_per_instance: Option<NonZeroU32>,
    /// Where output goes: the runtime writes a trap's message and backtrace there, too.
    pub logs: LogSink,
    /// Hears of each fault that ends one request of a handler, but not the container.
    pub on_fault: OnFault,
}

pub type OnFault = Arc<dyn Fn(RequestFault) + Send + Sync>;

/// One request of a handler failed inside the guest.
#[derive(Clone, Debug)]
pub struct RequestFault {
    /// Names the kind: trap, out of memory, timeout.
    pub message: String,
    pub out_of_memory: bool,
}

/// A directory of the host at a path of the guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mount {
    pub host: PathBuf,
    pub guest: String,
    pub read_only: bool,
}

/// How a container ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Exit {
    Exited(i32),
    /// `backtrace` has a line a frame.
    Trapped {
        message: String,
        backtrace: String,
    },
    OutOfMemory {
        message: String,
    },
    Killed,
}

/// Since the container's start.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Usage {
    pub cpu_nanos: u64,
    pub memory_bytes: u64,
}

/// Why an image cannot run here. The text is what a user reads in the pod's status.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PrepareError {
    /// The file itself is at fault: trying again cannot help.
    #[error("{0}")]
    Broken(String),
    /// The node is at fault (disk, memory, the compiler was killed).
    #[error("{0}")]
    Failed(String),
}

/// Why a container did not start.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

/// Why a command did not start; the text is for the user.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ExecError(pub String);
