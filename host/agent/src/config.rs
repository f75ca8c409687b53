use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::Taint;

use crate::Clock;
use crate::lifecycle::Settings;
use crate::logs::LogConfig;
use crate::node::Resources;

/// Settings of an [`Agent`](crate::Agent).
#[derive(Clone, Debug)]
pub struct AgentConfig {
    pub node_name: String,
    /// Where other nodes and the control plane reach this one.
    pub node_ip: IpAddr,
    /// The node port: node API and mesh.
    pub node_port: u16,
    /// Everything that the agent writes is below it: volumes, logs, checkpoints.
    pub data_dir: PathBuf,
    /// What the node has.
    pub resources: Resources,
    /// Pods at once.
    pub pods_max: u32,
    /// Besides the well-known ones.
    pub labels: BTreeMap<String, String>,
    /// Set when the node registers for the first time.
    pub taints: Vec<Taint>,
    /// `hostPath` volumes are refused outside of these directories.
    pub host_path_roots: Vec<PathBuf>,
    /// The advertised Kubernetes version, as `kubectl get nodes` shows it.
    pub kubelet_version: String,
    /// `name://version`.
    pub runtime_version: String,
    /// How often the Lease is renewed.
    pub lease_interval: Duration,
    /// After how long without a renewal the node counts as gone.
    pub lease_duration: Duration,
    /// A status that did not change is still reported this often.
    pub node_status_interval: Duration,
    /// Pods that were running before are started from the checkpoint if the server has not answered by then.
    pub offline_start_after: Duration,
    pub logs: LogConfig,
    pub lifecycle: Settings,
    pub clock: Clock,
}

impl AgentConfig {
    pub fn new(node_name: impl Into<String>, node_ip: IpAddr, data_dir: impl Into<PathBuf>) -> Self {
        let data_dir = data_dir.into();
        Self {
            node_name: node_name.into(),
            node_ip,
            node_port: 10250,
            resources: Resources::detect(&data_dir),
            data_dir,
            pods_max: 4000,
            labels: BTreeMap::new(),
            taints: Vec::new(),
            host_path_roots: Vec::new(),
            kubelet_version: concat!("v1.34.0+wasmk-", env!("CARGO_PKG_VERSION")).to_owned(),
            runtime_version: "wasmtime://48".to_owned(),
            lease_interval: Duration::from_secs(1),
            lease_duration: Duration::from_secs(4),
            node_status_interval: Duration::from_secs(300),
            offline_start_after: Duration::from_secs(3),
            logs: LogConfig::default(),
            lifecycle: Settings::default(),
            clock: Clock::system(),
        }
    }
}
