use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use wasmk_api::{Change, ChangeKind, Key, Object, Snapshot};

use crate::batch::Batch;
use crate::group::{Group, Likeness, priority};
use crate::node::{HostPort, Node};
use crate::outcome::PlacementPlan;
use crate::resources::Resources;

/// The cluster as placement sees it, kept current by what changed between snapshots.
#[derive(Default)]
pub struct Placer {
    snapshot: Snapshot,
    pub(crate) nodes: BTreeMap<Arc<str>, Node>,
    pub(crate) loads: HashMap<Arc<str>, Load>,
    /// Replicas of an owner by node.
    pub(crate) siblings: HashMap<Arc<str>, HashMap<Arc<str>, i64>>,
    placed: HashMap<Key, Placed>,
    waiting: BTreeSet<Key>,
    /// Placed pods that want none of some others near them.
    exclusive: BTreeSet<Key>,
}

/// What the pods of one node take. A pod may name a node that is not there (yet).
#[derive(Clone, Default)]
pub(crate) struct Load {
    pub(crate) used: Resources,
    pub(crate) ports: Vec<HostPort>,
    pub(crate) pods: BTreeMap<Key, Arc<Object>>,
}

struct Placed {
    node: Arc<str>,
    request: Resources,
    ports: Vec<HostPort>,
    owner: Option<Arc<str>>,
}

/// The plan for one snapshot.
pub fn plan(snapshot: &Snapshot) -> PlacementPlan {
    let mut placer = Placer::default();
    placer.observe(snapshot.clone());
    placer.plan()
}

impl Placer {
    /// Takes in a later snapshot. True if a plan made now could differ from one made before it, and pods are waiting.
    pub fn observe(&mut self, snapshot: Snapshot) -> bool {
        let mut matters = false;
        for change in snapshot.changes_since(&self.snapshot) {
            matters |= match change.object.key().resource.as_str() {
                "nodes" => self.observe_node(&change),
                "pods" => self.observe_pod(&change),
                _ => false,
            };
        }
        self.snapshot = snapshot;
        matters && !self.waiting.is_empty()
    }

    pub fn plan(&self) -> PlacementPlan {
        let mut batch = Batch::new(self);
        for group in self.groups() {
            batch.place(&group);
        }
        batch.into_plan()
    }

    /// Pods that wait for a node.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn load(&self, node: &str) -> Option<&Load> {
        self.loads.get(node)
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub(crate) fn pods_with_anti_affinity(&self) -> impl Iterator<Item = (&Arc<Object>, &Node)> {
        let placed = self.exclusive.iter().filter_map(|key| Some((self.snapshot.get(key)?, self.placed.get(key)?)));
        placed.filter_map(|(pod, placed)| Some((pod, self.nodes.get(&placed.node)?)))
    }

    /// Alike pods together; higher priority first, then older.
    fn groups(&self) -> Vec<Group> {
        let mut groups: HashMap<Likeness<'_>, Vec<Arc<Object>>> = HashMap::new();
        for pod in self.waiting.iter().filter_map(|key| self.snapshot.get(key)) {
            groups.entry(Likeness::new(pod)).or_default().push(pod.clone());
        }
        let mut groups: Vec<Vec<Arc<Object>>> = groups.into_values().collect();
        let created = |pod: &Object| pod.metadata()["creationTimestamp"].as_str().unwrap_or_default().to_owned();
        groups.sort_by_cached_key(|pods| {
            let oldest = pods.iter().map(|pod| created(pod)).min();
            (std::cmp::Reverse(priority(&pods[0])), oldest, pods[0].key().clone())
        });
        groups.into_iter().map(|pods| Group::new(pods, &self.snapshot)).collect()
    }

    fn observe_node(&mut self, change: &Change) -> bool {
        let name = &change.object.key().name;
        if change.kind == ChangeKind::Deleted {
            return self.nodes.remove(name).is_some();
        }
        let node = Node::new(&change.object);
        if self.nodes.get(name) == Some(&node) {
            return false;
        }
        self.nodes.insert(name.clone(), node);
        true
    }

    fn observe_pod(&mut self, change: &Change) -> bool {
        let (pod, key) = (&change.object, change.object.key());
        self.waiting.remove(key);
        let freed = self.take_off(key);
        if change.kind == ChangeKind::Deleted || is_finished(pod) {
            return freed;
        }
        match pod.value()["spec"]["nodeName"].as_str().filter(|name| !name.is_empty()) {
            Some(node) => {
                self.put_on(node.into(), pod);
                !is_only_status(change)
            }
            None => is_ours(pod) && self.waiting.insert(key.clone()) && !is_only_status(change),
        }
    }

    fn put_on(&mut self, node: Arc<str>, pod: &Arc<Object>) {
        let (request, ports) = (Resources::requested_by(pod), HostPort::of_pod(pod));
        let owner: Option<Arc<str>> = pod.controller_uid().map(Arc::from);
        let load = self.loads.entry(node.clone()).or_default();
        load.used.add(&request);
        load.ports.extend(ports.iter().cloned());
        load.pods.insert(pod.key().clone(), pod.clone());
        if let Some(owner) = &owner {
            *self.siblings.entry(owner.clone()).or_default().entry(node.clone()).or_default() += 1;
        }
        if has_anti_affinity(pod) {
            self.exclusive.insert(pod.key().clone());
        }
        self.placed.insert(pod.key().clone(), Placed { node, request, ports, owner });
    }

    fn take_off(&mut self, key: &Key) -> bool {
        let Some(placed) = self.placed.remove(key) else { return false };
        let load = self.loads.get_mut(&placed.node).expect("invariant: a placed pod's node has a load");
        load.used.subtract(&placed.request);
        for port in &placed.ports {
            let at =
                load.ports.iter().position(|taken| taken == port).expect("invariant: a placed pod's ports are taken");
            load.ports.swap_remove(at);
        }
        load.pods.remove(key);
        self.exclusive.remove(key);
        if load.pods.is_empty() {
            self.loads.remove(&placed.node);
        }
        if let Some(owner) = &placed.owner {
            let nodes = self.siblings.get_mut(owner).expect("invariant: a placed pod's owner has replicas");
            let count = nodes.get_mut(&placed.node).expect("invariant: a placed pod counts on its node");
            *count -= 1;
            if *count == 0 {
                nodes.remove(&placed.node);
            }
            if nodes.is_empty() {
                self.siblings.remove(owner);
            }
        }
        true
    }
}

pub(crate) fn has_anti_affinity(pod: &Object) -> bool {
    let apart = &pod.value()["spec"]["affinity"]["podAntiAffinity"];
    apart["requiredDuringSchedulingIgnoredDuringExecution"].is_array()
}

fn is_finished(pod: &Object) -> bool {
    matches!(pod.value()["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// Waits for this scheduler, and nothing holds it back.
fn is_ours(pod: &Object) -> bool {
    let spec = &pod.value()["spec"];
    let gated = spec["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty());
    let scheduler = spec["schedulerName"].as_str().unwrap_or_default();
    !pod.is_deleting() && !gated && matches!(scheduler, "" | "default-scheduler")
}

/// Nothing new to plan from: the pod reports, or was told why it waits.
fn is_only_status(change: &Change) -> bool {
    let Some(previous) = &change.previous else { return false };
    let same = |field: &str| previous.value()[field] == change.object.value()[field];
    let labels = |object: &Object| object.metadata()["labels"].clone();
    same("spec") && labels(previous) == labels(&change.object)
}
