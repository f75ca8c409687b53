use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::watch;
use wasmk_api::{Change, ResourceName};

/// Changes that a resource's history keeps, in batches: some minutes of a busy cluster, and what a client may lag
/// behind before it must list again.
const HISTORY_BATCHES_MAX: usize = 16_384;
/// Bytes of JSON that a resource's history keeps. The newest batch is kept however large it is.
const HISTORY_BYTES_MAX: usize = 32 << 20;
/// What a change costs beside its JSON: two `Arc`s and the entry itself, rounded up.
const CHANGE_OVERHEAD_BYTES: usize = 128;

/// What one transaction changed in one resource, shared by everyone who watches that resource.
#[derive(Clone, Debug)]
pub struct Batch {
    pub revision: u64,
    pub changes: Arc<[Change]>,
}

/// The recent past of every resource. A resource with much traffic does not push out the past of another.
pub(crate) struct History {
    /// The revision at which the store was opened: nothing is known of what came before.
    opened_at: u64,
    limits: Limits,
    resources: HashMap<ResourceName, Ring>,
}

#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) batches_max: usize,
    pub(crate) bytes_max: usize,
}

/// The recent past of one resource.
pub(crate) struct Ring {
    limits: Limits,
    batches: VecDeque<Batch>,
    bytes: usize,
    /// Changes up to this revision are forgotten.
    floor: u64,
    latest: watch::Sender<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { batches_max: HISTORY_BATCHES_MAX, bytes_max: HISTORY_BYTES_MAX }
    }
}

impl History {
    pub(crate) fn new(opened_at: u64, limits: Limits) -> Self {
        Self { opened_at, limits, resources: HashMap::new() }
    }

    pub(crate) fn get(&self, resource: &ResourceName) -> Option<&Ring> {
        self.resources.get(resource)
    }

    /// Changes of `resource` up to this revision are forgotten.
    pub(crate) fn floor(&self, resource: &ResourceName) -> u64 {
        self.get(resource).map_or(self.opened_at, Ring::floor)
    }

    pub(crate) fn ring(&mut self, resource: &ResourceName) -> &mut Ring {
        let (opened_at, limits) = (self.opened_at, self.limits);
        self.resources.entry(resource.clone()).or_insert_with(|| Ring::new(opened_at, limits))
    }

    /// Files `changes` under their resources, and adds to `woken` who has to be told of it.
    pub(crate) fn push(&mut self, revision: u64, changes: &[Change], woken: &mut HashMap<ResourceName, Wake>) {
        for (resource, changes) in by_resource(changes) {
            let ring = self.ring(&resource);
            ring.push(Batch { revision, changes });
            woken.insert(resource, Wake { latest: ring.latest.clone(), revision });
        }
    }

    /// Ends every watch: their senders go.
    pub(crate) fn clear(&mut self) {
        self.resources.clear();
    }
}

/// A wake-up that is still to be sent, after the lock is released.
pub(crate) struct Wake {
    latest: watch::Sender<u64>,
    revision: u64,
}

impl Wake {
    pub(crate) fn send(self) {
        self.latest.send_replace(self.revision);
    }
}

impl Ring {
    fn new(floor: u64, limits: Limits) -> Self {
        Self { limits, batches: VecDeque::new(), bytes: 0, floor, latest: watch::Sender::new(floor) }
    }

    fn push(&mut self, batch: Batch) {
        self.bytes += weight(&batch);
        self.batches.push_back(batch);
        while self.batches.len() > 1
            && (self.batches.len() > self.limits.batches_max || self.bytes > self.limits.bytes_max)
        {
            let oldest = self.batches.pop_front().expect("invariant: more than one batch");
            self.bytes -= weight(&oldest);
            self.floor = oldest.revision;
        }
    }

    pub(crate) fn floor(&self) -> u64 {
        self.floor
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    /// The batches after `revision`, oldest first, or `None` if some of them are forgotten.
    pub(crate) fn after(&self, revision: u64) -> Option<impl DoubleEndedIterator<Item = &Batch>> {
        if revision < self.floor {
            return None;
        }
        let start = self.batches.partition_point(|batch| batch.revision <= revision);
        Some(self.batches.range(start..))
    }
}

/// The JSON of every object is encoded once; doing it here, before the lock is taken, spares the watchers.
pub(crate) fn encode(changes: &[Change]) {
    for change in changes {
        change.object.encoded();
    }
}

fn weight(batch: &Batch) -> usize {
    batch.changes.iter().map(|change| change.object.encoded().len() + CHANGE_OVERHEAD_BYTES).sum()
}

fn by_resource(changes: &[Change]) -> Vec<(ResourceName, Arc<[Change]>)> {
    let mut groups: Vec<(ResourceName, Vec<Change>)> = Vec::new();
    for change in changes {
        let resource = &change.object.key().resource;
        match groups.iter_mut().find(|(known, _)| known == resource) {
            Some((_, group)) => group.push(change.clone()),
            None => groups.push((resource.clone(), vec![change.clone()])),
        }
    }
    groups.into_iter().map(|(resource, group)| (resource, group.into())).collect()
}
