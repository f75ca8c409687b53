//! Drives real clusters: the `wasmk` binary, real guests, real clients.
//!
//! Each [`Cluster`] has loopback addresses and a pod network of its own, so that tests run side by side. Nothing here
//! links against wasmk's crates: the tests see what a user sees.

mod cluster;
mod http;
mod load;
mod node;
mod registry;
mod subnet;
mod tool;

pub use cluster::{Cluster, condition};
pub use http::{Answer, get, request};
pub use load::{Load, Report};
pub use node::Process;
pub use registry::{DockerRegistry, RegistryOptions};
pub use subnet::Subnet;
pub use tool::{Output, eventually, repository, wasmk_binary};
