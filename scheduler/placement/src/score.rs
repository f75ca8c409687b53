//! How much a node is liked: a sum of parts, whose weights are those of Kubernetes' default profile where it has them.

use crate::group::Group;
use crate::node::Node;
use crate::resources::Resources;
use crate::taints;

/// Fractions are parts of this, so that one pod more or less shows on a node for thousands.
const POINT: i64 = 10_000;
const FULL: i64 = 100 * POINT;

/// For each replica of the same owner that is already on the node.
const SPREAD: i64 = 20 * POINT;
/// If every image is there already.
const IMAGES: i64 = 20 * POINT;
/// If every preference is met.
const PREFERENCE: i64 = 200 * POINT;
const DISLIKED_TAINT: i64 = 100 * POINT;

/// For each point of a soft rule on other pods.
pub(crate) const RULE: i64 = 2 * POINT;

/// The part that does not depend on the pods of the node.
pub(crate) fn fixed(group: &Group, node: &Node) -> i64 {
    let share = |part: i64, of: i64, full: i64| if of == 0 { 0 } else { part * full / of };
    let images = group.images.iter().filter(|image| node.images.contains(*image)).count() as i64;
    share(group.choice.weight(node), group.choice.weight_max(), PREFERENCE)
        + share(images, group.images.len() as i64, IMAGES)
        - taints::disliked(&node.taints, &group.tolerations) * DISLIKED_TAINT
}

/// The part that each pod placed on the node changes: what would be left free, and how many siblings are there.
pub(crate) fn changing(node: &Node, used: &Resources, request: &Resources, siblings: i64) -> i64 {
    let all = &node.allocatable;
    let free = |used: i64, asked: i64, all: i64| {
        if all <= 0 {
            0
        } else {
            (all.saturating_sub(used).saturating_sub(asked).max(0) as i128 * FULL as i128 / all as i128) as i64
        }
    };
    let cpu = free(used.cpu.0, request.cpu.0, all.cpu.0);
    let memory = free(used.memory.0, request.memory.0, all.memory.0);
    // Counts for pods that ask for nothing, so that they do not all end on one node.
    let pods = free(used.pods, request.pods, all.pods);
    (cpu + memory + pods) / 3 - siblings * SPREAD
}
