//! Why a guest ended, in words its author understands.

use crate::engine::BACKTRACE_FRAMES_MAX;
use crate::limits::OutOfMemory;
use std::collections::HashSet;
use std::time::SystemTime;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// Something that went wrong inside a guest.
#[derive(Clone, Debug)]
pub struct Fault {
    pub kind: FaultKind,
    /// One line.
    pub message: String,
    /// Frames of the guest, innermost first, a line each; function names as far as the wasm file has them.
    pub backtrace: Vec<String>,
    pub time: SystemTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The guest trapped, or could not be instantiated.
    Trap,
    OutOfMemory,
    /// A request took longer than [`RequestLimits::timeout`](crate::RequestLimits::timeout).
    Timeout,
}

/// How a guest's call ended other than by returning.
pub(crate) enum Ending {
    Exited(i32),
    Fault(Fault),
}

/// Reads wasmtime's error.
pub(crate) fn ending(error: &wasmtime::Error) -> Ending {
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return Ending::Exited(exit.0);
    }
    let trace = error.downcast_ref::<WasmBacktrace>();
    let backtrace = trace.map(frames).unwrap_or_default();
    let (kind, message) = match (error.downcast_ref::<OutOfMemory>(), error.downcast_ref::<Trap>()) {
        (Some(out), _) => (FaultKind::OutOfMemory, out.to_string()),
        (None, Some(Trap::MemoryOutOfBounds)) if trace.is_some_and(is_recursion) => {
            (FaultKind::Trap, explain(Trap::StackOverflow))
        }
        (None, Some(trap)) => (FaultKind::Trap, explain(*trap)),
        (None, None) => (FaultKind::Trap, error.root_cause().to_string()),
    };
    Ending::Fault(Fault { kind, message, backtrace, time: SystemTime::now() })
}

impl Fault {
    pub(crate) fn timeout(message: String) -> Self {
        Fault { kind: FaultKind::Timeout, message, backtrace: Vec::new(), time: SystemTime::now() }
    }

    /// What goes to the guest's stderr.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        let heading = (!self.backtrace.is_empty()).then_some("wasm backtrace, innermost first:");
        std::iter::once(self.message.as_str()).chain(heading).chain(self.backtrace.iter().map(String::as_str))
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        self.backtrace.iter().try_for_each(|frame| write!(f, "\n{frame}"))
    }
}

fn explain(trap: Trap) -> String {
    match trap {
        Trap::StackOverflow => "stack overflow: calls nested too deep (endless recursion?)".into(),
        Trap::UnreachableCodeReached => "trap: unreachable code reached (a panic or an abort in the guest)".into(),
        other => {
            let text = other.to_string();
            format!("trap: {}", text.strip_prefix("wasm trap: ").unwrap_or(&text))
        }
    }
}

/// True if the backtrace is as long as it may be and turns in a small circle. Compilers keep a second stack, for what
/// has an address, at the start of linear memory: when that one overflows, all that traps is an access below address 0.
fn is_recursion(backtrace: &WasmBacktrace) -> bool {
    /// Functions that call each other in a circle.
    const CIRCLE_MAX: usize = 8;
    let frames = backtrace.frames();
    let functions: HashSet<u32> = frames.iter().map(|frame| frame.func_index()).collect();
    frames.len() >= BACKTRACE_FRAMES_MAX.get() && functions.len() <= CIRCLE_MAX
}

fn frames(backtrace: &WasmBacktrace) -> Vec<String> {
    // The first line is a heading of wasmtime's.
    backtrace.to_string().lines().skip(1).filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}
