use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use serde_json::{Value, json};
use wasmk_agent::*;

use crate::api::FakeApi;
use crate::fakes::{FakeImages, FakeNetwork, FakeRuntime};

/// One node with all around it. Agents come and go; the rest stays.
pub(crate) struct World {
    pub(crate) api: FakeApi,
    pub(crate) images: Arc<FakeImages>,
    pub(crate) runtime: FakeRuntime,
    pub(crate) network: Arc<FakeNetwork>,
    pub(crate) data: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            api: FakeApi::new(),
            images: Arc::default(),
            runtime: FakeRuntime::new(),
            network: Arc::new(FakeNetwork::new()),
            data: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn config(&self) -> AgentConfig {
        let mut config = AgentConfig::new("n1", [127, 0, 0, 2].into(), self.data.path());
        let quick = Backoff { initial: Duration::from_millis(50), max: Duration::from_millis(200) };
        config.lifecycle.image_backoff = quick;
        config.lifecycle.setup_backoff = quick;
        config.lifecycle.crash_backoff = quick;
        config.lifecycle.drain_settle = Duration::from_millis(1);
        config.lifecycle.size_check = Duration::from_millis(20);
        config.lease_interval = Duration::from_millis(20);
        config.offline_start_after = Duration::from_millis(100);
        config
    }

    pub(crate) async fn agent(&self) -> AgentHandle {
        let agent = self.agent_with(self.config());
        agent.synced().await;
        agent
    }

    pub(crate) fn agent_with(&self, config: AgentConfig) -> AgentHandle {
        let (images, runtime) = (self.images.clone(), Arc::new(self.runtime.clone()));
        Agent::start(config, self.api.client(), images, runtime, self.network.clone()).unwrap()
    }

    /// A pod of this node.
    pub(crate) fn pod(&self, name: &str, mut spec: Value) {
        spec["nodeName"] = json!("n1");
        self.api.put(
            "pods",
            json!({"metadata": {"name": name, "namespace": "default", "labels": {"app": name}}, "spec": spec}),
        );
    }

    /// Waits until the pod's status is so.
    pub(crate) async fn pod_until(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        self.api.until(&format!("{name} {what}"), move |api| api.get("pods", name).filter(&holds)).await
    }

    pub(crate) async fn ready(&self, name: &str) -> Value {
        self.pod_until(name, "is ready", |pod| condition(pod, "Ready") == "True").await
    }

    /// Waits for an event and answers its message.
    pub(crate) async fn event(&self, reason: &'static str, part: &'static str) -> String {
        let find = move |api: &FakeApi| {
            let message = |event: &Value| event["message"].as_str().unwrap().to_owned();
            let is_meant = |event: &&Value| event["reason"] == reason && message(event).contains(part);
            api.list("events").iter().find(is_meant).map(message)
        };
        self.api.until(&format!("event {reason} {part}"), find).await
    }
}

pub(crate) fn condition(pod: &Value, kind: &str) -> String {
    let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|condition| condition["type"] == kind);
    found.map(|condition| condition["status"].as_str().unwrap().to_owned()).unwrap_or_default()
}

pub(crate) fn container(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]
}

pub(crate) async fn logs(agent: &AgentHandle, pod: &str, options: LogOptions) -> Result<String, LogError> {
    let query = LogQuery { namespace: "default".into(), pod: pod.into(), uid: None, container: "c".into(), options };
    let chunks: Vec<bytes::Bytes> = agent.logs(query)?.try_collect().await.unwrap();
    Ok(String::from_utf8(chunks.concat()).unwrap())
}
