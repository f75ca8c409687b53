use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wasmk_agent::{Agent, AgentConfig, AgentHandle};
use wasmk_network::{MeshIdentity, MeshServer, Network, NetworkConfig};
use wasmk_runtime::{Compiler, Runtime, RuntimeConfig};

use crate::images::NodeImages;
use crate::pods::Pods;
use crate::program::NodeRuntime;
use crate::{Identity, NodeConfig, NodeError, api, problems, tables};

/// A running node.
pub struct Node {
    address: SocketAddr,
    agent: AgentHandle,
    network: Arc<Network>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Node {
    /// Starts everything; the node registers itself at the API as soon as that answers.
    pub async fn start(config: NodeConfig, identity: &Identity) -> Result<Self, NodeError> {
        let client = client(&config, identity)?;
        let network = network(&config, identity)?;
        let runtime = Runtime::new(runtime_config(&config))?;
        let pods = Pods::new(network.clone());
        let images = Arc::new(NodeImages::open(&config.image_dir, client.clone(), config.registries.clone())?);
        let (listener, port) = reserve(&config).await?;
        let agent = Agent::start(
            agent_config(&config, port),
            client.clone(),
            images.clone(),
            Arc::new(NodeRuntime::new(runtime, pods.clone())),
            pods,
        )?;
        let mesh = MeshServer::new(&network, listener, api::node_api(agent.clone()));
        let node =
            Self { address: mesh.address(), agent, network, tasks: TaskTracker::new(), stop: CancellationToken::new() };
        node.tasks.spawn(mesh.run());
        node.tasks.spawn(tables::run(client.clone(), node.network.clone(), config.name.clone(), node.stop.clone()));
        node.tasks.spawn(tidy(images, node.stop.clone()));
        node.tasks.spawn(problems::run(client, config.name, node.network.listener_problems(), node.stop.clone()));
        Ok(node)
    }

    /// Where the node port is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resolves once the node is registered and knows its pods.
    pub async fn ready(&self) {
        self.agent.synced().await;
    }

    /// Stops containers gracefully and waits for what is in flight, each at most `drain`. The pods stay in the API.
    pub async fn shutdown(self, drain: Duration) {
        self.agent.shutdown(drain).await;
        self.network.shutdown(drain).await;
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Collects the garbage of images at the start and every hour.
async fn tidy(images: Arc<NodeImages>, stop: CancellationToken) {
    const EVERY: Duration = Duration::from_secs(3600);
    let mut ticks = tokio::time::interval(EVERY);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        images.tidy().await;
    }
}

/// The node port, open before the agent says where it is.
async fn reserve(config: &NodeConfig) -> Result<(tokio::net::TcpListener, u16), NodeError> {
    let address = SocketAddr::new(config.ip, config.port);
    let listener = tokio::net::TcpListener::bind(address).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => NodeError::PortTaken { address },
        _ => NodeError::Listen { address, source },
    })?;
    let port = listener.local_addr().map_err(|source| NodeError::Listen { address, source })?.port();
    Ok((listener, port))
}

fn client(config: &NodeConfig, identity: &Identity) -> Result<kube::Client, NodeError> {
    let failed =
        |source: Box<dyn std::error::Error + Send + Sync>| NodeError::Client { server: config.server.clone(), source };
    let kube = identity.kube_config(&config.server).map_err(|error| failed(error.into()))?;
    kube::Client::try_from(kube).map_err(|error| failed(error.into()))
}

fn network(config: &NodeConfig, identity: &Identity) -> Result<Arc<Network>, NodeError> {
    let mut network = NetworkConfig::new(&config.name, vec![config.ip]);
    let (certificate, key, authority) = (&identity.certificate_pem, &identity.key_pem, &identity.ca_pem);
    network.identity = Some(MeshIdentity::from_pem(certificate.as_bytes(), key.as_bytes(), authority.as_bytes())?);
    Ok(Network::new(network))
}

fn runtime_config(config: &NodeConfig) -> RuntimeConfig {
    let compiler = config.compiler.clone().map_or(Compiler::InProcess, Compiler::Command);
    RuntimeConfig::new(config.data_dir.join("native-code"), compiler)
}

fn agent_config(config: &NodeConfig, port: u16) -> AgentConfig {
    let mut agent = AgentConfig::new(&config.name, config.ip, &config.data_dir);
    agent.node_port = port;
    agent.pods_max = config.pods_max;
    agent.host_path_roots.clone_from(&config.host_path_roots);
    (config.adjust)(&mut agent);
    agent
}
