//! The kubelet of wasmk: runs the pods that the API assigns to this node, and reports what becomes of them.
//!
//! [`Agent::start`] is the entry point. The agent talks to the control plane through a `kube::Client` alone, and to the
//! node through three traits that its host implements: [`Images`], [`Runtime`] and [`Network`].
//!
//! **Shape.** What should happen to a pod is decided by [`lifecycle`], plain functions over plain values: no task, clock
//! or I/O, so that a simulator can run it alone. Around it is one task a pod, which plans, carries the plan out in jobs,
//! and observes how they end; and one task that compares the pods of the API with those that have a task.
//!
//! **Tasks.** Pods' watch; one a pod; the Node object; its Lease; status reports; events; Services; one for each
//! ConfigMap and Secret in use; one a running container for its log, and one a log that is being read.
//!
//! **Invariants.** A container runs at most once at a time, and its restart count only grows. The server being away stops
//! nothing: pods run on and restart from what is cached in memory and below the data directory, from which a restarted
//! agent also takes them up. A pod's object is removed only when nothing of it runs any more.
//!
//! **Deliberately absent:** signals and `preStop` (wasm guests have neither: the pod is made unready, requests in flight
//! are waited for, then it is dropped), exec and gRPC probes, service account tokens, mounts of single host files,
//! writable image files.

mod addresses;
mod agent;
mod checkpoint;
mod clock;
mod config;
mod credentials;
mod env;
mod events;
mod fields;
mod files;
mod ids;
mod images;
pub mod lifecycle;
mod logs;
mod network;
mod node;
mod parts;
mod pod;
mod programs;
mod report;
mod retry;
mod runtime;
mod services;
mod sessions;
mod sources;
mod tokens;
mod usage;
mod volumes;

pub use agent::{Agent, AgentHandle, LogQuery, StartAgentError};
pub use clock::Clock;
pub use config::AgentConfig;
pub use ids::PodUid;
pub use images::{Credential, Image, ImageError, ImageSummary, Images};
pub use lifecycle::{Backoff, Settings};
pub use logs::{LogConfig, LogError, LogLine, LogOptions, LogSink, LogStream, Stream};
pub use network::{ByteStream, HttpProbe, Network, NetworkError, PodIdentity, ProbeError};
pub use node::Resources;
pub use runtime::{
    Container, ContainerSpec, ExecError, Exit, Mount, OnFault, Piece, PrepareError, Program, ProgramKind, RequestFault,
    Runtime, StartError, Stdin, Streams, Usage,
};
pub use sessions::{ContainerQuery, Place, PodConnection, Session, SessionError, Slot};
pub use usage::{NodeUsage, PodUsage};
