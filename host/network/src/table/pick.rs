use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use super::{Endpoint, NodeRoute, Place, ServiceName, ServicePort};

/// Through which door traffic came; each has a traffic policy of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Frontend {
    /// ClusterIP and names, from pods.
    Internal,
    /// NodePort and LoadBalancer.
    External,
}

/// Why no endpoint can take the request.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoEndpoint {
    #[error("service {service} has no ready endpoints{}", unready(*.not_ready))]
    NoneReady { service: ServiceName, not_ready: usize },
    #[error("service {service} has no ready endpoints on this node, and its traffic policy is Local")]
    NoneLocal { service: ServiceName },
    #[error("service {service} has ready endpoints only on nodes that do not answer: {}", nodes.join(", "))]
    NodesDown { service: ServiceName, nodes: Vec<Arc<str>> },
    #[error("every ready endpoint of service {service} refused")]
    Exhausted { service: ServiceName },
    #[error("service {service} has no port {port}")]
    NoPort { service: ServiceName, port: u16 },
    #[error("no service listens on port {0}")]
    NoService(u16),
    #[error("no pod or service has the address {0}")]
    NoAddress(IpAddr),
}

fn unready(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => " (1 pod is not ready)".into(),
        count => format!(" ({count} pods are not ready)"),
    }
}

/// Endpoints that already failed this request.
#[derive(Default)]
pub(crate) struct Tried(Vec<SocketAddr>);

impl Tried {
    pub(crate) fn add(&mut self, endpoint: SocketAddr) {
        self.0.push(endpoint);
    }

    pub(crate) fn contains(&self, endpoint: SocketAddr) -> bool {
        self.0.contains(&endpoint)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl ServicePort {
    /// The endpoint for the next request or connection: the client's own with session affinity, else the less busy of
    /// two random ones. Endpoints that were tried or whose node is down are passed over. O(1), O(endpoints) at worst.
    pub(crate) fn pick(
        &self,
        frontend: Frontend,
        client: Option<IpAddr>,
        tried: &Tried,
    ) -> Result<&Endpoint, NoEndpoint> {
        let endpoints = self.candidates(frontend)?;
        let Some((affinity, client)) = self.affinity.as_ref().zip(client) else {
            return pick_of(endpoints, tried).ok_or_else(|| self.exhausted(endpoints, tried));
        };
        let now = Instant::now();
        let known = affinity.of(client, now);
        let known = known.and_then(|known| endpoints.iter().find(|e| e.address == known && is_usable(e, tried)));
        let picked = known.or_else(|| pick_of(endpoints, tried)).ok_or_else(|| self.exhausted(endpoints, tried))?;
        affinity.remember(client, picked.address, now);
        Ok(picked)
    }

    fn candidates(&self, frontend: Frontend) -> Result<&[Endpoint], NoEndpoint> {
        let local = match frontend {
            Frontend::Internal => self.internal_local,
            Frontend::External => self.external_local,
        };
        let service = || self.service.clone();
        match (local, &self.endpoints[..], &self.local_endpoints[..]) {
            (_, [], _) => Err(NoEndpoint::NoneReady { service: service(), not_ready: self.not_ready }),
            (true, _, []) => Err(NoEndpoint::NoneLocal { service: service() }),
            (true, _, local) => Ok(local),
            (false, all, _) => Ok(all),
        }
    }

    fn exhausted(&self, endpoints: &[Endpoint], tried: &Tried) -> NoEndpoint {
        let service = self.service.clone();
        let mut nodes: Vec<_> = endpoints.iter().filter_map(down_node).map(|node| node.name.clone()).collect();
        nodes.sort_unstable();
        nodes.dedup();
        if nodes.is_empty() || !tried.is_empty() {
            return NoEndpoint::Exhausted { service };
        }
        NoEndpoint::NodesDown { service, nodes }
    }
}

/// The less busy of two random usable endpoints; equally busy ones are drawn by lot.
pub(crate) fn pick_of<'a>(endpoints: &'a [Endpoint], tried: &Tried) -> Option<&'a Endpoint> {
    let count = endpoints.len();
    if count == 0 {
        return None;
    }
    let first = rand::random_range(0..count);
    // The second is another one: any offset but zero.
    let second = if count == 1 { first } else { (first + rand::random_range(1..count)) % count };
    let (first, second) = (&endpoints[first], &endpoints[second]);
    match (is_fresh(first, tried), is_fresh(second, tried)) {
        (true, true) => Some(less_busy(first, second)),
        (true, false) => Some(first),
        (false, true) => Some(second),
        (false, false) => {
            let fresh = endpoints.iter().filter(|endpoint| is_fresh(endpoint, tried)).reduce(less_busy);
            fresh.or_else(|| endpoints.iter().filter(|endpoint| is_usable(endpoint, tried)).reduce(less_busy))
        }
    }
}

fn less_busy<'a>(a: &'a Endpoint, b: &'a Endpoint) -> &'a Endpoint {
    if b.load.in_flight() < a.load.in_flight() { b } else { a }
}

fn is_fresh(endpoint: &Endpoint, tried: &Tried) -> bool {
    is_usable(endpoint, tried) && !endpoint.load.is_avoided()
}

fn is_usable(endpoint: &Endpoint, tried: &Tried) -> bool {
    down_node(endpoint).is_none() && !tried.contains(endpoint.address)
}

fn down_node(endpoint: &Endpoint) -> Option<&Arc<NodeRoute>> {
    match &endpoint.place {
        Place::Node(node) if node.is_down() => Some(node),
        _ => None,
    }
}
