//! wasm to native code: in a child process for the node, in this one for tests.

use crate::config::Compiler;
use crate::engine::compiling_engine;
use crate::inspect::{GuestKind, InspectError, inspect};
use crate::{adapt, engine};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Text of a failed compiler that is kept for the message.
const STDERR_BYTES_MAX: usize = 4096;

#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Inspect(#[from] InspectError),
    #[error("adapt the wasip1 module: {0}")]
    Adapt(String),
    #[error("compile: {0}")]
    Compile(String),
    #[error("write {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// The body of the compiling child process: reads wasm, writes native code for this machine and this build.
pub fn compile_main(input: &Path, output: &Path) -> Result<(), CompileError> {
    let engine = compiling_engine().map_err(|error| CompileError::Compile(format!("{error:#}")))?;
    compile_file(&engine, input, output)
}

pub(crate) fn compile_file(engine: &wasmtime::Engine, input: &Path, output: &Path) -> Result<(), CompileError> {
    let wasm = std::fs::read(input).map_err(|source| CompileError::Read { path: input.to_owned(), source })?;
    let native = compile(engine, &wasm)?;
    std::fs::write(output, native).map_err(|source| CompileError::Write { path: output.to_owned(), source })
}

fn compile(engine: &wasmtime::Engine, wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
    let info = inspect(wasm)?;
    let adapted = match info.kind {
        GuestKind::ModuleP1 => Some(adapt::adapt(wasm).map_err(|error| CompileError::Adapt(format!("{error:#}")))?),
        _ => None,
    };
    let component = adapted.as_deref().unwrap_or(wasm);
    engine.precompile_component(component).map_err(|error| CompileError::Compile(format!("{error:#}")))
}

/// Compiles with whoever is configured; the error is text for the user.
pub(crate) async fn run_compiler(
    compiler: &Compiler,
    engine: &wasmtime::Engine,
    input: &Path,
    output: &Path,
    timeout: Duration,
) -> Result<(), String> {
    match compiler {
        Compiler::InProcess => {
            let (engine, input, output) = (engine.clone(), input.to_owned(), output.to_owned());
            let compiled = tokio::task::spawn_blocking(move || compile_file(&engine, &input, &output)).await;
            compiled.map_err(|panic| panic.to_string())?.map_err(|error| chain(&error))
        }
        Compiler::Command(command) => run_child(command, input, output, timeout).await,
    }
}

async fn run_child(command: &[OsString], input: &Path, output: &Path, timeout: Duration) -> Result<(), String> {
    let (program, args) = command.split_first().ok_or("the compiler's command is empty")?;
    let child = Command::new(program)
        .args(args)
        .arg(input)
        .arg(output)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output();
    let done = match tokio::time::timeout(timeout, child).await {
        Err(_) => return Err(format!("the compiler took longer than {} s", timeout.as_secs())),
        Ok(Err(error)) => return Err(format!("start the compiler {}: {error}", program.display())),
        Ok(Ok(done)) => done,
    };
    if done.status.success() {
        return Ok(());
    }
    let said = &done.stderr[..done.stderr.len().min(STDERR_BYTES_MAX)];
    let said = String::from_utf8_lossy(said);
    let said = said.trim();
    Err(if said.is_empty() { format!("the compiler ended with {}", done.status) } else { said.to_owned() })
}

/// An error with its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Part of every cache key: native code depends on the engine's settings and on how modules are adapted.
pub(crate) fn flavor(engine: &wasmtime::Engine) -> String {
    /// Raise it when `adapt` changes what it produces.
    const ADAPTER: u32 = 1;
    format!("{}-{ADAPTER}", engine::compatibility(engine))
}
