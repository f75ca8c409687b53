use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};
use wasmk_api::write::Part;
use wasmk_api::{Key, Snapshot};
use wasmk_controllers::Write;

/// What Kubernetes' clients expect in every cluster.
const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// How guests reach the API: the `kubernetes` Service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ApiAddress {
    /// The first address of the service range.
    pub(crate) cluster_ip: Ipv4Addr,
    /// Where the API server itself listens, as nodes see it.
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
}

/// The cluster's own objects that are missing, or that say something that is no longer true.
pub(crate) fn plan_system_objects(snapshot: &Snapshot, api: &ApiAddress) -> Vec<Write> {
    let namespaces = NAMESPACES.into_iter().map(|name| (Key::new("namespaces", "", name), namespace(name)));
    let missing = namespaces.chain([(service_key(), service(api))]).filter(|(key, _)| snapshot.get(key).is_none());
    let missing = missing.map(|(key, value)| Write::Create { key, value });
    missing.chain(plan_endpoints(snapshot, api)).collect()
}

fn plan_endpoints(snapshot: &Snapshot, api: &ApiAddress) -> Option<Write> {
    let (key, wanted) = (endpoints_key(), endpoints(api));
    let Some(found) = snapshot.get(&key) else { return Some(Write::Create { key, value: wanted }) };
    let mut value = found.value().clone();
    let is_current = ["endpoints", "ports"].into_iter().all(|field| says(&value[field], &wanted[field]));
    if is_current {
        return None;
    }
    for field in ["endpoints", "ports"] {
        value[field] = wanted[field].clone();
    }
    Some(Write::Update { key, revision: found.revision(), value, part: Part::Main })
}

/// Whether `found` has everything that `wanted` says; defaults may have been added to it.
fn says(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(field, wanted)| found.get(field).is_some_and(|found| says(found, wanted)))
        }
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| says(found, wanted))
        }
        (found, wanted) => found == wanted,
    }
}

fn namespace(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": name },
        "spec": { "finalizers": ["kubernetes"] },
    })
}

fn service_key() -> Key {
    Key::new("services", "default", "kubernetes")
}

fn service(api: &ApiAddress) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": { "component": "apiserver", "provider": "kubernetes" },
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": api.cluster_ip.to_string(),
            "clusterIPs": [api.cluster_ip.to_string()],
            "ports": [{ "name": "https", "port": 443, "protocol": "TCP", "targetPort": api.port }],
        },
    })
}

fn endpoints_key() -> Key {
    Key::new("endpointslices.discovery.k8s.io", "default", "kubernetes")
}

fn endpoints(api: &ApiAddress) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": { "kubernetes.io/service-name": "kubernetes" },
        },
        "addressType": if api.address.is_ipv4() { "IPv4" } else { "IPv6" },
        "endpoints": [{ "addresses": [api.address.to_string()], "conditions": { "ready": true } }],
        "ports": [{ "name": "https", "port": api.port, "protocol": "TCP" }],
    })
}

#[cfg(test)]
mod tests {
    use wasmk_api::{Op, Precondition, Transaction};

    use super::*;

    const API: ApiAddress =
        ApiAddress { cluster_ip: Ipv4Addr::new(10, 43, 0, 1), address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 6443 };

    fn apply(snapshot: &Snapshot, plan: Vec<Write>) -> Snapshot {
        let ops = plan.into_iter().map(|missing| match missing {
            Write::Create { key, value } => Op::Put { key, value, precondition: Precondition::Absent },
            Write::Update { key, revision, value, .. } => {
                Op::Put { key, value, precondition: Precondition::Revision(revision) }
            }
            Write::Delete { key, .. } => panic!("deletes {key}"),
        });
        snapshot.apply(&Transaction { ops: ops.collect() }).unwrap().0
    }

    #[test]
    fn an_empty_cluster_gets_everything_and_then_nothing_more() {
        let snapshot = apply(&Snapshot::default(), plan_system_objects(&Snapshot::default(), &API));
        assert_eq!(snapshot.len(), NAMESPACES.len() + 2);
        assert_eq!(plan_system_objects(&snapshot, &API), []);
    }

    #[test]
    fn a_server_that_moved_says_so() {
        let snapshot = apply(&Snapshot::default(), plan_system_objects(&Snapshot::default(), &API));
        let moved = ApiAddress { port: 7443, ..API };
        let plan = plan_system_objects(&snapshot, &moved);
        assert!(matches!(plan.as_slice(), [Write::Update { key, .. }] if *key == endpoints_key()), "{plan:?}");
        assert_eq!(plan_system_objects(&apply(&snapshot, plan), &moved), []);
    }
}
