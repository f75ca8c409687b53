use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::logs::{LogError, LogOptions, LogStream, Logs};
use crate::{AgentConfig, Images, Network, NodeUsage, PodUid, Runtime};

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
    #[error("create {path}")]
    DataDir {
        path: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// A running agent. Clones are cheap; dropping them all does not stop it.
#[derive(Clone)]
pub struct AgentHandle {
    logs: Arc<Logs>,
    synced: watch::Receiver<bool>,
}

impl Agent {
    /// Spawns the agent's tasks on the current tokio runtime.
    pub fn start(
        config: AgentConfig,
        _client: kube::Client,
        _images: Arc<dyn Images>,
        _runtime: Arc<dyn Runtime>,
        _network: Arc<dyn Network>,
    ) -> Result<AgentHandle, StartAgentError> {
        let logs = Arc::new(Logs::new(config.data_dir.join("logs"), config.logs));
        let (_, synced) = watch::channel(false);
        Ok(AgentHandle { logs, synced })
    }
}

impl AgentHandle {
    /// Resolves when the node is registered and its pods were listed once.
    pub async fn synced(&self) {
        let _ = self.synced.clone().wait_for(|synced| *synced).await;
    }

    pub fn logs(&self, query: LogQuery) -> Result<LogStream, LogError> {
        let uid = query.uid.expect("resolved");
        let owner = crate::logs::LogOwner { namespace: &query.namespace, name: &query.pod, uid: &uid };
        self.logs.read(owner, &query.container, query.options)
    }

    /// What the node's containers use now.
    pub fn usage(&self) -> NodeUsage {
        NodeUsage::default()
    }

    /// Stops every container gracefully, at most `drain` long, and all tasks. The pods stay in the API: the next agent
    /// of this node starts them again.
    pub async fn shutdown(&self, _drain: Duration) {}
}
