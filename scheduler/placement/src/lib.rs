//! Placement: which node each waiting pod runs on, decided for all of them at once. No async, no clock, no I/O.
//!
//! Entry point: [`Placer`], which is kept current with [`Placer::observe`] and costs what changed; [`plan`] is the same for
//! one snapshot. Pods that ask for the same thing are one group: nodes are filtered and scored once a group, and the best
//! node is kept on top of a heap while the group's pods take room away. Groups of higher priority, then older ones, go first.
//! Only pods whose rules depend on where other pods are (inter-pod affinity, topology spread) cost a scan of the nodes each.
//!
//! A [`Binding`] and a [`Refusal`] say what to write to the pod; the driver commits them guarded by the pod's revision.
//!
//! Invariants, each a property test: no node is given more than it can allocate, the same snapshot gives the same plan,
//! and no pod is refused while a node has room for it.
//!
//! Deliberately absent: preemption (a pod of higher priority only goes first), volume topology (volumes are the node's).

mod affinity;
mod batch;
mod group;
mod labels;
mod node;
mod outcome;
mod placer;
mod refusal;
mod resources;
mod rules;
mod score;
mod taints;

#[cfg(test)]
mod tests;

pub use outcome::{Binding, PlacementPlan, Refusal};
pub use placer::{Placer, plan};
pub use refusal::Obstacle;
