//! Runs WebAssembly guests as containers: wasmtime, in this process, with every capability given by hand.
//!
//! [`Runtime`] is the entry point: [`Runtime::prepare`] turns a wasm file into a [`Program`] (adapted, compiled in a
//! child process, cached, linked), [`Runtime::start`] runs one as a [`Container`]. [`inspect`] says what a file is
//! without compiling it. Nothing here knows of pods, images or the cluster; addresses, names and outgoing requests are
//! asked of the [`GuestNetwork`] that the caller supplies.
//!
//! **Kinds of guest.** A `wasi:http` handler has no process: [`HttpGuest::call`] runs an instance per request (or keeps
//! some, if told). A `wasi:cli/run` component runs to its exit code or for ever. A wasip1 module is adapted to a
//! component once and is a command from then on.
//!
//! **Clients.** [`Container::attach`] listens to a container and writes to its standard input, which is closed unless
//! [`ContainerSpec::stdin`] says otherwise; [`Container::exec`] runs another program beside it, within its limits.
//!
//! **Threads.** Guests have a tokio runtime of their own, apart from the caller's I/O: a spinning guest delays other
//! guests by a slice and the node not at all. One more thread ticks wasmtime's epoch while guests run and sleeps else.
//! A container owns its tasks; they end with [`Container::kill`] or when the last handle is dropped.
//!
//! **Limits.** Memory, CPU time, tables, instances, handles, log lines and requests in flight are bounded for every
//! container; each bound is a named constant beside the code that enforces it, or a field of [`ContainerSpec`].
//!
//! **Deliberately absent:** UDP, signals (WASI has none: stop routing, drain, end the
//! input, kill), terminals, the host's file system and
//! network beyond mounts and [`GuestNetwork`].
//!
//! Note for binaries: with `RUST_BACKTRACE=1` every normal exit of a guest captures a host backtrace. Unset it at start.

mod adapt;
mod cache;
mod command;
mod compile;
mod config;
mod container;
mod engine;
mod exec;
mod fault;
mod guest;
mod http;
mod inspect;
mod limits;
mod logs;
mod meter;
mod network;
mod outgoing;
mod program;
mod runtime;
mod sandbox;
mod sockets;
mod spec;
mod stdin;
mod taps;
mod ticker;

pub use compile::{CompileError, compile_main};
pub use config::{Compiler, RuntimeConfig, RuntimeError};
pub use container::{Attached, Container, Exit, ExitReason, StartError, Usage};
pub use exec::{Exec, ExecError, ExecExit};
pub use fault::{Fault, FaultKind};
pub use http::{CallError, HttpGuest};
pub use inspect::{GuestInfo, GuestKind, InspectError, inspect};
pub use network::{BindRefused, ConnectRefused, GuestNetwork, HttpError, NoNetwork};
pub use program::{PrepareError, Program};
pub use runtime::Runtime;
pub use spec::{ContainerSpec, LogLine, Mount, OnFault, RequestLimits, StdinMode, Stream};

/// An error of any kind, as HTTP bodies carry it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// The one HTTP body type of this crate, streaming in both directions.
pub type Body = http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, BoxError>;
