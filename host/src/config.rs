use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use wasmk_agent::{AgentConfig, StartAgentError};
use wasmk_images::{OpenStoreError, Registries};
use wasmk_network::IdentityError;
use wasmk_runtime::RuntimeError;

/// Everything that a node is told at its start.
pub struct NodeConfig {
    pub name: String,
    /// Where the control plane and other nodes reach this one; NodePorts open here too.
    pub ip: IpAddr,
    /// The node port: mesh and node API. 0 takes a free one.
    pub port: u16,
    /// Logs, volumes, native code and the node's identity live below it.
    pub data_dir: PathBuf,
    /// Where images lie: content-addressed, shared by whoever uses the same directory.
    pub image_dir: PathBuf,
    /// How registries outside of the cluster are reached.
    pub registries: Registries,
    /// `https://host:port` of the API.
    pub server: String,
    /// Runs [`compile_guest`](crate::compile_guest) on the two paths appended; `None` compiles in this process.
    pub compiler: Option<Vec<OsString>>,
    /// Pods at once.
    pub pods_max: u32,
    /// `hostPath` volumes are refused outside of these directories.
    pub host_path_roots: Vec<PathBuf>,
    /// Changes to the agent's other settings.
    pub adjust: fn(&mut AgentConfig),
}

/// The node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error("node port {} of {} is taken: stop what listens there (another wasmk?), or choose another by --node-port", address.port(), address.ip())]
    PortTaken { address: SocketAddr },
    #[error("listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("the node's certificate cannot be used")]
    Identity(#[from] IdentityError),
    #[error("connect to the API at {server}")]
    Client {
        server: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Images(#[from] OpenStoreError),
    #[error("start the agent")]
    Agent(#[from] StartAgentError),
}
