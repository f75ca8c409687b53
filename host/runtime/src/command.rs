//! Guests that run to an end, as processes do.

use crate::container::ExitReason;
use crate::fault::{Ending, FaultKind, ending};
use crate::program::Instance;
use crate::sandbox::{Live, Sandbox};

/// Runs the guest once. Must be polled under the container's meter.
pub(crate) async fn run(sandbox: &Sandbox) -> ExitReason {
    let mut last_words = String::new();
    let result = match sandbox.instantiate().await {
        Ok(mut live) => {
            let result = call(&mut live).await;
            live.output.close().await;
            last_words = live.output.stderr.recent();
            result
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(Ok(())) => ExitReason::Exited(0),
        Ok(Err(())) => ExitReason::Exited(1),
        Err(error) => exit_reason(sandbox, &error, &last_words).await,
    }
}

async fn call(live: &mut Live) -> wasmtime::Result<Result<(), ()>> {
    let store = &mut live.store;
    match &live.instance {
        Instance::CommandP2(command) => command.wasi_cli_run().call_run(store).await,
        Instance::CommandP3(command) => {
            store.run_concurrent(async |accessor| command.wasi_cli_run().call_run(accessor).await).await?
        }
        Instance::Http(_) => unreachable!("invariant: HTTP handlers are called, not run"),
    }
}

/// What the container ends with; a fault is written to its stderr first. `last_words` are what it wrote there itself.
pub(crate) async fn exit_reason(sandbox: &Sandbox, error: &wasmtime::Error, last_words: &str) -> ExitReason {
    let fault = match ending(error) {
        Ending::Exited(code) => return ExitReason::Exited(code),
        Ending::Fault(fault) => fault,
    };
    sandbox.log_fault(&fault).await;
    match fault.kind {
        FaultKind::OutOfMemory => ExitReason::OutOfMemory { message: fault.message },
        FaultKind::Trap | FaultKind::Timeout => {
            let said = if last_words.is_empty() { "" } else { "\n" };
            ExitReason::Trapped { message: format!("{last_words}{said}{}", fault.message), backtrace: fault.backtrace }
        }
    }
}
