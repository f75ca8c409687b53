use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Affinity, Toleration, TopologySpreadConstraint};
use serde::Deserialize;
use serde_json::Value;
use wasmk_api::{Object, Snapshot};

use crate::affinity::NodeChoice;
use crate::node::HostPort;
use crate::resources::Resources;
use crate::rules::Rules;

/// What makes two pods the same to placement. Borrowed from the pods, so that grouping copies nothing.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Likeness<'a> {
    namespace: &'a str,
    owner: Option<&'a str>,
    labels: &'a Value,
    fields: [&'a Value; 9],
}

/// Pods that ask for the same, and what they ask for.
pub(crate) struct Group {
    pub(crate) pods: Vec<Arc<Object>>,
    pub(crate) request: Resources,
    pub(crate) ports: Vec<HostPort>,
    pub(crate) tolerations: Vec<Toleration>,
    pub(crate) choice: NodeChoice,
    pub(crate) images: BTreeSet<String>,
    pub(crate) owner: Option<Arc<str>>,
    pub(crate) rules: Rules,
}

impl<'a> Likeness<'a> {
    pub(crate) fn new(pod: &'a Object) -> Self {
        let spec = &pod.value()["spec"];
        let fields = [
            "containers",
            "initContainers",
            "nodeSelector",
            "affinity",
            "tolerations",
            "topologySpreadConstraints",
            "overhead",
            "hostNetwork",
            "priority",
        ];
        Self {
            namespace: pod.namespace(),
            owner: pod.controller_uid(),
            labels: &pod.metadata()["labels"],
            fields: fields.map(|field| &spec[field]),
        }
    }
}

impl Group {
    /// `pods` are alike, and there is at least one.
    pub(crate) fn new(pods: Vec<Arc<Object>>, snapshot: &Snapshot) -> Self {
        let pod = &pods[0];
        let spec = &pod.value()["spec"];
        let affinity = Affinity::deserialize(&spec["affinity"]).unwrap_or_default();
        let spread =
            Vec::<TopologySpreadConstraint>::deserialize(&spec["topologySpreadConstraints"]).unwrap_or_default();
        let containers = spec["containers"].as_array().into_iter().flatten();
        Self {
            request: Resources::requested_by(pod),
            ports: HostPort::of_pod(pod),
            tolerations: Vec::<Toleration>::deserialize(&spec["tolerations"]).unwrap_or_default(),
            choice: NodeChoice::new(&spec["nodeSelector"], affinity.node_affinity.as_ref()),
            images: containers.filter_map(|container| container["image"].as_str()).map(str::to_owned).collect(),
            owner: pod.controller_uid().map(Arc::from),
            rules: Rules::new(pod, &affinity, &spread, snapshot),
            pods,
        }
    }
}

/// Higher goes first.
pub(crate) fn priority(pod: &Object) -> i64 {
    pod.value()["spec"]["priority"].as_i64().unwrap_or(0)
}
