//! The kubelet of wasmk: runs the pods that the API assigns to this node, and reports what becomes of them.
//!
//! [`Agent::start`] is the entry point. The agent talks to the control plane through a `kube::Client` alone, and to the
//! node through three traits that its host implements: [`Images`], [`Runtime`] and [`Network`].

mod agent;
mod clock;
mod config;
mod ids;
mod images;
mod lifecycle;
mod logs;
mod network;
mod node;
mod runtime;
mod usage;

pub use agent::{Agent, AgentHandle, LogQuery, StartAgentError};
pub use clock::Clock;
pub use config::AgentConfig;
pub use ids::PodUid;
pub use images::{Credential, Image, ImageError, ImageSummary, Images};
pub use lifecycle::{Backoff, Settings};
pub use logs::{LogConfig, LogError, LogLine, LogOptions, LogSink, LogStream, Stream};
pub use network::{HttpProbe, Network, NetworkError, PodIdentity, ProbeError};
pub use node::Resources;
pub use runtime::{
    Container, ContainerSpec, Exit, Mount, OnFault, PrepareError, Program, ProgramKind, RequestFault, Runtime,
    StartError, Usage,
};
pub use usage::{NodeUsage, PodUsage};
