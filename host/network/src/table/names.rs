use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::{ServiceEntry, ServiceKind, ServiceTable};

/// What a host name means to a pod.
pub enum Resolution<'a> {
    Service(&'a Arc<ServiceEntry>),
    /// One pod, by its own name.
    Pod(IpAddr),
    /// Not the cluster's to answer: for the outside resolver, if the pod may go there.
    Outside(String),
    /// A cluster name that does not exist.
    Unknown,
}

/// An ExternalName may name another service; more steps than this are a loop.
const ALIASES_MAX: usize = 4;

impl ServiceTable {
    /// Looks up `host` as a pod of `namespace` would: `hello`, `hello.ns`, `hello.ns.svc`, the full name with or
    /// without its trailing dot, `hostname.subdomain…`, `10-64-0-5.ns.pod…`. Cluster names win over outside ones.
    pub fn lookup(&self, namespace: &str, host: &str) -> Resolution<'_> {
        let mut host = host.trim_end_matches('.').to_ascii_lowercase();
        for _ in 0..ALIASES_MAX {
            match self.lookup_once(namespace, &host) {
                Resolution::Service(entry) => match &entry.kind {
                    ServiceKind::ExternalName(target) => host = target.trim_end_matches('.').to_ascii_lowercase(),
                    _ => return Resolution::Service(entry),
                },
                other => return other,
            }
        }
        Resolution::Unknown
    }

    fn lookup_once(&self, namespace: &str, host: &str) -> Resolution<'_> {
        let (name, qualified) = match host.strip_suffix(&*self.cluster_domain).and_then(|name| name.strip_suffix('.')) {
            Some(name) => (name, true),
            None => (host, false),
        };
        if let Some(name) = name.strip_suffix(".pod") {
            let label = name.split('.').next().unwrap_or_default();
            return pod_label(label).map_or(Resolution::Unknown, Resolution::Pod);
        }
        let (name, is_service) = match name.strip_suffix(".svc") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let labels: Vec<&str> = name.split('.').collect();
        let found = if is_service { self.in_service_zone(&labels) } else { self.by_search(namespace, &labels) };
        match found {
            Some(found) => found,
            // A single label is never a name of the outside: answering it from there would hide a typing error.
            None if qualified || is_service || labels.len() == 1 => Resolution::Unknown,
            None => Resolution::Outside(host.into()),
        }
    }

    /// The search path `<namespace>.svc.<domain>`, then `svc.<domain>`.
    fn by_search<'a>(&'a self, namespace: &str, labels: &[&str]) -> Option<Resolution<'a>> {
        let with_namespace: Vec<&str> = labels.iter().copied().chain([namespace]).collect();
        self.in_service_zone(&with_namespace).or_else(|| self.in_service_zone(labels))
    }

    /// Names below `svc.<domain>`: `service.namespace` and `hostname.service.namespace`.
    fn in_service_zone<'a>(&'a self, labels: &[&str]) -> Option<Resolution<'a>> {
        match labels {
            [service, namespace] => self.service(namespace, service).map(Resolution::Service),
            [hostname, service, namespace] => self.service(namespace, service)?.pod(hostname).map(Resolution::Pod),
            _ => None,
        }
    }
}

/// `10-64-0-5` → 10.64.0.5.
fn pod_label(label: &str) -> Option<IpAddr> {
    label.replace('-', ".").parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}
