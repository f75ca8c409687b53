//! A running guest and its handle.

use crate::command;
use crate::http::HttpGuest;
use crate::meter::Metered;
use crate::program::Program;
use crate::runtime::Shared;
use crate::sandbox::{Sandbox, preopen};
use crate::spec::ContainerSpec;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
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
        let sandbox = Arc::new(Sandbox::new(shared, program, spec));
        let kill = CancellationToken::new();
        let http = is_http.then(|| HttpGuest::new(sandbox.clone(), kill.clone()));
        let (exit_sender, exit) = watch::channel(None);
        let started_at = SystemTime::now();
        let (task_sandbox, task_kill, task_http) = (sandbox.clone(), kill.clone(), http.clone());
        sandbox.shared.guests.spawn(async move {
            let reason = run(&task_sandbox, task_http.as_deref(), &task_kill).await;
            task_kill.cancel();
            if let Some(http) = task_http {
                http.gone().await;
            }
            task_sandbox.end_logs();
            exit_sender.send_replace(Some(Exit { reason, started_at, finished_at: SystemTime::now() }));
        });
        let _kill_on_drop = kill.clone().drop_guard();
        Ok(Container(Arc::new(Inner { sandbox, http, exit, kill, _kill_on_drop, started_at })))
    }

    /// Waits for the end.
    pub async fn wait(&self) -> Exit {
        let mut exit = self.0.exit.clone();
        match exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.clone().expect("invariant: waited for Some"),
            // The runtime went away under the container.
            Err(_) => self.killed_now(),
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

    fn killed_now(&self) -> Exit {
        Exit { reason: ExitReason::Killed, started_at: self.0.started_at, finished_at: SystemTime::now() }
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
