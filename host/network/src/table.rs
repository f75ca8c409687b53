use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::load::Load;

mod affinity;
mod build;
mod entry;
mod names;
mod pick;
#[cfg(test)]
mod tests;

pub use build::TableInput;
pub use names::Resolution;
pub use pick::NoEndpoint;
pub(crate) use pick::{Frontend, Tried, pick_of};

use affinity::Affinity;

/// What one node must know to reach another: its mesh is at `ip:port`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeAddress {
    pub name: String,
    pub ip: IpAddr,
    /// `Node.status.daemonEndpoints.kubeletEndpoint.Port`.
    pub port: u16,
    /// `Node.spec.podCIDR`; absent until the control plane has assigned it.
    pub pod_cidr: Option<IpNet>,
}

/// Everything that routing needs, immutable: built from Services, EndpointSlices and Nodes by [`ServiceTable::build`].
#[derive(Default)]
pub struct ServiceTable {
    local_node: Arc<str>,
    services: HashMap<Arc<str>, HashMap<Arc<str>, Arc<ServiceEntry>>>,
    by_cluster_ip: HashMap<IpAddr, Arc<ServiceEntry>>,
    fronts: HashMap<u16, Front>,
    claims: Vec<Claim>,
    nodes: HashMap<Arc<str>, Arc<NodeRoute>>,
    cidrs: Vec<(IpNet, Arc<NodeRoute>)>,
    local_cidr: Option<IpNet>,
    cluster_domain: Arc<str>,
}

impl ServiceTable {
    pub fn service(&self, namespace: &str, name: &str) -> Option<&Arc<ServiceEntry>> {
        self.services.get(namespace)?.get(name)
    }

    pub fn by_cluster_ip(&self, ip: IpAddr) -> Option<&Arc<ServiceEntry>> {
        self.by_cluster_ip.get(&ip)
    }

    pub fn by_cluster_address(&self, address: SocketAddr) -> Option<&Arc<ServicePort>> {
        self.by_cluster_ip.get(&address.ip())?.port(address.port())
    }

    /// The NodePort or LoadBalancer port that this node listens on.
    pub fn front(&self, port: u16) -> Option<&Arc<ServicePort>> {
        self.fronts.get(&port).map(|front| &front.port)
    }

    pub(crate) fn fronts(&self) -> impl Iterator<Item = (u16, &Front)> {
        self.fronts.iter().map(|(port, front)| (*port, front))
    }

    /// Ports that were asked for and cannot be given.
    pub(crate) fn claims(&self) -> &[Claim] {
        &self.claims
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Arc<NodeRoute>> {
        self.nodes.values()
    }

    /// Where the pod with this address lives, by the nodes' pod CIDRs.
    pub(crate) fn place_of(&self, ip: IpAddr) -> Place {
        if self.local_cidr.is_some_and(|cidr| cidr.contains(&ip)) {
            return Place::Local;
        }
        let node = self.cidrs.iter().find(|(cidr, _)| cidr.contains(&ip));
        node.map_or(Place::Outside, |(_, route)| Place::Node(route.clone()))
    }
}

/// `namespace/name` of a Service.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServiceName {
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One Service with its endpoints.
pub struct ServiceEntry {
    pub name: ServiceName,
    pub kind: ServiceKind,
    ports: Vec<Arc<ServicePort>>,
    /// The pods behind it, for headless names; `publishNotReadyAddresses` counts the unready ones in.
    pods: Vec<PodName>,
    front: FrontKind,
    source: Source,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServiceKind {
    ClusterIp(Vec<IpAddr>),
    /// The name stands for the pods themselves.
    Headless,
    /// The name stands for another name.
    ExternalName(Arc<str>),
}

/// How the service is reached from outside of the cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FrontKind {
    None,
    NodePort,
    LoadBalancer,
}

/// The objects an entry was computed from: the same ones give the same entry, so it is kept.
struct Source {
    service: Arc<Service>,
    slices: Vec<Arc<EndpointSlice>>,
}

struct PodName {
    hostname: Option<Arc<str>>,
    ip: IpAddr,
}

impl ServiceEntry {
    pub fn ports(&self) -> &[Arc<ServicePort>] {
        &self.ports
    }

    pub fn port(&self, port: u16) -> Option<&Arc<ServicePort>> {
        self.ports.iter().find(|candidate| candidate.port == port)
    }

    /// What the name resolves to: the cluster IPs, or a headless service's pods.
    pub fn addresses(&self) -> Vec<IpAddr> {
        match &self.kind {
            ServiceKind::ClusterIp(ips) => ips.clone(),
            ServiceKind::Headless => self.pods.iter().map(|pod| pod.ip).collect(),
            ServiceKind::ExternalName(_) => Vec::new(),
        }
    }

    pub(crate) fn pod(&self, hostname: &str) -> Option<IpAddr> {
        self.pods.iter().find(|pod| pod.hostname.as_deref() == Some(hostname)).map(|pod| pod.ip)
    }
}

/// One port of a Service: who answers there.
pub struct ServicePort {
    pub service: ServiceName,
    pub name: Option<String>,
    pub port: u16,
    pub node_port: Option<u16>,
    pub protocol: AppProtocol,
    /// Ready endpoints; when none is ready, those that still serve while terminating.
    endpoints: Vec<Endpoint>,
    /// The same choice among this node's endpoints alone, for the `Local` traffic policies.
    local_endpoints: Vec<Endpoint>,
    /// Endpoints that exist and are not routed to.
    not_ready: usize,
    internal_local: bool,
    external_local: bool,
    affinity: Option<Arc<Affinity>>,
}

impl ServicePort {
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }
}

/// Who speaks what on a port: decides between balancing requests and balancing connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppProtocol {
    /// HTTP/1.1 and, towards handlers, HTTP/2: balanced per request.
    Http,
    /// `kubernetes.io/h2c`: as [`AppProtocol::Http`], with HTTP/2 towards TCP backends.
    H2c,
    /// Balanced per connection.
    Tcp,
    /// Nothing says so yet: there is no endpoint and the Service does not tell.
    Unknown,
}

impl AppProtocol {
    fn parse(text: Option<&str>) -> Option<Self> {
        match text? {
            "http" | "kubernetes.io/ws" => Some(Self::Http),
            "kubernetes.io/h2c" | "grpc" => Some(Self::H2c),
            _ => Some(Self::Tcp),
        }
    }

    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::H2c)
    }
}

/// One pod behind a port.
#[derive(Clone)]
pub struct Endpoint {
    pub address: SocketAddr,
    pub place: Place,
    pub protocol: AppProtocol,
    pub(crate) load: Arc<Load>,
}

/// Where an endpoint runs, seen from this node.
#[derive(Clone)]
pub enum Place {
    Local,
    Node(Arc<NodeRoute>),
    /// An address that belongs to no node (a hand-written EndpointSlice): dialled directly, under the egress policy.
    Outside,
}

/// Another node, and whether its connection broke.
pub struct NodeRoute {
    pub name: Arc<str>,
    pub address: SocketAddr,
    pod_cidr: Option<IpNet>,
    down: AtomicBool,
}

impl NodeRoute {
    pub fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
    }
}

pub(crate) struct Front {
    pub(crate) port: Arc<ServicePort>,
    pub(crate) kind: FrontKind,
}

/// A port that a Service wants and this node cannot give, whatever its sockets say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Claim {
    pub(crate) service: ServiceName,
    pub(crate) port: u16,
    pub(crate) why: ClaimProblem,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ClaimProblem {
    TakenBy(ServiceName),
    Protocol(String),
}

/// `sessionAffinity: ClientIP` without a timeout of its own (Kubernetes' default).
const AFFINITY_DEFAULT: Duration = Duration::from_secs(10_800);
