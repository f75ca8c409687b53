use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use wasmk_api::Object;

use crate::json::created;
use crate::{View, pod};

/// What is compared, in order; the least goes first. Source: `ActivePodsWithRanks` in
/// `pkg/controller/controller_utils.go`. The pod's place on its node differs: Kubernetes counts the replicas there, so that
/// many deletions at once can empty a node; here each replica has a place of its own and nodes are evened out.
type Rank = (bool, u8, bool, i64, Reverse<usize>, Reverse<Timestamp>, Reverse<i64>, Reverse<Timestamp>);

/// Sorts `pods` by how little would be missed: unassigned, pending, not ready, of low `pod-deletion-cost`, doubled up on a
/// node, ready for a short time, restarted often, young.
pub(super) fn sort_dispensable_first(view: &View, set: &Object, pods: &mut Vec<&Object>) {
    let mut on_node = siblings_on_nodes(view, set);
    // The longest-serving pod of a node takes the first place there.
    pods.sort_by_key(|pod| (!pod::is_ready(pod), pod::ready_since(pod), created(pod), pod.name().to_owned()));
    let mut ranked: Vec<(Rank, &Object)> = pods.drain(..).map(|pod| (rank(pod, &mut on_node), pod)).collect();
    ranked.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.name().cmp(b.1.name())));
    pods.extend(ranked.into_iter().map(|(_, pod)| pod));
}

fn rank(pod: &Object, on_node: &mut HashMap<String, usize>) -> Rank {
    let node = pod::node_name(pod);
    let place = node.map_or(0, |node| {
        let count = on_node.entry(node.to_owned()).or_default();
        *count += 1;
        *count
    });
    let phase = match pod::phase(pod) {
        "Pending" => 0,
        "Unknown" => 1,
        _ => 2,
    };
    let ready = pod::is_ready(pod);
    let ready_since = if ready { pod::ready_since(pod).unwrap_or_default() } else { Timestamp::UNIX_EPOCH };
    let restarts = Reverse(pod::restarts_max(pod));
    (
        node.is_some(),
        phase,
        ready,
        deletion_cost(pod),
        Reverse(place),
        Reverse(ready_since),
        restarts,
        Reverse(created(pod)),
    )
}

fn deletion_cost(pod: &Object) -> i64 {
    let cost = pod.annotation("controller.kubernetes.io/pod-deletion-cost");
    cost.and_then(|cost| cost.parse().ok()).unwrap_or(0)
}

/// Active pods of the Deployment's other ReplicaSets, by node.
fn siblings_on_nodes(view: &View, set: &Object) -> HashMap<String, usize> {
    let mut on_node = HashMap::new();
    let Some(owner) = set.controller_uid() else { return on_node };
    let sets = view.indexed(&crate::view::IndexKey::owner(owner)).map(Arc::as_ref);
    let others = sets.filter(|other: &&Object| other.key().resource == set.key().resource && other.key() != set.key());
    for pod in others.flat_map(|other| view.controlled(other, "pods")).filter(|pod| pod::is_active(pod)) {
        if let Some(node) = pod::node_name(pod) {
            *on_node.entry(node.to_owned()).or_default() += 1;
        }
    }
    on_node
}
