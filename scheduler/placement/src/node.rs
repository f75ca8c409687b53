use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Taint;
use serde::Deserialize;
use serde_json::Value;
use wasmk_api::Object;

use crate::labels::LabelMap;
use crate::resources::Resources;

/// What placement knows of a node, apart from its pods.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Node {
    pub(crate) name: Arc<str>,
    pub(crate) labels: LabelMap,
    pub(crate) ready: bool,
    pub(crate) unschedulable: bool,
    pub(crate) taints: Vec<Taint>,
    pub(crate) allocatable: Resources,
    pub(crate) images: BTreeSet<String>,
}

/// A port that a pod takes of its node's own address. An empty address is every address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct HostPort {
    pub(crate) protocol: String,
    pub(crate) port: i64,
    pub(crate) address: String,
}

impl Node {
    pub(crate) fn new(object: &Object) -> Self {
        let (spec, status) = (&object.value()["spec"], &object.value()["status"]);
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let mut ready = conditions.filter(|condition| condition["type"] == "Ready");
        let images = status["images"].as_array().into_iter().flatten();
        let names = images.flat_map(|image| image["names"].as_array().into_iter().flatten());
        Self {
            name: object.key().name.clone(),
            labels: LabelMap::from_json(&object.metadata()["labels"]),
            ready: ready.any(|condition| condition["status"] == "True") && !object.is_deleting(),
            unschedulable: spec["unschedulable"] == true,
            taints: Vec::<Taint>::deserialize(&spec["taints"]).unwrap_or_default(),
            allocatable: Resources::from_list(&status["allocatable"]),
            images: names.filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }
}

impl HostPort {
    pub(crate) fn of_pod(pod: &Object) -> Vec<Self> {
        let spec = &pod.value()["spec"];
        let containers = spec["containers"].as_array().into_iter().flatten();
        let ports = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
        let host_network = spec["hostNetwork"] == true;
        ports
            .filter_map(|port| {
                let number = port["hostPort"].as_i64().filter(|number| *number > 0);
                let number = number.or(port["containerPort"].as_i64().filter(|_| host_network))?;
                let address = port["hostIP"].as_str().filter(|address| !matches!(*address, "0.0.0.0" | "::"));
                Some(Self {
                    protocol: port["protocol"].as_str().unwrap_or("TCP").to_owned(),
                    port: number,
                    address: address.unwrap_or_default().to_owned(),
                })
            })
            .collect()
    }

    pub(crate) fn conflicts(&self, other: &Self) -> bool {
        self.port == other.port
            && self.protocol == other.protocol
            && (self.address.is_empty() || other.address.is_empty() || self.address == other.address)
    }
}
