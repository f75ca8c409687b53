//! Node lifecycle: a node that does not renew its Lease is lost; its pods are marked, then evicted, and placed elsewhere.
//! Sources of the rules: `pkg/controller/nodelifecycle` and `pkg/controller/tainteviction`.
//!
//! Silence is measured by our own clock, from when a renewal was seen. If all nodes fall silent at once it is more likely us
//! who are cut off: then nothing is evicted.

mod conditions;
mod evict;
mod taints;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Timestamp;
use wasmk_api::{Change, Key, Object};

use crate::json::{condition, created};
use crate::plan::EventType;
use crate::view::LEASE_NAMESPACE;
use crate::{Clock, Controller, Plan, Reason, View, pod};
use wasmk_api::write::Part;

pub(crate) const CONTROLLER: Controller = Controller {
    name: "node-health",
    reads: &["nodes", "leases.coordination.k8s.io", "pods"],
    shows_refusals: false,
    affected,
    plan,
};

const COMPONENT: &str = "node-controller";

/// Pods marked or evicted in one plan; the next plan does the rest.
const PODS_A_PLAN_MAX: usize = 1000;

/// What the Ready condition says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Readiness {
    Ready,
    NotReady,
    Unknown,
}

/// What a node's Lease tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Heard,
    /// We began to look a moment ago: whatever was true of the node stays.
    Unsure,
    Silent,
    /// Silent as all others are.
    CutOff,
}

fn affected(view: &View, change: &Change, keys: &mut BTreeSet<Key>) {
    let object = &change.object;
    match object.key().resource.as_str() {
        "nodes" => drop(keys.insert(object.key().clone())),
        "leases.coordination.k8s.io" if object.namespace() == LEASE_NAMESPACE => {
            keys.insert(Key::new("nodes", "", object.name()));
        }
        "pods" => {
            let node = pod::node_name(object).and_then(|name| view.find("nodes", "", name));
            let concerned =
                |node: &&std::sync::Arc<Object>| taints::evicts(node) || readiness(node) != Readiness::Ready;
            keys.extend(node.filter(concerned).map(|node| node.key().clone()));
        }
        _ => {}
    }
}

fn plan(view: &View, key: &Key, clock: &Clock) -> Plan {
    let mut plan = Plan::default();
    let Some(node) = view.get(key).filter(|node| !node.is_deleting()) else { return plan };
    let (verdict, again_at) = verdict(view, node, clock);
    let mut draft = node.value().clone();
    conditions::judge(&mut draft, verdict, clock);
    let readiness = readiness_of(&draft);
    taints::set_taints(&mut draft, readiness, verdict, clock);
    if readiness != Readiness::Ready && self::readiness(node) == Readiness::Ready {
        let message = format!("Node {} status is now: NodeNotReady", node.name());
        plan.event(COMPONENT, node, EventType::Normal, Reason::NodeNotReady, message);
    }
    evict::plan_pods(view, node, &draft, verdict, clock, &mut plan);
    plan.wake(again_at);
    let part = if node.value()["spec"] == draft["spec"] { Part::Status } else { Part::Both };
    let reason = if readiness == Readiness::Unknown { Reason::NodeStatusUnknown } else { Reason::TaintsChanged };
    plan.update(node, draft, part, reason);
    plan
}

/// What to think of the node, and when to think again. Silence counts from when we began to look.
fn verdict(view: &View, node: &Object, clock: &Clock) -> (Verdict, Timestamp) {
    let grace = clock.settings.node_grace;
    let heartbeat = view.heartbeat(node.name());
    let last = heartbeat.map_or_else(|| created(node), |heartbeat| heartbeat.at).max(view.started());
    if last + grace > clock.now {
        let heard = heartbeat.is_some_and(|heartbeat| heartbeat.renewed);
        return (if heard { Verdict::Heard } else { Verdict::Unsure }, last + grace);
    }
    let cut_off = is_everyone_silent(view, clock);
    // Whether others are heard may change the verdict, and comes with no change of this node.
    (if cut_off { Verdict::CutOff } else { Verdict::Silent }, clock.now + grace)
}

fn is_everyone_silent(view: &View, clock: &Clock) -> bool {
    let mut heartbeats = view.heartbeats().peekable();
    heartbeats.peek().is_some() && heartbeats.all(|at| at + clock.settings.node_grace <= clock.now)
}

fn readiness(node: &Object) -> Readiness {
    readiness_of(node.value())
}

fn readiness_of(node: &serde_json::Value) -> Readiness {
    match condition(&node["status"], "Ready").and_then(|ready| ready["status"].as_str()) {
        Some("True") => Readiness::Ready,
        Some("Unknown") => Readiness::Unknown,
        _ => Readiness::NotReady,
    }
}
