//! What the Node object says. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec, NodeStatus,
    NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as WireQuantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use wasmk_api::Quantity;
use wasmk_api::quantity::Format;

use super::system::{self, SystemInfo};
use crate::{AgentConfig, ImageSummary};

/// The kubelet's `nodeStatusMaxImages`.
const IMAGES_MAX: usize = 50;
/// The kubelet's limit of names an image.
const NAMES_MAX: usize = 5;

/// A condition, its status when all is well, and the words for that.
const CONDITIONS: [(&str, &str, &str, &str); 4] = [
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "wasmk agent has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "wasmk agent has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "wasmk agent needs no processes for pods"),
    ("Ready", "True", "KubeletReady", "wasmk agent is posting ready status"),
];

pub(super) fn labels(config: &AgentConfig) -> BTreeMap<String, String> {
    let known = [
        ("kubernetes.io/hostname", config.node_name.as_str()),
        ("kubernetes.io/os", system::operating_system()),
        ("kubernetes.io/arch", system::architecture()),
        ("wasmk.dev/runtime", "wasmtime"),
    ];
    let known = known.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    known.chain(config.labels.clone()).collect()
}

/// As the node registers.
pub(super) fn node(config: &AgentConfig, status: NodeStatus) -> Node {
    Node {
        metadata: ObjectMeta {
            name: Some(config.node_name.clone()),
            labels: Some(labels(config)),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec {
            taints: Some(config.taints.clone()).filter(|taints| !taints.is_empty()),
            ..NodeSpec::default()
        }),
        status: Some(status),
    }
}

/// `previous` keeps the times of transitions, and conditions that are others'.
pub(super) fn status(
    config: &AgentConfig,
    system: &SystemInfo,
    images: Vec<ImageSummary>,
    previous: Option<&NodeStatus>,
    now: Timestamp,
) -> NodeStatus {
    let capacity = capacity(config);
    NodeStatus {
        addresses: Some(vec![
            address("InternalIP", config.node_ip.to_string()),
            address("Hostname", config.node_name.clone()),
        ]),
        allocatable: Some(capacity.clone()),
        capacity: Some(capacity),
        conditions: Some(conditions(previous, now)),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint { port: config.node_port.into() }),
        }),
        images: Some(container_images(images)),
        node_info: Some(info(config, system)),
        ..NodeStatus::default()
    }
}

/// Whether there is something to tell, the time of the heartbeat aside.
pub(super) fn differs(ours: &NodeStatus, theirs: Option<&NodeStatus>) -> bool {
    let Some(theirs) = theirs else { return true };
    let conditions = |status: &NodeStatus| {
        let conditions = status.conditions.clone().unwrap_or_default();
        let key = conditions.into_iter().map(|condition| (condition.type_, (condition.status, condition.reason)));
        key.collect::<BTreeMap<_, _>>()
    };
    conditions(ours) != conditions(theirs)
        || ours.addresses != theirs.addresses
        || ours.allocatable != theirs.allocatable
        || ours.capacity != theirs.capacity
        || ours.daemon_endpoints != theirs.daemon_endpoints
        || ours.images.clone().unwrap_or_default() != theirs.images.clone().unwrap_or_default()
        || ours.node_info != theirs.node_info
}

fn capacity(config: &AgentConfig) -> BTreeMap<String, WireQuantity> {
    let bytes = |bytes: u64| Quantity::from_units(bytes.try_into().unwrap_or(i64::MAX), Format::BinarySi);
    let cpu = Quantity::from_milli(config.resources.cpu_millis.try_into().unwrap_or(i64::MAX));
    let all = [
        ("cpu", cpu),
        ("memory", bytes(config.resources.memory_bytes)),
        ("ephemeral-storage", bytes(config.resources.disk_bytes)),
        ("pods", Quantity::from_units(config.pods_max.into(), Format::DecimalSi)),
    ];
    all.into_iter().map(|(name, quantity)| (name.to_owned(), quantity.into())).collect()
}

fn conditions(previous: Option<&NodeStatus>, now: Timestamp) -> Vec<NodeCondition> {
    let before = || previous.and_then(|status| status.conditions.as_ref()).into_iter().flatten();
    let ours = CONDITIONS.into_iter().map(|(kind, status, reason, message)| {
        let same = before().find(|condition| condition.type_ == kind && condition.status == status);
        NodeCondition {
            type_: kind.into(),
            status: status.into(),
            reason: Some(reason.into()),
            message: Some(message.into()),
            last_heartbeat_time: Some(Time(now)),
            last_transition_time: same.and_then(|same| same.last_transition_time.clone()).or(Some(Time(now))),
        }
    });
    let others = before().filter(|condition| !CONDITIONS.iter().any(|(kind, ..)| *kind == condition.type_));
    others.cloned().chain(ours).collect()
}

fn container_images(mut images: Vec<ImageSummary>) -> Vec<ContainerImage> {
    images.sort_by(|a, b| (b.size_bytes, &a.names).cmp(&(a.size_bytes, &b.names)));
    let image = |image: ImageSummary| ContainerImage {
        names: Some(image.names.into_iter().take(NAMES_MAX).collect()),
        size_bytes: image.size_bytes.try_into().ok(),
    };
    images.into_iter().take(IMAGES_MAX).map(image).collect()
}

fn info(config: &AgentConfig, system: &SystemInfo) -> NodeSystemInfo {
    NodeSystemInfo {
        architecture: system::architecture().into(),
        operating_system: system::operating_system().into(),
        boot_id: system.boot_id.clone(),
        machine_id: system.machine_id.clone(),
        system_uuid: system.system_uuid.clone(),
        kernel_version: system.kernel_version.clone(),
        os_image: system.os_image.clone(),
        container_runtime_version: config.runtime_version.clone(),
        kubelet_version: config.kubelet_version.clone(),
        kube_proxy_version: String::new(),
        ..NodeSystemInfo::default()
    }
}

fn address(kind: &str, address: String) -> NodeAddress {
    NodeAddress { type_: kind.into(), address }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> AgentConfig {
        let mut config = AgentConfig::new("n1", [127, 0, 0, 2].into(), "/nowhere");
        config.resources = crate::Resources { cpu_millis: 2000, memory_bytes: 4 << 30, disk_bytes: 10 << 30 };
        config
    }

    #[test]
    fn a_status_differs_only_by_what_matters() {
        let (config, system) = (config(), SystemInfo::default());
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = status(&config, &system, vec![], None, at(10));
        let second = status(&config, &system, vec![], Some(&first), at(20));
        assert!(differs(&first, None) && !differs(&second, Some(&first)));
        let since = |status: &NodeStatus| status.conditions.as_ref().unwrap()[3].last_transition_time.clone();
        assert_eq!(since(&first), since(&second));
        let image = ImageSummary { names: vec!["hello:v1".into()], size_bytes: 5 };
        assert!(differs(&status(&config, &system, vec![image], Some(&first), at(30)), Some(&first)));
    }

    #[test]
    fn a_node_that_was_given_up_is_ready_again() {
        let (config, system) = (config(), SystemInfo::default());
        let mut theirs = status(&config, &system, vec![], None, Timestamp::UNIX_EPOCH);
        let ready = theirs.conditions.as_mut().unwrap().last_mut().unwrap();
        (ready.status, ready.reason) = ("Unknown".into(), Some("NodeStatusUnknown".into()));
        let now = Timestamp::from_second(99).unwrap();
        let ours = status(&config, &system, vec![], Some(&theirs), now);
        assert!(differs(&ours, Some(&theirs)));
        assert_eq!(ours.conditions.unwrap().last().unwrap().last_transition_time, Some(Time(now)));
    }

    #[test]
    fn quantities_read_well() {
        let capacity = capacity(&config());
        assert_eq!(
            (capacity["cpu"].0.as_str(), capacity["memory"].0.as_str(), capacity["pods"].0.as_str()),
            ("2", "4Gi", "4k")
        );
    }
}
