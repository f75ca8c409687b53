use crate::{Fault, GuestNetwork};
use bytes::Bytes;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;

/// Hears of each fault that ends one request of an HTTP guest; the container itself goes on.
pub type OnFault = Arc<dyn Fn(Fault) + Send + Sync>;

/// Everything that a container is given. What is not in here, it does not have.
#[derive(Clone)]
pub struct ContainerSpec {
    /// The guest's `argv[0]`.
    pub name: String,
    /// What follows the name in `argv`.
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    pub working_dir: Option<String>,
    pub mounts: Vec<Mount>,
    /// Linear memory of all its instances together.
    pub memory_bytes_max: Option<u64>,
    /// Thousandths of a CPU, over periods of 100 ms.
    pub cpu_millis_max: Option<u64>,
    /// Only for commands.
    pub stdin: StdinMode,
    /// Where output goes. When it is full the guest waits.
    pub logs: mpsc::Sender<LogLine>,
    pub network: Arc<dyn GuestNetwork>,
    /// Only for HTTP handlers.
    pub requests: RequestLimits,
    pub on_fault: OnFault,
}

/// What a command reads from standard input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StdinMode {
    /// The end, at once.
    #[default]
    Closed,
    /// What those write that attach to it, as long as the container runs.
    Open,
    /// The same of the first one that attaches, then the end.
    Once,
}

/// A directory of the host at a path of the guest.
#[derive(Clone, Debug)]
pub struct Mount {
    pub host: PathBuf,
    pub guest: String,
    pub read_only: bool,
}

/// How an HTTP handler takes requests.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Requests in instances at once.
    pub concurrent_max: usize,
    /// Requests that may wait for a turn; past it the answer is 503.
    pub queued_max: usize,
    /// Until the head of the response; and again for what the guest does after the body's end.
    pub timeout: Duration,
    /// Requests that one instance serves, one after another. 1 means that no request sees what another left.
    pub per_instance_max: u32,
    /// How long an instance that may be reused stays without a request.
    pub idle_timeout: Duration,
}

/// One line of a guest's output; or, for who listens to the guest itself, a piece of it as it was written.
#[derive(Clone, Debug)]
pub struct LogLine {
    pub time: SystemTime,
    pub stream: Stream,
    /// The line goes on in the next [`LogLine`] of this stream.
    pub partial: bool,
    /// Without its newline; not always UTF-8.
    pub data: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    Stdout,
    Stderr,
}

impl ContainerSpec {
    /// A container with no arguments, environment, mounts or limits.
    pub fn new(name: impl Into<String>, logs: mpsc::Sender<LogLine>, network: Arc<dyn GuestNetwork>) -> Self {
        ContainerSpec {
            name: name.into(),
            args: Vec::new(),
            env: Vec::new(),
            working_dir: None,
            mounts: Vec::new(),
            stdin: StdinMode::Closed,
            memory_bytes_max: None,
            cpu_millis_max: None,
            logs,
            network,
            requests: RequestLimits::default(),
            on_fault: Arc::new(|_| ()),
        }
    }
}

impl Default for RequestLimits {
    fn default() -> Self {
        RequestLimits {
            concurrent_max: 128,
            queued_max: 512,
            timeout: Duration::from_secs(30),
            per_instance_max: 1,
            idle_timeout: Duration::from_secs(10),
        }
    }
}

impl std::fmt::Display for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        })
    }
}
