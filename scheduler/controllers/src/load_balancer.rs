//! Where a Service of type LoadBalancer is reached: every node that is ready listens on its ports, so the addresses of
//! those nodes are its `status.loadBalancer.ingress`.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wasmk_api::write::Part;
use wasmk_api::{Change, Key, Object};

use crate::{Clock, Controller, Plan, Reason, View};

pub(crate) const CONTROLLER: Controller =
    Controller { name: "load-balancer", reads: &["services", "nodes"], shows_refusals: false, affected, plan };

fn affected(view: &View, change: &Change, keys: &mut BTreeSet<Key>) {
    if change.object.key().resource.as_str() == "services" {
        keys.insert(change.object.key().clone());
        return;
    }
    let after = address(&change.object).filter(|_| view.get(change.object.key()).is_some());
    if change.previous.as_ref().and_then(|node| address(node)) != after {
        let services = "services".into();
        let all = view.snapshot().list(&services, None);
        keys.extend(all.filter(|service| is_load_balancer(service)).map(|service| service.key().clone()));
    }
}

fn plan(view: &View, key: &Key, _: &Clock) -> Plan {
    let mut plan = Plan::default();
    let Some(service) = view.get(key).filter(|service| !service.is_deleting()) else { return plan };
    let wanted = if is_load_balancer(service) { ingress(view) } else { Vec::new() };
    let found = &service.value()["status"]["loadBalancer"]["ingress"];
    if found.as_array().map(Vec::as_slice).unwrap_or_default() != wanted.as_slice() {
        let mut value = service.value().clone();
        value["status"]["loadBalancer"] = if wanted.is_empty() { json!({}) } else { json!({"ingress": wanted}) };
        plan.update(service, value, Part::Status, Reason::LoadBalancerUpdated);
    }
    plan
}

fn ingress(view: &View) -> Vec<Value> {
    let nodes = "nodes".into();
    let addresses: BTreeSet<&str> = view.snapshot().list(&nodes, None).filter_map(|node| address(node)).collect();
    addresses.into_iter().map(|ip| json!({"ip": ip, "ipMode": "VIP"})).collect()
}

/// Where a node that is ready is reached.
fn address(node: &Object) -> Option<&str> {
    let status = &node.value()["status"];
    let array = |field: &str| status[field].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_ready = array("conditions").iter().any(|one| one["type"] == "Ready" && one["status"] == "True");
    let internal = array("addresses").iter().find(|one| one["type"] == "InternalIP")?;
    internal["address"].as_str().filter(|_| is_ready)
}

fn is_load_balancer(service: &Object) -> bool {
    service.value()["spec"]["type"] == "LoadBalancer"
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::sim::{Sim, summary};

    fn node(name: &str, ip: &str, ready: &str) -> Value {
        let conditions = json!([{"type": "Ready", "status": ready}]);
        let addresses = json!([{"type": "InternalIP", "address": ip}]);
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {},
               "status": {"conditions": conditions, "addresses": addresses}})
    }

    fn service(kind: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "default"},
               "spec": {"type": kind, "ports": [{"port": 80}]}})
    }

    #[test]
    fn a_load_balancer_is_at_every_ready_node() {
        let mut sim = Sim::new().only(&["load-balancer"]);
        let first = sim.put("nodes", node("a", "10.0.0.1", "True"));
        sim.put("nodes", node("b", "10.0.0.2", "False"));
        let key = sim.put("services", service("LoadBalancer"));
        let ingress = |sim: &Sim| summary(sim, "services", &["/status/loadBalancer"]);
        sim.settle();
        assert_eq!(ingress(&sim), "s: {\"ingress\":[{\"ip\":\"10.0.0.1\",\"ipMode\":\"VIP\"}]}\n");
        sim.edit(&first, |node| node["status"]["conditions"][0]["status"] = json!("Unknown"));
        sim.settle();
        assert_eq!(ingress(&sim), "s: {}\n");
        sim.edit(&first, |node| node["status"]["conditions"][0]["status"] = json!("True"));
        sim.settle();
        sim.edit(&key, |service| service["spec"]["type"] = json!("ClusterIP"));
        sim.settle();
        assert_eq!(ingress(&sim), "s: {}\n");
    }
}
