//! A running guest and its handle.

use crate::command;
use crate::exec::{self, Exec, ExecError};
use crate::http::HttpGuest;
use crate::meter::Metered;
use crate::program::Program;
use crate::runtime::Shared;
use crate::sandbox::{Sandbox, preopen};
use crate::spec::{ContainerSpec, LogLine, StdinMode};
use crate::stdin;
use bytes::Bytes;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use wasmtime_wasi::WasiCtxBuilder;

/// A started container. Clones are the same container; it is killed when the last one is dropped.
#[derive(Clone)]
pub struct Container(Arc<Inner>);

struct Inner {
    sandbox: Arc<Sandbox>,
    http: Option<Arc<HttpGuest>>,
    exit: watch::Receiver<Option<Exit>>,
    kill: CancellationToken,
    _kill_on_drop: DropGuard,
    started_at: SystemTime,
    stdin: StdinPipe,
    /// Programs that were started beside it.
    execs: TaskTracker,
}

/// The container's own hold of its input: as long as it is there, there is no end.
struct StdinPipe {
    mode: StdinMode,
    sender: Mutex<Option<mpsc::Sender<Bytes>>>,
}

/// A container's own streams.
pub struct Attached {
    /// Where its input goes, if it has one; several may write to it.
    pub stdin: Option<mpsc::Sender<Bytes>>,
    /// What it writes from now on, each [`LogLine`] a piece of any length; the end when it has ended. A reader that is
    /// too slow loses pieces, and is told so: the guest does not wait for it.
    pub output: mpsc::Receiver<LogLine>,
}

/// How and when a container ended.
#[derive(Clone, Debug)]
pub struct Exit {
    pub reason: ExitReason,
    pub started_at: SystemTime,
    pub finished_at: SystemTime,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// By itself, with this code.
    Exited(i32),
    Trapped {
        message: String,
        backtrace: Vec<String>,
    },
    OutOfMemory {
        message: String,
    },
    /// By [`Container::kill`].
    Killed,
}

/// What a container uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Since its start.
    pub cpu_time: Duration,
    /// Linear memory now.
    pub memory_bytes: u64,
    pub memory_bytes_peak: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("mount {host} at {guest}: {message}")]
    Mount { host: String, guest: String, message: String },
}

impl Container {
    pub(crate) async fn start(shared: Arc<Shared>, program: Program, spec: ContainerSpec) -> Result<Self, StartError> {
        check_mounts(&spec)?;
        let is_http = program.info().kind.is_http();
        let mode = if is_http { StdinMode::Closed } else { spec.stdin };
        let (sender, pipe) = if mode == StdinMode::Closed { (None, None) } else { Some(stdin::pipe()).unzip() };
        let stdin = StdinPipe { mode, sender: Mutex::new(sender) };
        let sandbox = Arc::new(Sandbox::new(shared, program, spec, pipe));
        let kill = CancellationToken::new();
        let http = is_http.then(|| HttpGuest::new(sandbox.clone(), kill.clone()));
        let (exit_sender, exit) = watch::channel(None);
        let started_at = SystemTime::now();
        let execs = TaskTracker::new();
        let (task_sandbox, task_kill, task_http) = (sandbox.clone(), kill.clone(), http.clone());
        let task_execs = execs.clone();
        sandbox.shared.guests.spawn(async move {
            let reason = run(&task_sandbox, task_http.as_deref(), &task_kill).await;
            task_kill.cancel();
            if let Some(http) = task_http {
                http.gone().await;
            }
            task_execs.close();
            task_execs.wait().await;
            task_sandbox.end_logs();
            exit_sender.send_replace(Some(Exit { reason, started_at, finished_at: SystemTime::now() }));
        });
        let _kill_on_drop = kill.clone().drop_guard();
        Ok(Container(Arc::new(Inner { sandbox, http, exit, kill, _kill_on_drop, started_at, stdin, execs })))
    }

    /// Waits for the end.
    pub async fn wait(&self) -> Exit {
        self.ended().await
    }

    /// As [`Container::wait`], for those who are not to keep the container alive.
    pub fn ended(&self) -> impl Future<Output = Exit> + Send + use<> {
        let (mut exit, started_at) = (self.0.exit.clone(), self.0.started_at);
        async move {
            match exit.wait_for(Option::is_some).await {
                Ok(exit) => exit.clone().expect("invariant: waited for Some"),
                // The runtime went away under the container.
                Err(_) => Exit { reason: ExitReason::Killed, started_at, finished_at: SystemTime::now() },
            }
        }
    }

    /// How it ended, if it did.
    pub fn exit(&self) -> Option<Exit> {
        self.0.exit.borrow().clone()
    }

    /// Ends it now, whatever it does: computing, waiting for the host, or throttled. [`Container::wait`] tells when it is gone.
    pub fn kill(&self) {
        self.0.kill.cancel();
    }

    /// Listens to its output and, if asked for and it has one, writes to its input.
    pub fn attach(&self, wants_stdin: bool) -> Attached {
        let stdin = if wants_stdin { self.0.stdin.writer() } else { None };
        Attached { stdin, output: self.0.sandbox.taps.open() }
    }

    /// Ends its standard input: what a program that reads it hears of its own end, since WASI has no signals. False if it
    /// has none.
    pub fn end_input(&self) -> bool {
        let Some(stdin) = &self.0.sandbox.stdin else { return false };
        stdin.end();
        true
    }

    /// Runs another program beside it: with its environment, mounts, network, memory and CPU, until the program or the
    /// container ends. `argv[0]` comes first.
    pub fn exec(&self, program: &Program, argv: Vec<String>, has_stdin: bool) -> Result<Exec, ExecError> {
        exec::start(&self.0.sandbox, program, argv, has_stdin, self.0.kill.child_token(), &self.0.execs)
    }

    /// Cancelled when it is killed or has ended.
    pub fn ending(&self) -> CancellationToken {
        self.0.kill.child_token()
    }

    pub fn usage(&self) -> Usage {
        let sandbox = &self.0.sandbox;
        Usage {
            cpu_time: sandbox.cpu.used(),
            memory_bytes: sandbox.memory.used(),
            memory_bytes_peak: sandbox.memory.peak(),
        }
    }

    pub fn started_at(&self) -> SystemTime {
        self.0.started_at
    }

    pub fn program(&self) -> &Program {
        &self.0.sandbox.program
    }

    /// To be called, if it is an HTTP handler.
    pub fn http(&self) -> Option<Arc<HttpGuest>> {
        self.0.http.clone()
    }

    /// Requests being served or queued.
    pub fn in_flight(&self) -> usize {
        self.0.http.as_ref().map_or(0, |http| http.in_flight())
    }

    /// Takes no more requests and waits until those in flight are done. False if some are not by the deadline.
    pub async fn drain(&self, deadline: Duration) -> bool {
        let Some(http) = &self.0.http else { return true };
        tokio::time::timeout(deadline, http.drain()).await.is_ok()
    }
}

impl StdinPipe {
    fn writer(&self) -> Option<mpsc::Sender<Bytes>> {
        let mut sender = self.sender.lock().unwrap();
        match self.mode {
            StdinMode::Closed | StdinMode::Open => sender.clone(),
            // The end comes when whoever takes it lets go.
            StdinMode::Once => sender.take(),
        }
    }
}

async fn run(sandbox: &Sandbox, http: Option<&HttpGuest>, kill: &CancellationToken) -> ExitReason {
    // Both futures hold the guest; dropping the one that loses drops the guest.
    let ended = async {
        match http {
            Some(http) => http.serve().await,
            None => Metered::new(sandbox.cpu.clone(), command::run(sandbox)).await,
        }
    };
    tokio::select! {
        biased;
        () = kill.cancelled() => ExitReason::Killed,
        reason = ended => reason,
    }
}

/// Mounts fail here, with names, rather than in every instance.
fn check_mounts(spec: &ContainerSpec) -> Result<(), StartError> {
    for mount in &spec.mounts {
        let failed = |message: String| StartError::Mount {
            host: mount.host.display().to_string(),
            guest: mount.guest.clone(),
            message,
        };
        let metadata = std::fs::metadata(&mount.host).map_err(|error| failed(error.to_string()))?;
        if !metadata.is_dir() {
            return Err(failed("it is a file: WASI guests can be given directories only".into()));
        }
        preopen(&mut WasiCtxBuilder::new(), mount).map_err(|error| failed(format!("{error:#}")))?;
    }
    Ok(())
}
