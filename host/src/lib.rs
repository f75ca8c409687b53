//! A node: the agent with its runtime, its images and its network, put together and served.
//!
//! Entry points: [`Node::start`] with a [`NodeConfig`] and an [`Identity`], which [`join`] obtains from a server;
//! [`compile_guest`] is the body of the child process that turns wasm into native code.
//!
//! Tasks, all ended by [`Node::shutdown`]: the agent's and the network's own; the *tables* task, which watches
//! Services, EndpointSlices and Nodes and hands the network the whole state; the node port, which serves the mesh and
//! the node API; one that reports Service ports that could not be opened.
//!
//! Invariant: the parts below do not know each other. What the agent asks for (`Images`, `Runtime`, `Network`) is
//! implemented here over the crates that have it, and so is what the runtime asks of a guest's network.
//!
//! Deliberately absent: decisions about pods (`wasmk-agent`), routing (`wasmk-network`), limits (`wasmk-runtime`).

mod api;
mod build;
mod config;
mod container;
mod exec;
mod guest_network;
mod identity;
mod images;
mod join;
mod node;
mod pods;
mod problems;
mod program;
mod replica;
mod tables;

pub use build::{FetchImage, build_dockerfile, store_built};
pub use config::{NodeConfig, NodeError};
pub use identity::{Identity, IdentityError};
pub use images::KubeTransport;
pub use join::{JoinError, JoinRequest, join};
pub use node::Node;
pub use wasmk_build::{
    BuildError, BuiltImage, BuiltModule, DockerfileBuild, DockerfileError, InvalidPlatform, NewProjectError, Platform,
    TEMPLATES, build_project, find_dockerfile, new_project,
};
pub use wasmk_images::{
    Blobs, Digest, ImageDetails, ImageStore, LayerDetails, LoadError, Loaded, Login, LoginError, OpenStoreError,
    PullError, PushError, Reference, Registries, Registry, Removed, Step, StoredImage, check_login, load, pull_from,
    push, push_to, registry, registry_key, save, store_module,
};
pub use wasmk_runtime::{CompileError, GuestInfo, GuestKind, InspectError, compile_main as compile_guest, inspect};
