use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use wasmk_api::Object;

use crate::group::Group;
use crate::node::{HostPort, Node};
use crate::outcome::{Binding, PlacementPlan, Refusal};
use crate::placer::{Placer, has_anti_affinity};
use crate::refusal::{Obstacle, Tally};
use crate::resources::Resources;
use crate::rules::{Blocked, RuleState};
use crate::{score, taints};

/// One plan in the making: what each node would have on it, were everything so far done.
pub(crate) struct Batch<'a> {
    placer: &'a Placer,
    nodes: Vec<&'a Node>,
    used: Vec<Resources>,
    ports: Vec<Vec<HostPort>>,
    added: Vec<Vec<Arc<Object>>>,
    siblings: HashMap<Arc<str>, Vec<i64>>,
    plan: PlacementPlan,
}

/// A node that the fixed filters let through, by its place in [`Batch::nodes`].
struct Candidate {
    at: usize,
    fixed_score: i64,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(placer: &'a Placer) -> Self {
        let nodes: Vec<&Node> = placer.nodes.values().collect();
        let loads: Vec<_> = nodes.iter().map(|node| placer.load(&node.name)).collect();
        Self {
            placer,
            used: loads.iter().map(|load| load.map(|load| load.used.clone()).unwrap_or_default()).collect(),
            ports: loads.iter().map(|load| load.map(|load| load.ports.clone()).unwrap_or_default()).collect(),
            added: vec![Vec::new(); nodes.len()],
            siblings: HashMap::new(),
            nodes,
            plan: PlacementPlan::default(),
        }
    }

    pub(crate) fn place(&mut self, group: &Group) {
        let mut tally = Tally::default();
        let candidates = self.candidates(group, &mut tally);
        let mut siblings = self.siblings_of(group);
        let placed = if group.rules.is_empty() {
            self.place_by_heap(group, &candidates, &mut siblings)
        } else {
            self.place_by_scan(group, &candidates, &mut siblings)
        };
        if let Some(owner) = &group.owner {
            self.siblings.insert(owner.clone(), siblings);
        }
        if placed < group.pods.len() {
            self.refuse(group, &group.pods[placed..], &candidates, tally);
        }
    }

    pub(crate) fn into_plan(self) -> PlacementPlan {
        self.plan
    }

    fn candidates(&self, group: &Group, tally: &mut Tally) -> Vec<Candidate> {
        let blocked = self.blocked(group);
        let mut candidates = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            match fixed_obstacle(group, node, &blocked) {
                Some(obstacle) => tally.add(obstacle),
                None => candidates.push(Candidate { at, fixed_score: score::fixed(group, node) }),
            }
        }
        candidates
    }

    /// The best node stays on top: placing a pod changes the score of its own node only.
    fn place_by_heap(&mut self, group: &Group, candidates: &[Candidate], siblings: &mut [i64]) -> usize {
        let fixed: HashMap<usize, i64> = candidates.iter().map(|one| (one.at, one.fixed_score)).collect();
        let fitting = candidates.iter().filter(|one| self.fits(group, one.at));
        let mut heap: BinaryHeap<(i64, Reverse<usize>)> =
            fitting.map(|one| (one.fixed_score + self.score(group, one.at, siblings), Reverse(one.at))).collect();
        for (nth, pod) in group.pods.iter().enumerate() {
            let Some((_, Reverse(at))) = heap.pop() else { return nth };
            self.bind(group, pod, at, siblings);
            if self.fits(group, at) {
                heap.push((fixed[&at] + self.score(group, at, siblings), Reverse(at)));
            }
        }
        group.pods.len()
    }

    /// For rules about other pods, with which placing one changes what other nodes are worth.
    fn place_by_scan(&mut self, group: &Group, candidates: &[Candidate], siblings: &mut [i64]) -> usize {
        let mut state = self.rule_state(group);
        for (nth, pod) in group.pods.iter().enumerate() {
            let open = candidates.iter().filter(|one| self.fits(group, one.at));
            let open = open.filter(|one| state.obstacle(self.nodes[one.at]).is_none());
            let best = open.max_by_key(|one| {
                let rules = state.score(self.nodes[one.at]) * score::RULE;
                (one.fixed_score + rules + self.score(group, one.at, siblings), Reverse(one.at))
            });
            let Some(&Candidate { at, .. }) = best else { return nth };
            self.bind(group, pod, at, siblings);
            state.note_bound(self.nodes[at]);
        }
        group.pods.len()
    }

    fn bind(&mut self, group: &Group, pod: &Arc<Object>, at: usize, siblings: &mut [i64]) {
        self.used[at].add(&group.request);
        self.ports[at].extend(group.ports.iter().cloned());
        self.added[at].push(pod.clone());
        siblings[at] += 1;
        self.plan.bindings.push(Binding {
            pod: pod.key().clone(),
            uid: pod.uid().to_owned(),
            revision: pod.revision(),
            node: self.nodes[at].name.to_string(),
        });
    }

    fn refuse(&mut self, group: &Group, pods: &[Arc<Object>], candidates: &[Candidate], mut tally: Tally) {
        let state = self.rule_state(group);
        for one in candidates {
            let obstacles = self.changing_obstacles(group, one.at);
            match obstacles.is_empty() {
                true => state.obstacle(self.nodes[one.at]).into_iter().for_each(|obstacle| tally.add(obstacle)),
                false => obstacles.into_iter().for_each(|obstacle| tally.add(obstacle)),
            }
        }
        let open = candidates.iter().map(|one| (self.nodes[one.at], &self.used[one.at]));
        let message = tally.message(self.nodes.len(), &group.request, open);
        let obstacles = tally.into_list();
        self.plan.refusals.extend(pods.iter().map(|pod| Refusal {
            pod: pod.key().clone(),
            uid: pod.uid().to_owned(),
            revision: pod.revision(),
            obstacles: obstacles.clone(),
            message: message.clone(),
        }));
    }

    fn fits(&self, group: &Group, at: usize) -> bool {
        self.nodes[at].allocatable.fits(&self.used[at], &group.request) && !self.ports_taken(group, at)
    }

    fn ports_taken(&self, group: &Group, at: usize) -> bool {
        group.ports.iter().any(|port| self.ports[at].iter().any(|taken| taken.conflicts(port)))
    }

    fn changing_obstacles(&self, group: &Group, at: usize) -> Vec<Obstacle> {
        if self.ports_taken(group, at) {
            return vec![Obstacle::HostPorts];
        }
        let (all, used) = (&self.nodes[at].allocatable, &self.used[at]);
        let crowded = (used.pods.saturating_add(group.request.pods) > all.pods).then_some(Obstacle::TooManyPods);
        let short = all.short_of(used, &group.request).into_iter().map(Obstacle::Insufficient);
        crowded.into_iter().chain(short).collect()
    }

    fn score(&self, group: &Group, at: usize, siblings: &[i64]) -> i64 {
        score::changing(self.nodes[at], &self.used[at], &group.request, siblings[at])
    }

    /// Replicas of the group's owner on each node.
    fn siblings_of(&mut self, group: &Group) -> Vec<i64> {
        let Some(owner) = &group.owner else { return vec![0; self.nodes.len()] };
        if let Some(known) = self.siblings.remove(owner) {
            return known;
        }
        let on_nodes = self.placer.siblings.get(owner);
        self.nodes.iter().map(|node| on_nodes.and_then(|nodes| nodes.get(&node.name)).copied().unwrap_or(0)).collect()
    }

    fn rule_state<'g>(&self, group: &'g Group) -> RuleState<'g>
    where
        'a: 'g,
    {
        let nodes: Vec<(&'g Node, bool)> = self.nodes.iter().map(|node| (*node, group.choice.allows(node))).collect();
        RuleState::new(&group.rules, &nodes, |at| self.pods_on(at))
    }

    fn pods_on(&self, at: usize) -> impl Iterator<Item = &Arc<Object>> {
        let load = self.placer.load(&self.nodes[at].name);
        load.into_iter().flat_map(|load| load.pods.values()).chain(&self.added[at])
    }

    fn blocked(&self, group: &Group) -> Blocked {
        let before = self.placer.pods_with_anti_affinity();
        let added = self.added.iter().zip(&self.nodes).flat_map(|(pods, node)| pods.iter().map(|pod| (pod, *node)));
        let added = added.filter(|(pod, _)| has_anti_affinity(pod));
        Blocked::new(&group.pods[0], before.chain(added), self.placer.snapshot())
    }
}

fn fixed_obstacle(group: &Group, node: &Node, blocked: &Blocked) -> Option<Obstacle> {
    if node.unschedulable {
        return Some(Obstacle::Unschedulable);
    }
    if let Some(taint) = taints::untolerated(&node.taints, &group.tolerations) {
        return Some(Obstacle::Taint(taint));
    }
    if !node.ready {
        return Some(Obstacle::NotReady);
    }
    if !group.choice.allows(node) {
        return Some(Obstacle::NodeAffinity);
    }
    blocked.contains(node).then_some(Obstacle::ExistingAntiAffinity)
}
