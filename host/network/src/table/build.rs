use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::entry::{Places, build_entry};
use super::{
    Claim, ClaimProblem, Front, FrontKind, NodeAddress, NodeRoute, ServiceEntry, ServiceKind, ServiceTable, Source,
};
use crate::load::Loads;

/// The whole desired state that a table is computed from.
pub struct TableInput<'a> {
    pub local_node: &'a str,
    /// This node's pods live here; `None` until it is assigned.
    pub local_cidr: Option<IpNet>,
    /// `cluster.local`.
    pub cluster_domain: &'a str,
    pub services: &'a [Arc<Service>],
    pub slices: &'a [Arc<EndpointSlice>],
    pub nodes: &'a [NodeAddress],
    pub loads: &'a Loads,
    /// The table in use: what did not change is taken from it, and so are session affinities and nodes' health.
    pub previous: Option<&'a ServiceTable>,
}

/// The label by which an EndpointSlice names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

impl ServiceTable {
    /// Computes the table: no I/O. O(services + slices), plus O(endpoints) for services whose Service or
    /// EndpointSlices are not the very same objects as in the previous table.
    pub fn build(input: &TableInput<'_>) -> Self {
        let nodes = build_nodes(input);
        let same_nodes = input.previous.is_some_and(|previous| is_same_nodes(&previous.nodes, &nodes));
        let same_cidr = input.previous.is_some_and(|previous| previous.local_cidr == input.local_cidr);
        let mut table = Self {
            local_node: input.local_node.into(),
            cidrs: nodes.values().filter_map(|node| Some((node.pod_cidr?, node.clone()))).collect(),
            nodes,
            local_cidr: input.local_cidr,
            cluster_domain: input.cluster_domain.to_ascii_lowercase().into(),
            ..Self::default()
        };
        let mut slices = group_slices(input.slices);
        for service in input.services {
            let metadata = &service.metadata;
            let (Some(namespace), Some(name)) = (metadata.namespace.as_deref(), metadata.name.as_deref()) else {
                continue;
            };
            let source =
                Source { service: service.clone(), slices: slices.remove(&(namespace, name)).unwrap_or_default() };
            let known = input.previous.and_then(|previous| previous.service(namespace, name));
            let kept = known.filter(|known| same_nodes && same_cidr && known.source.is_same(&source));
            let entry = match kept {
                Some(entry) => entry.clone(),
                None => {
                    let places = Places { table: &table, loads: input.loads };
                    Arc::new(build_entry(namespace, name, source, &places, known.map(|entry| &**entry)))
                }
            };
            table.insert(entry);
        }
        table.assign_fronts();
        table
    }

    fn insert(&mut self, entry: Arc<ServiceEntry>) {
        if let ServiceKind::ClusterIp(ips) = &entry.kind {
            for ip in ips {
                self.by_cluster_ip.insert(*ip, entry.clone());
            }
        }
        let namespace = self.services.entry(entry.name.namespace.clone()).or_default();
        namespace.insert(entry.name.name.clone(), entry);
    }

    /// Gives each outside port to the oldest Service that wants it; the others' claims are kept with the reason.
    fn assign_fronts(&mut self) {
        let entries = self.services.values().flat_map(HashMap::values);
        let mut wanting: Vec<_> = entries.filter(|entry| entry.front != FrontKind::None).cloned().collect();
        wanting.sort_by(|a, b| (a.source.age(), &a.name).cmp(&(b.source.age(), &b.name)));
        for entry in wanting {
            for (port, kind) in front_ports(&entry) {
                self.assign_front(port, kind);
            }
            self.claims.extend(unsupported_ports(&entry));
        }
    }

    fn assign_front(&mut self, (number, port): (u16, Arc<super::ServicePort>), kind: FrontKind) {
        let service = port.service.clone();
        match self.fronts.get(&number) {
            Some(taken) if taken.port.service == service && Arc::ptr_eq(&taken.port, &port) => {}
            Some(taken) => {
                let why = ClaimProblem::TakenBy(taken.port.service.clone());
                self.claims.push(Claim { service, port: number, why });
            }
            None => {
                self.fronts.insert(number, Front { port, kind });
            }
        }
    }
}

impl Source {
    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.service, &other.service)
            && self.slices.len() == other.slices.len()
            && self.slices.iter().zip(&other.slices).all(|(a, b)| Arc::ptr_eq(a, b))
    }

    fn age(&self) -> Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::Time> {
        self.service.metadata.creation_timestamp.as_ref()
    }
}

type FrontPort = ((u16, Arc<super::ServicePort>), FrontKind);

fn front_ports(entry: &ServiceEntry) -> Vec<FrontPort> {
    let mut fronts = Vec::new();
    for port in &entry.ports {
        if entry.front == FrontKind::LoadBalancer {
            fronts.push(((port.port, port.clone()), FrontKind::LoadBalancer));
        }
        if let Some(node_port) = port.node_port {
            fronts.push(((node_port, port.clone()), FrontKind::NodePort));
        }
    }
    fronts
}

fn unsupported_ports(entry: &ServiceEntry) -> Vec<Claim> {
    let ports = entry.source.service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    let unsupported = ports.iter().filter_map(|port| {
        let protocol = port.protocol.clone().filter(|protocol| protocol != "TCP")?;
        let number = port.node_port.unwrap_or(port.port).try_into().ok()?;
        Some(Claim { service: entry.name.clone(), port: number, why: ClaimProblem::Protocol(protocol) })
    });
    unsupported.collect()
}

type SlicesByService<'a> = HashMap<(&'a str, &'a str), Vec<Arc<EndpointSlice>>>;

fn group_slices(slices: &[Arc<EndpointSlice>]) -> SlicesByService<'_> {
    let mut groups = SlicesByService::new();
    for slice in slices {
        let namespace = slice.metadata.namespace.as_deref();
        let service = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME));
        if let (Some(namespace), Some(service)) = (namespace, service) {
            groups.entry((namespace, service)).or_default().push(slice.clone());
        }
    }
    for group in groups.values_mut() {
        group.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    }
    groups
}

type Routes = HashMap<Arc<str>, Arc<NodeRoute>>;

/// Routes to the other nodes; an unchanged node keeps its route, and so what is known of its health.
fn build_nodes(input: &TableInput<'_>) -> Routes {
    let others = input.nodes.iter().filter(|node| node.name != input.local_node);
    let routes = others.map(|node| {
        let address = SocketAddr::new(node.ip, node.port);
        let known = input.previous.and_then(|previous| previous.nodes.get(&*node.name));
        let known = known.filter(|known| known.address == address && known.pod_cidr == node.pod_cidr);
        let route = known.cloned().unwrap_or_else(|| {
            let name = node.name.as_str().into();
            Arc::new(NodeRoute { name, address, pod_cidr: node.pod_cidr, down: AtomicBool::new(false) })
        });
        (route.name.clone(), route)
    });
    routes.collect()
}

fn is_same_nodes(a: &Routes, b: &Routes) -> bool {
    a.len() == b.len() && a.iter().all(|(name, route)| b.get(name).is_some_and(|other| Arc::ptr_eq(route, other)))
}
