//! A second program beside a container: its own instance, in the container's surroundings and within its limits.

use crate::command;
use crate::container::ExitReason;
use crate::meter::Metered;
use crate::program::Program;
use crate::sandbox::{Beside, Sandbox};
use crate::spec::LogLine;
use crate::stdin;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Pieces of output, at most 64 KiB each, that wait for the reader; then the guest waits.
const PIECES_WAITING_MAX: usize = 8;

/// A program that runs beside a container. Dropping it ends the program, and so does the container's end.
pub struct Exec {
    /// Dropping it is the end of the program's input.
    pub stdin: Option<mpsc::Sender<Bytes>>,
    /// As the program writes it, each [`LogLine`] a piece of any length. Ends when the program has ended.
    pub output: mpsc::Receiver<LogLine>,
    pub exit: ExecExit,
}

/// How the program ends. Dropping it ends the program.
pub struct ExecExit {
    reason: oneshot::Receiver<ExitReason>,
    _kill_on_drop: DropGuard,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecError {
    #[error("it is a wasi:http handler: it is called and has no `run` to start")]
    NoRun,
}

impl ExecExit {
    /// [`ExitReason::Killed`] when the container ended before.
    pub async fn wait(self) -> ExitReason {
        self.reason.await.unwrap_or(ExitReason::Killed)
    }
}

/// `argv[0]` first.
pub(crate) fn start(
    container: &Sandbox,
    program: &Program,
    argv: Vec<String>,
    has_stdin: bool,
    kill: CancellationToken,
    tasks: &TaskTracker,
) -> Result<Exec, ExecError> {
    if program.info().kind.is_http() {
        return Err(ExecError::NoRun);
    }
    let (writer, output) = mpsc::channel(PIECES_WAITING_MAX);
    let (stdin, pipe) = if has_stdin { Some(stdin::pipe()).unzip() } else { (None, None) };
    let sandbox = container.beside(Beside { program: program.clone(), argv, output: writer, stdin: pipe });
    let (tell, reason) = oneshot::channel();
    let _kill_on_drop = kill.clone().drop_guard();
    let run = async move {
        let ended = tokio::select! {
            biased;
            () = kill.cancelled() => ExitReason::Killed,
            reason = Metered::new(sandbox.cpu.clone(), command::run(&sandbox)) => reason,
        };
        sandbox.end_logs();
        let _ = tell.send(ended); // the client may have left
    };
    tasks.spawn_on(run, &container.shared.guests);
    Ok(Exec { stdin, output, exit: ExecExit { reason, _kill_on_drop } })
}
