//! Pod addresses for nodes: each gets a part of the cluster's range, for as long as it is a member.
//!
//! All nodes are planned together, so that two new ones never get the same part.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::json;
use wasmk_api::{Change, ChangeKind, Key, Object};

use crate::plan::EventType;
use crate::{Clock, Controller, Plan, Reason, Settings, View};
use wasmk_api::write::Part;

pub(crate) const CONTROLLER: Controller =
    Controller { name: "node-cidr", reads: &["nodes"], shows_refusals: false, affected, plan };

const COMPONENT: &str = "node-cidr-controller";

fn affected(_: &View, change: &Change, keys: &mut BTreeSet<Key>) {
    if change.kind == ChangeKind::Deleted || cidr(&change.object).is_none() {
        keys.insert(Key::new("nodes", "", ""));
    }
}

fn plan(view: &View, _: &Key, clock: &Clock) -> Plan {
    let mut plan = Plan::default();
    let nodes = "nodes".into();
    let nodes: Vec<_> = view.snapshot().list(&nodes, None).collect();
    let taken: BTreeSet<&str> = nodes.iter().filter_map(|node| cidr(node)).collect();
    let mut free = parts(clock.settings).filter(|part| !taken.contains(part.as_str()));
    for node in nodes.iter().filter(|node| cidr(node).is_none() && !node.is_deleting()) {
        let Some(part) = free.next() else {
            let message = "Every part of the pod address range is taken by another node";
            plan.event(COMPONENT, node, EventType::Warning, Reason::CidrNotAvailable, message);
            continue;
        };
        let mut value = node.value().clone();
        value["spec"]["podCIDRs"] = json!([part]);
        value["spec"]["podCIDR"] = json!(part);
        plan.update(node, value, Part::Main, Reason::CidrAssigned);
    }
    plan
}

fn cidr(node: &Object) -> Option<&str> {
    node.value()["spec"]["podCIDR"].as_str().filter(|cidr| !cidr.is_empty())
}

fn parts(settings: &Settings) -> impl Iterator<Item = String> {
    let (first, prefix) = settings.pod_cidr;
    let (first, node_prefix) = (u32::from(first), settings.node_prefix);
    let count = 1u32 << node_prefix.saturating_sub(prefix);
    (0..count).map(move |nth| format!("{}/{node_prefix}", Ipv4Addr::from(first + (nth << (32 - node_prefix)))))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::sim::{Sim, summary};

    fn node(name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {}})
    }

    #[test]
    fn nodes_get_parts_of_their_own_and_keep_them() {
        let mut sim = Sim::new().only(&["node-cidr"]);
        let first = sim.put("nodes", node("a"));
        sim.put("nodes", node("b"));
        sim.settle();
        assert_eq!(summary(&sim, "nodes", &["/spec/podCIDR"]), "a: \"10.64.0.0/20\"\nb: \"10.64.16.0/20\"\n");
        sim.remove(&first);
        sim.put("nodes", node("c"));
        sim.put("nodes", node("d"));
        sim.settle();
        let cidrs = "b: \"10.64.16.0/20\"\nc: \"10.64.0.0/20\"\nd: \"10.64.32.0/20\"\n";
        assert_eq!(summary(&sim, "nodes", &["/spec/podCIDR"]), cidrs);
    }
}
