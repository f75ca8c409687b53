use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use wasmk_api::{Object, Snapshot};

use super::{Kind, Rule, Rules, anti_affinity_terms};
use crate::node::Node;
use crate::refusal::Obstacle;

/// How many pods each rule counts in each domain, while a group is being placed.
pub(crate) struct RuleState<'a> {
    rules: Vec<(&'a Rule, BTreeMap<&'a str, i64>)>,
}

/// Domains that pods already placed keep clear of pods such as the one in hand.
#[derive(Default)]
pub(crate) struct Blocked(HashSet<(String, String)>);

impl<'a> RuleState<'a> {
    /// `nodes` are all nodes with whether the pod's node affinity allows them; `pods_on` gives the pods of the nth.
    pub(crate) fn new<'p, I: Iterator<Item = &'p Arc<Object>>>(
        rules: &'a Rules,
        nodes: &[(&'a Node, bool)],
        pods_on: impl Fn(usize) -> I,
    ) -> Self {
        let count = |rule: &'a Rule| {
            let mut counts = BTreeMap::new();
            for (nth, (node, allowed)) in nodes.iter().enumerate() {
                let counts_here = *allowed || !matches!(rule.kind, Kind::Spread { .. } | Kind::PreferredSpread);
                if let Some(domain) = node.labels.get(&rule.topology_key).filter(|_| counts_here) {
                    *counts.entry(domain).or_default() += rule.selected.count(pods_on(nth));
                }
            }
            (rule, counts)
        };
        Self { rules: rules.rules.iter().map(count).collect() }
    }

    pub(crate) fn obstacle(&self, node: &Node) -> Option<Obstacle> {
        self.rules.iter().find_map(|(rule, counts)| obstacle(rule, counts, node))
    }

    /// In points; more is better.
    pub(crate) fn score(&self, node: &Node) -> i64 {
        let points = |(rule, counts): &(&Rule, BTreeMap<&str, i64>)| {
            let here = node.labels.get(&rule.topology_key).and_then(|domain| counts.get(domain)).copied().unwrap_or(0);
            match rule.kind {
                Kind::Preferred { weight } => weight * here.min(1),
                Kind::PreferredSpread => -here * 10,
                _ => 0,
            }
        };
        self.rules.iter().map(points).sum()
    }

    pub(crate) fn note_bound(&mut self, node: &'a Node) {
        for (rule, counts) in self.rules.iter_mut().filter(|(rule, _)| rule.selects_itself) {
            if let Some(domain) = node.labels.get(&rule.topology_key) {
                *counts.entry(domain).or_default() += 1;
            }
        }
    }
}

fn obstacle(rule: &Rule, counts: &BTreeMap<&str, i64>, node: &Node) -> Option<Obstacle> {
    let here = node.labels.get(&rule.topology_key).map(|domain| counts.get(domain).copied().unwrap_or(0));
    let met = match rule.kind {
        // The first of pods that want to be together may go anywhere that has the label.
        Kind::Affinity => match here {
            Some(0) => rule.selects_itself && counts.values().all(|count| *count == 0),
            here => here.is_some(),
        },
        Kind::AntiAffinity => here.unwrap_or(0) == 0,
        Kind::Spread { skew_max, domains_min } => here.is_some_and(|here| {
            let enough = counts.len() as i64 >= domains_min;
            let least = if enough { counts.values().min().copied().unwrap_or(0) } else { 0 };
            here + i64::from(rule.selects_itself) - least <= skew_max
        }),
        Kind::Preferred { .. } | Kind::PreferredSpread => true,
    };
    (!met).then_some(match rule.kind {
        Kind::Affinity => Obstacle::PodAffinity,
        Kind::AntiAffinity => Obstacle::PodAntiAffinity,
        _ => Obstacle::TopologySpread,
    })
}

impl Blocked {
    /// `placed` are the pods with required anti-affinity, and their nodes.
    pub(crate) fn new<'p>(
        pod: &Object,
        placed: impl Iterator<Item = (&'p Arc<Object>, &'p Node)>,
        snapshot: &Snapshot,
    ) -> Self {
        let mut blocked = HashSet::new();
        for (other, node) in placed {
            for (key, selected) in anti_affinity_terms(other, snapshot) {
                if let Some(domain) = node.labels.get(&key).filter(|_| selected.contains(pod)) {
                    blocked.insert((key, domain.to_owned()));
                }
            }
        }
        Self(blocked)
    }

    pub(crate) fn contains(&self, node: &Node) -> bool {
        self.0.iter().any(|(key, domain)| node.labels.get(key) == Some(domain))
    }
}
