use axum::Json;
use axum::extract::State;
use wasmk_agent::AgentHandle;
use wasmk_api::usage::{ContainerUsage, NodeUsage, PodUsage};

/// What `metrics.k8s.io` is made of.
pub(super) async fn usage(State(agent): State<AgentHandle>) -> Json<NodeUsage> {
    let container = |(name, usage): (String, wasmk_agent::Usage)| ContainerUsage {
        name,
        cpu_nanos: usage.cpu_nanos,
        memory_bytes: usage.memory_bytes,
    };
    let pod = |pod: wasmk_agent::PodUsage| PodUsage {
        namespace: pod.namespace,
        name: pod.name,
        uid: pod.uid.0,
        containers: pod.containers.into_iter().map(container).collect(),
    };
    Json(NodeUsage { pods: agent.usage().pods.into_iter().map(pod).collect() })
}
