//! What a plan looks at: a snapshot, an index over it, and the little that is known beside it.

mod index;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use wasmk_api::{Change, ChangeKind, Key, Object, Snapshot};

use index::Index;

pub(crate) use index::IndexKey;

/// Leases of nodes live here.
pub(crate) const LEASE_NAMESPACE: &str = "kube-node-lease";

/// A snapshot with an index, kept current by what changed between two snapshots.
pub struct View {
    snapshot: Snapshot,
    index: Index,
    /// When each node's Lease was last seen to change, by our own clock: clocks of nodes are never compared with ours,
    /// and after a start every node has its full grace.
    heartbeats: HashMap<Arc<str>, Heartbeat>,
    /// No silence before this counts.
    started: Timestamp,
    refusals: HashMap<Key, Refusal>,
}

/// When a node's Lease was last seen to change.
#[derive(Clone, Copy)]
pub(crate) struct Heartbeat {
    pub(crate) at: Timestamp,
    /// A renewal was seen, not just a Lease that may be old.
    pub(crate) renewed: bool,
}

/// The API refused what was planned for a key.
pub(crate) struct Refusal {
    pub(crate) message: String,
    pub(crate) retry_at: Timestamp,
}

impl View {
    /// An empty cluster.
    pub fn new(now: Timestamp) -> Self {
        let (snapshot, index) = (Snapshot::default(), Index::default());
        Self { snapshot, index, heartbeats: HashMap::new(), started: now, refusals: HashMap::new() }
    }

    /// Takes in a later snapshot; returns what changed. An object that was replaced by another of the same name is
    /// deleted, then added.
    pub fn advance(&mut self, snapshot: Snapshot, now: Timestamp) -> Vec<Change> {
        let changes: Vec<Change> =
            snapshot.changes_since(&self.snapshot).into_iter().flat_map(split_replacement).collect();
        for change in &changes {
            self.index.apply(change);
            self.note_heartbeat(change, now);
            if change.kind == ChangeKind::Deleted {
                self.refusals.remove(change.object.key());
            }
        }
        self.snapshot = snapshot;
        changes
    }

    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        self.snapshot.get(key)
    }

    pub(crate) fn find(&self, resource: &str, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        self.snapshot.get(&Key::new(resource, namespace, name))
    }

    /// The objects under one key of the index, in key order.
    pub(crate) fn indexed<'a>(&'a self, key: &IndexKey) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
        self.index.keys(key).filter_map(|key| self.snapshot.get(key))
    }

    pub(crate) fn count(&self, key: &IndexKey) -> usize {
        self.index.count(key)
    }

    /// Objects of `resource` that `owner` controls.
    pub(crate) fn controlled<'a>(
        &'a self,
        owner: &Object,
        resource: &'static str,
    ) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
        let uid = owner.uid().to_owned();
        let objects =
            self.indexed(&IndexKey::owner(&uid)).filter(move |object| object.key().resource.as_str() == resource);
        objects.filter(move |object| object.controller_uid() == Some(&uid))
    }

    /// Objects of `resource` in `namespace` that `selector` matches; costs the smallest set of one of its labels.
    pub(crate) fn selected(
        &self,
        resource: &str,
        namespace: &str,
        selector: &wasmk_api::Selector,
    ) -> Vec<&Arc<Object>> {
        let labels = |requirement: &wasmk_api::selector::Requirement| -> Vec<IndexKey> {
            requirement
                .values()
                .iter()
                .map(|value| IndexKey::label(resource, namespace, requirement.key(), value))
                .collect()
        };
        let positive = selector.requirements().iter().filter(|requirement| {
            use wasmk_api::selector::Operator::{Equals, In};
            matches!(requirement.operator(), Equals | In)
        });
        let smallest = positive.map(labels).min_by_key(|keys| keys.iter().map(|key| self.count(key)).sum::<usize>());
        match smallest {
            Some(keys) => {
                let found: BTreeSet<&Key> = keys.iter().flat_map(|key| self.index.keys(key)).collect();
                let objects = found.into_iter().filter_map(|key| self.snapshot.get(key));
                objects.filter(|object| selector.matches(&***object)).collect()
            }
            None => {
                let all = self.snapshot.list_from(Key::new(resource, namespace, ""));
                let all = all.take_while(|object| object.namespace() == namespace);
                all.filter(|object| selector.matches(&***object)).collect()
            }
        }
    }

    /// Keys of the objects of `resource` whose selector may match `object`'s labels.
    pub(crate) fn selecting<'a>(&'a self, resource: &'a str, object: &'a Object) -> impl Iterator<Item = &'a Key> {
        let unlabelled = IndexKey::selector_any(resource, object.namespace());
        let labels =
            object.labels().map(move |(key, value)| IndexKey::selector(resource, object.namespace(), key, value));
        let index_keys: Vec<IndexKey> = labels.chain([unlabelled]).collect();
        let found: BTreeSet<&Key> = index_keys.iter().flat_map(|key| self.index.keys(key)).collect();
        found.into_iter()
    }

    /// When a node was last heard of; one without a Lease never was.
    pub(crate) fn heartbeat(&self, node: &str) -> Option<Heartbeat> {
        self.heartbeats.get(node).copied()
    }

    pub(crate) fn started(&self) -> Timestamp {
        self.started
    }

    pub(crate) fn heartbeats(&self) -> impl Iterator<Item = Timestamp> {
        self.heartbeats.values().map(|heartbeat| heartbeat.at)
    }

    pub(crate) fn refusal(&self, key: &Key) -> Option<&Refusal> {
        self.refusals.get(key)
    }

    pub(crate) fn refuse(&mut self, key: &Key, message: &str, retry_at: Timestamp) {
        self.refusals.insert(key.clone(), Refusal { message: message.to_owned(), retry_at });
    }

    /// A control plane that was asleep (a closed laptop, a stopped process) heard no heartbeats; nodes are not to blame.
    pub(crate) fn forgive_silence(&mut self, now: Timestamp) {
        self.heartbeats.values_mut().for_each(|heartbeat| *heartbeat = Heartbeat { at: now, renewed: false });
        self.started = now;
    }

    fn note_heartbeat(&mut self, change: &Change, now: Timestamp) {
        let key = change.object.key();
        if key.resource.as_str() != "leases.coordination.k8s.io" || &*key.namespace != LEASE_NAMESPACE {
            return;
        }
        let renewed = match change.kind {
            ChangeKind::Deleted => {
                self.heartbeats.remove(&key.name);
                return;
            }
            ChangeKind::Added => false,
            ChangeKind::Modified => true,
        };
        if change.previous.as_deref().map(renew_time) != Some(renew_time(&change.object)) || !renewed {
            self.heartbeats.insert(key.name.clone(), Heartbeat { at: now, renewed });
        }
    }
}

fn renew_time(lease: &Object) -> &serde_json::Value {
    &lease.value()["spec"]["renewTime"]
}

fn split_replacement(change: Change) -> Vec<Change> {
    match &change.previous {
        Some(previous) if change.kind == ChangeKind::Modified && previous.uid() != change.object.uid() => {
            let gone = Change { kind: ChangeKind::Deleted, object: previous.clone(), previous: Some(previous.clone()) };
            vec![gone, Change { kind: ChangeKind::Added, object: change.object, previous: None }]
        }
        _ => vec![change],
    }
}

#[cfg(test)]
impl View {
    pub(crate) fn index_for_test(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        self.index.clone()
    }
}
