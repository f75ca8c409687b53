use std::collections::BTreeMap;
use std::fmt;

use crate::node::Node;
use crate::resources::Resources;

/// What keeps a pod off one node. Shown in the words of kube-scheduler.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Obstacle {
    Unschedulable,
    NotReady,
    /// `{key: value}`.
    Taint(String),
    NodeAffinity,
    HostPorts,
    /// Of this resource.
    Insufficient(String),
    TooManyPods,
    PodAffinity,
    PodAntiAffinity,
    /// Pods that are there want none like this one beside them.
    ExistingAntiAffinity,
    TopologySpread,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unschedulable => "node(s) were unschedulable",
            Self::NotReady => "node(s) were not ready",
            Self::Taint(taint) => return write!(f, "node(s) had untolerated taint {taint}"),
            Self::NodeAffinity => "node(s) didn't match Pod's node affinity/selector",
            Self::HostPorts => "node(s) didn't have free ports for the requested pod ports",
            Self::Insufficient(resource) => return write!(f, "Insufficient {resource}"),
            Self::TooManyPods => "Too many pods",
            Self::PodAffinity => "node(s) didn't match pod affinity rules",
            Self::PodAntiAffinity => "node(s) didn't match pod anti-affinity rules",
            Self::ExistingAntiAffinity => "node(s) didn't satisfy existing pods anti-affinity rules",
            Self::TopologySpread => "node(s) didn't match pod topology spread constraints",
        })
    }
}

/// Obstacles, and how many nodes each was met on.
#[derive(Clone, Default)]
pub(crate) struct Tally(BTreeMap<Obstacle, usize>);

impl Tally {
    pub(crate) fn add(&mut self, obstacle: Obstacle) {
        *self.0.entry(obstacle).or_default() += 1;
    }

    pub(crate) fn into_list(self) -> Vec<(Obstacle, usize)> {
        self.0.into_iter().collect()
    }

    /// `0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient memory.` and, where a resource is short, what
    /// would fit. `open` are the nodes, of `count`, that lack nothing but room, with what is used of them.
    pub(crate) fn message<'a>(
        &self,
        count: usize,
        request: &Resources,
        open: impl Iterator<Item = (&'a Node, &'a Resources)> + Clone,
    ) -> String {
        if count == 0 {
            return "no nodes available to schedule pods: none has joined the cluster yet".to_owned();
        }
        let mut reasons: Vec<String> = self.0.iter().map(|(obstacle, count)| format!("{count} {obstacle}")).collect();
        reasons.sort();
        let mut message = format!("0/{count} nodes are available: {}.", reasons.join(", "));
        for resource in self.0.keys().filter_map(|obstacle| match obstacle {
            Obstacle::Insufficient(resource) => Some(resource),
            _ => None,
        }) {
            message += &hint(resource, request, open.clone());
        }
        message
    }
}

fn hint<'a>(resource: &str, request: &Resources, open: impl Iterator<Item = (&'a Node, &'a Resources)>) -> String {
    let free = open.map(|(node, used)| {
        let mut free = node.allocatable.clone();
        free.subtract(used);
        (free.named(resource), node)
    });
    let asked = request.named(resource).1;
    match free.max_by(|a, b| a.0.0.cmp(&b.0.0).then_with(|| b.1.name.cmp(&a.1.name))) {
        Some(((amount, text), node)) if amount > 0 => {
            format!(
                " The pod asks for {asked} of {resource}; the most that is free on one node is {text} (on {}).",
                node.name
            )
        }
        _ => format!(" The pod asks for {asked} of {resource}; no node has any free."),
    }
}
