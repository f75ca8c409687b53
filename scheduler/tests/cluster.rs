//! What the tests share: a server, clients, a node that is kept alive, and waiting for conditions.

use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::NamespaceResourceScope;
use kube::runtime::WatchStreamExt;
use kube::{Api, Client, Config, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use wasmk_scheduler::{Server, ServerConfig};

/// Nothing here takes a second on an idle machine.
const DEADLINE: Duration = Duration::from_secs(30);
/// Well within the four seconds after which a node counts as lost.
const LEASE_INTERVAL: Duration = Duration::from_millis(500);

pub(crate) struct Cluster {
    pub(crate) server: Server,
    /// Over TLS, with the kubeconfig that the server wrote.
    pub(crate) client: Client,
}

impl Cluster {
    pub(crate) async fn start(directory: &TempDir) -> Self {
        let server = Server::start(ServerConfig::local(directory.path(), 0)).await.expect("the server starts");
        let client = client(server.kubeconfig_path()).await;
        Self { server, client }
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        self.namespaced()
    }

    pub(crate) fn namespaced<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), "default")
    }

    /// A node that says it is ready, and goes on saying so until the handle is dropped.
    pub(crate) async fn add_node(&self, name: &str) -> LivingNode {
        let resources = json!({"cpu": "4", "memory": "4Gi", "pods": "100", "ephemeral-storage": "10Gi"});
        let node: Node = object(json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            "status": {
                "capacity": resources,
                "allocatable": resources,
                "conditions": [{
                    "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "ready",
                    "lastHeartbeatTime": Timestamp::now().to_string(), "lastTransitionTime": Timestamp::now().to_string(),
                }],
            },
        }));
        let renewals = renew(Api::namespaced(self.client.clone(), "kube-node-lease"), name.to_owned()).await;
        Api::<Node>::all(self.client.clone())
            .create(&PostParams::default(), &node)
            .await
            .expect("the node is accepted");
        renewals
    }

    pub(crate) async fn create_deployment(&self, name: &str, replicas: i32) -> Deployment {
        let deployment = deployment(name, replicas, json!({"cpu": "10m"}));
        self.namespaced().create(&PostParams::default(), &deployment).await.expect("the Deployment is accepted")
    }
}

/// Stops the renewals when dropped.
pub(crate) struct LivingNode {
    renewals: JoinHandle<()>,
}

impl Drop for LivingNode {
    fn drop(&mut self) {
        self.renewals.abort();
    }
}

async fn renew(leases: Api<Lease>, name: String) -> LivingNode {
    let beat = move || {
        let (leases, name) = (leases.clone(), name.clone());
        async move {
            let time =
                jiff::fmt::temporal::DateTimePrinter::new().precision(Some(6)).timestamp_to_string(&Timestamp::now());
            let lease = json!({
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": name},
                "spec": {"holderIdentity": name, "leaseDurationSeconds": 4, "renewTime": time},
            });
            leases.patch(&name, &PatchParams::apply("test-node").force(), &Patch::Apply(&lease)).await
        }
    };
    beat().await.expect("the lease is accepted");
    let renewals = tokio::spawn(async move {
        let mut interval = tokio::time::interval(LEASE_INTERVAL);
        loop {
            interval.tick().await;
            // A server that restarts misses a beat or two.
            let _ = beat().await;
        }
    });
    LivingNode { renewals }
}

pub(crate) async fn client(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("the kubeconfig is there");
    let config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("it is complete");
    Client::try_from(config).expect("it makes a client")
}

pub(crate) fn object<K: DeserializeOwned>(value: serde_json::Value) -> K {
    serde_json::from_value(value).expect("the test's own object")
}

pub(crate) fn deployment(name: &str, replicas: i32, requests: serde_json::Value) -> Deployment {
    object(json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "hello:v1", "resources": {"requests": requests}}]},
            },
        },
    }))
}

/// Waits until all objects together satisfy `is_so`, and returns them. Woken by a watch, not by time.
#[track_caller]
pub(crate) fn eventually<K>(
    api: &Api<K>,
    what: &str,
    is_so: impl Fn(&[K]) -> bool + Send,
) -> impl Future<Output = Vec<K>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let api = api.clone();
    async move {
        let found = async {
            let changes = kube::runtime::watcher(api.clone(), kube::runtime::watcher::Config::default());
            let mut changes = std::pin::pin!(changes.default_backoff());
            loop {
                let objects = api.list(&Default::default()).await.expect("the list is answered").items;
                if is_so(&objects) {
                    return objects;
                }
                changes.next().await;
            }
        };
        match tokio::time::timeout(DEADLINE, found).await {
            Ok(objects) => objects,
            Err(_) => panic!("{what}: not within {DEADLINE:?}; now {:#?}", api.list(&Default::default()).await),
        }
    }
}
