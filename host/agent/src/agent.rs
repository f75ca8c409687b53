//! The agent's face, and the task that knows which pods this node has.

mod task;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ipnet::Ipv4Net;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::addresses::Addresses;
use crate::events::Recorder;
use crate::logs::{LogError, LogOptions, LogOwner, LogStream, Logs};
use crate::node::{NodeTask, Remembered};
use crate::parts::{Parts, Roster};
use crate::programs::Programs;
use crate::report::Reports;
use crate::services::Services;
use crate::sessions::{self, ContainerQuery, PodConnection, SessionError, Sessions, Slot};
use crate::sources::SourceCache;
use crate::tokens::TokenCache;
use crate::volumes::PodDirs;
use crate::{AgentConfig, Images, Network, NodeUsage, PodUid, Runtime, files};
use task::AgentTask;

/// The kubelet of a node.
pub struct Agent;

/// Which log is wanted. With a uid, only of that very pod.
#[derive(Clone, Debug)]
pub struct LogQuery {
    pub namespace: String,
    pub pod: String,
    pub uid: Option<PodUid>,
    pub container: String,
    pub options: LogOptions,
}

/// Why the agent did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartAgentError {
    #[error("create directory {path}")]
    DataDir {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// A running agent. Clones are cheap; dropping them all does not stop it.
#[derive(Clone)]
pub struct AgentHandle {
    parts: Arc<Parts>,
    synced: watch::Receiver<bool>,
    registered: watch::Receiver<bool>,
    /// How long the drain may take, once the node is to stop.
    stop: watch::Sender<Option<Duration>>,
    tasks: Arc<Mutex<Option<Tasks>>>,
}

struct Tasks {
    agent: JoinHandle<()>,
    node: JoinHandle<()>,
}

impl Agent {
    /// Spawns the agent's tasks on the current tokio runtime.
    pub fn start(
        config: AgentConfig,
        client: kube::Client,
        images: Arc<dyn Images>,
        runtime: Arc<dyn Runtime>,
        network: Arc<dyn Network>,
    ) -> Result<AgentHandle, StartAgentError> {
        let data = &config.data_dir;
        for dir in [data.join("pods"), data.join("logs")] {
            files::create_private_dir(&dir).map_err(|source| StartAgentError::DataDir { path: dir, source })?;
        }
        let remembered = Remembered::load(data);
        let recorder = Recorder::spawn(client.clone(), config.node_name.as_str().into(), config.clock.clone());
        let parts = Arc::new(Parts {
            network,
            programs: Programs::new(images.clone(), runtime),
            sources: SourceCache::new(client.clone(), data.join("objects")),
            tokens: TokenCache::new(client.clone(), config.clock.clone()),
            services: Services::spawn(client.clone()),
            recorder,
            reports: Reports::spawn(client.clone()),
            addresses: Addresses::new(remembered.pod_cidr),
            logs: Arc::new(Logs::new(data.join("logs"), config.logs)),
            dirs: PodDirs::new(data.join("pods")),
            roster: Roster::default(),
            sessions: Sessions::new(),
            client,
            config,
        });
        let (stop, stopping) = watch::channel(None);
        let (is_registered, registered) = watch::channel(false);
        let (is_synced, synced) = watch::channel(false);
        let node = tokio::spawn(NodeTask::new(parts.clone(), images, is_registered, stopping.clone()).run());
        let agent = tokio::spawn(AgentTask::new(parts.clone(), is_synced, stopping).run());
        let tasks = Arc::new(Mutex::new(Some(Tasks { agent, node })));
        Ok(AgentHandle { parts, synced, registered, stop, tasks })
    }
}

impl AgentHandle {
    /// Resolves when the node is registered, has its addresses, and its pods were listed once.
    pub async fn synced(&self) {
        // Errors mean that the agent has stopped.
        let _ = self.registered.clone().wait_for(|registered| *registered).await;
        let _ = self.pod_cidr().wait_for(Option::is_some).await;
        let _ = self.synced.clone().wait_for(|synced| *synced).await;
    }

    /// The node's range of pod addresses, once the control plane has given it one.
    pub fn pod_cidr(&self) -> watch::Receiver<Option<Ipv4Net>> {
        self.parts.addresses.subscribe()
    }

    /// Output of a container of this node.
    pub fn logs(&self, query: LogQuery) -> Result<LogStream, LogError> {
        let LogQuery { namespace, pod, uid, container, options } = query;
        let Some((uid, containers)) = self.parts.roster.find(&namespace, &pod, uid.as_ref()) else {
            return Err(LogError::NotFound(format!("pod \"{namespace}/{pod}\" is not on this node")));
        };
        if !containers.contains(&container) {
            return Err(LogError::NotFound(format!("container {container:?} is not in pod {pod:?}")));
        }
        let owner = LogOwner { namespace: &namespace, name: &pod, uid: &uid };
        self.parts.logs.read(owner, &container, options)
    }

    /// A place at a running container, to run a command beside it or to attach to it.
    pub fn enter(&self, query: &ContainerQuery) -> Result<Slot, SessionError> {
        sessions::enter(&self.parts, query)
    }

    /// Opens a stream to a port of a pod of this node. With a uid, only of that very pod.
    pub async fn connect(
        &self,
        namespace: &str,
        pod: &str,
        uid: Option<&PodUid>,
        port: u16,
    ) -> Result<PodConnection, SessionError> {
        sessions::connect(&self.parts, namespace, pod, uid, port).await
    }

    /// What the node's containers use now.
    pub fn usage(&self) -> NodeUsage {
        self.parts.roster.usage()
    }

    /// Stops every container gracefully, at most `drain` long, and all tasks. The pods stay in the API: the next agent
    /// of this node starts them again.
    pub async fn shutdown(&self, drain: Duration) {
        self.stop.send_replace(Some(drain));
        let tasks = self.tasks.lock().expect("no panic while held").take();
        if let Some(tasks) = tasks {
            let _ = tasks.agent.await;
            let _ = tasks.node.await;
        }
    }
}
