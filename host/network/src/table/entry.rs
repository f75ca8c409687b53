use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ServicePort as ApiPort, ServiceSpec};
use k8s_openapi::api::discovery::v1::{Endpoint as ApiEndpoint, EndpointPort, EndpointSlice};

use super::affinity::Affinity;
use super::{
    AFFINITY_DEFAULT, AppProtocol, Endpoint, FrontKind, Place, PodName, ServiceEntry, ServiceKind, ServiceName,
    ServicePort, ServiceTable, Source,
};
use crate::load::Loads;

/// What endpoints are placed by.
pub(super) struct Places<'a> {
    pub(super) table: &'a ServiceTable,
    pub(super) loads: &'a Loads,
}

pub(super) fn build_entry(
    namespace: &str,
    name: &str,
    source: Source,
    places: &Places<'_>,
    previous: Option<&ServiceEntry>,
) -> ServiceEntry {
    let name = ServiceName { namespace: namespace.into(), name: name.into() };
    let default = ServiceSpec::default();
    let spec = source.service.spec.as_ref().unwrap_or(&default);
    let ports = spec.ports.iter().flatten().filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP");
    let ports = ports.filter_map(|port| {
        let known = previous.and_then(|entry| entry.ports.iter().find(|known| known.name == port.name));
        build_port(&name, spec, port, &source.slices, places, known.map(|port| &**port)).map(Arc::new)
    });
    ServiceEntry {
        ports: ports.collect(),
        kind: kind_of(spec),
        front: front_of(spec),
        pods: pod_names(&source.slices, spec.publish_not_ready_addresses == Some(true)),
        name,
        source,
    }
}

fn kind_of(spec: &ServiceSpec) -> ServiceKind {
    if spec.type_.as_deref() == Some("ExternalName") {
        return ServiceKind::ExternalName(spec.external_name.as_deref().unwrap_or_default().into());
    }
    let one = spec.cluster_ip.iter().cloned();
    let mut ips: Vec<IpAddr> =
        spec.cluster_ips.iter().flatten().cloned().chain(one).filter_map(|ip| ip.parse().ok()).collect();
    ips.dedup();
    // "None", or not assigned yet: the pods are all there is to resolve to.
    if ips.is_empty() { ServiceKind::Headless } else { ServiceKind::ClusterIp(ips) }
}

fn front_of(spec: &ServiceSpec) -> FrontKind {
    match spec.type_.as_deref() {
        Some("NodePort") => FrontKind::NodePort,
        Some("LoadBalancer") => FrontKind::LoadBalancer,
        _ => FrontKind::None,
    }
}

fn build_port(
    service: &ServiceName,
    spec: &ServiceSpec,
    port: &ApiPort,
    slices: &[Arc<EndpointSlice>],
    places: &Places<'_>,
    previous: Option<&ServicePort>,
) -> Option<ServicePort> {
    let candidates = candidates(port, slices, places);
    let publish_not_ready = spec.publish_not_ready_addresses == Some(true);
    let endpoints = select(candidates.iter(), publish_not_ready);
    let local = candidates.iter().filter(|candidate| matches!(candidate.endpoint.place, Place::Local));
    let local_endpoints = select(local, publish_not_ready);
    let declared = AppProtocol::parse(port.app_protocol.as_deref());
    Some(ServicePort {
        service: service.clone(),
        name: port.name.clone(),
        port: port.port.try_into().ok()?,
        node_port: port.node_port.and_then(|port| port.try_into().ok()),
        protocol: protocol_of(declared, &candidates, previous),
        not_ready: candidates.len() - endpoints.len(),
        endpoints,
        local_endpoints,
        internal_local: spec.internal_traffic_policy.as_deref() == Some("Local"),
        external_local: spec.external_traffic_policy.as_deref() == Some("Local"),
        affinity: affinity_of(spec, previous),
    })
}

struct Candidate {
    endpoint: Endpoint,
    ready: bool,
    serving_terminating: bool,
}

/// The endpoints of one service port in all slices, each address once.
fn candidates(port: &ApiPort, slices: &[Arc<EndpointSlice>], places: &Places<'_>) -> Vec<Candidate> {
    let mut seen = HashSet::new();
    let mut candidates = Vec::new();
    for slice in slices {
        let slice_port = slice.ports.iter().flatten().find(|slice_port| same_name(slice_port, port));
        let Some(number) = slice_port.and_then(|slice_port| slice_port.port?.try_into().ok()) else { continue };
        let protocol = slice_port.and_then(|slice_port| slice_port.app_protocol.as_deref());
        let protocol = AppProtocol::parse(protocol.or(port.app_protocol.as_deref())).unwrap_or(AppProtocol::Tcp);
        for endpoint in &slice.endpoints {
            let candidate = candidate(endpoint, number, protocol, places);
            candidates.extend(candidate.filter(|candidate| seen.insert(candidate.endpoint.address)));
        }
    }
    candidates
}

fn same_name(slice_port: &EndpointPort, port: &ApiPort) -> bool {
    slice_port.name.as_deref().unwrap_or_default() == port.name.as_deref().unwrap_or_default()
}

fn candidate(endpoint: &ApiEndpoint, port: u16, protocol: AppProtocol, places: &Places<'_>) -> Option<Candidate> {
    let ip: IpAddr = endpoint.addresses.first()?.parse().ok()?;
    let conditions = endpoint.conditions.clone().unwrap_or_default();
    let ready = conditions.ready.unwrap_or(true);
    let terminating = conditions.terminating.unwrap_or(false);
    let place = places.place(endpoint.node_name.as_deref(), ip);
    Some(Candidate {
        ready: ready && !terminating,
        serving_terminating: terminating && conditions.serving.unwrap_or(ready),
        endpoint: Endpoint { address: SocketAddr::new(ip, port), place, protocol, load: places.loads.of(ip) },
    })
}

impl Places<'_> {
    fn place(&self, node: Option<&str>, ip: IpAddr) -> Place {
        match node {
            Some(name) if *name == *self.table.local_node => Place::Local,
            // A node that is gone from the list leaves its endpoints to their addresses' CIDR, or to the outside.
            Some(name) => match self.table.nodes.get(name) {
                Some(route) => Place::Node(route.clone()),
                None => self.table.place_of(ip),
            },
            None => self.table.place_of(ip),
        }
    }
}

/// Ready ones; if there is none, those that terminate and still serve (Kubernetes' ProxyTerminatingEndpoints).
fn select<'a>(candidates: impl Iterator<Item = &'a Candidate> + Clone, publish_not_ready: bool) -> Vec<Endpoint> {
    let ready = candidates.clone().filter(|candidate| candidate.ready || publish_not_ready);
    let ready: Vec<_> = ready.map(|candidate| candidate.endpoint.clone()).collect();
    if !ready.is_empty() {
        return ready;
    }
    let terminating = candidates.filter(|candidate| candidate.serving_terminating);
    terminating.map(|candidate| candidate.endpoint.clone()).collect()
}

/// HTTP as soon as one endpoint speaks it. Without endpoints: what the Service says, else what it was before.
fn protocol_of(declared: Option<AppProtocol>, all: &[Candidate], previous: Option<&ServicePort>) -> AppProtocol {
    let spoken = all.iter().map(|candidate| candidate.endpoint.protocol);
    let spoken = spoken.reduce(|a, b| if a.is_http() { a } else { b });
    let remembered = previous.map(|previous| previous.protocol);
    spoken.or(declared).or(remembered).unwrap_or(AppProtocol::Unknown)
}

fn affinity_of(spec: &ServiceSpec, previous: Option<&ServicePort>) -> Option<Arc<Affinity>> {
    if spec.session_affinity.as_deref() != Some("ClientIP") {
        return None;
    }
    let config = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    let seconds = config.and_then(|config| config.timeout_seconds).and_then(|seconds| seconds.try_into().ok());
    let timeout = seconds.map_or(AFFINITY_DEFAULT, Duration::from_secs);
    let known = previous.and_then(|previous| previous.affinity.clone());
    Some(known.filter(|known| known.timeout == timeout).unwrap_or_else(|| Arc::new(Affinity::new(timeout))))
}

fn pod_names(slices: &[Arc<EndpointSlice>], publish_not_ready: bool) -> Vec<PodName> {
    let endpoints = slices.iter().flat_map(|slice| &slice.endpoints);
    let shown = endpoints.filter(|endpoint| {
        publish_not_ready || endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
    });
    let mut seen = HashSet::new();
    let pods = shown.filter_map(|endpoint| {
        let ip = endpoint.addresses.first()?.parse().ok()?;
        Some(PodName { hostname: endpoint.hostname.as_deref().map(Into::into), ip })
    });
    pods.filter(|pod| seen.insert(pod.ip)).collect()
}
