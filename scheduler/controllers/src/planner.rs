use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::{SignedDuration, Timestamp};
use wasmk_api::{Change, ChangeKind, Key, Snapshot};

use crate::{Clock, Controller, Plan, Settings, View, controllers};

/// Retries of a refused key wait this long at first and twice as long each time.
const BACKOFF_MIN: SignedDuration = SignedDuration::from_millis(200);
const BACKOFF_MAX: SignedDuration = SignedDuration::from_secs(60);

/// Which keys need a look, and what to do about them. A state machine: the driver brings snapshots and the time, and takes
/// plans away.
pub struct Planner {
    controllers: &'static [Controller],
    settings: Settings,
    view: View,
    dirty: Queue,
    timers: BTreeSet<(Timestamp, Item)>,
    due: BTreeMap<Item, Timestamp>,
    /// Keys whose plan wanted something written, and the revision that it was made at. They are looked at again whatever
    /// later snapshots show: the commit may have failed, and what was created may be gone again before anyone saw it.
    unsettled: BTreeMap<Item, u64>,
    refusals: BTreeMap<Item, Refused>,
    broken: Vec<Broken>,
}

/// A bug: a controller panicked over one key. Nobody else's keys are concerned, and this one is tried again after a while.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    pub controller: &'static str,
    /// What was planned, or what had changed.
    pub key: Key,
    pub message: String,
}

#[derive(Clone, Copy, Default)]
struct Refused {
    count: u32,
    /// Not planned at all before.
    blocked_until: Option<Timestamp>,
}

/// A plan, and what it was made for.
#[derive(Clone, Debug)]
pub struct Planned {
    pub controller: &'static str,
    pub key: Key,
    pub plan: Plan,
    item: Item,
}

/// An index into the table of controllers, and a key of that controller.
type Item = (usize, Key);

/// First come, first served, so that no controller waits for another to run out of work; each item once.
#[derive(Default)]
struct Queue {
    order: VecDeque<Item>,
    members: BTreeSet<Item>,
}

impl Planner {
    /// Starts with everything to be looked at.
    pub fn new(snapshot: Snapshot, now: Timestamp, settings: Settings) -> Self {
        Self::with_controllers(controllers(), snapshot, now, settings)
    }

    pub(crate) fn with_controllers(
        controllers: &'static [Controller],
        snapshot: Snapshot,
        now: Timestamp,
        settings: Settings,
    ) -> Self {
        let mut planner = Self {
            controllers,
            settings,
            view: View::new(now),
            dirty: Queue::default(),
            timers: BTreeSet::new(),
            due: BTreeMap::new(),
            unsettled: BTreeMap::new(),
            refusals: BTreeMap::new(),
            broken: Vec::new(),
        };
        planner.observe(snapshot, now);
        planner
    }

    /// Takes in the latest snapshot, and marks what its changes affect.
    pub fn observe(&mut self, snapshot: Snapshot, now: Timestamp) {
        self.mark_unsettled(snapshot.revision(), now);
        let changes = self.view.advance(snapshot, now);
        for change in &changes {
            for (index, controller) in self.controllers.iter().enumerate() {
                self.mark(index, controller, change);
            }
        }
    }

    /// The plans of at most `limit` keys that need a look at `now`; those that want nothing done are left out. Plans of one
    /// call are made from one snapshot: commit, then observe, before the next call.
    pub fn plan(&mut self, now: Timestamp, limit: usize) -> Vec<Planned> {
        let overslept = self.wake_at().is_some_and(|at| now.duration_since(at) > self.settings.node_grace);
        if overslept {
            self.view.forgive_silence(now);
        }
        self.mark_due(now);
        let mut plans = Vec::new();
        for _ in 0..limit {
            let Some((index, key)) = self.dirty.pop() else { break };
            plans.extend(self.plan_one((index, key), now));
        }
        plans
    }

    /// Whether [`Planner::observe`] and [`Planner::plan`] should be called again at once.
    pub fn has_work(&self) -> bool {
        !self.dirty.is_empty() || !self.unsettled.is_empty()
    }

    /// When to call [`Planner::plan`] though nothing has changed.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// The API refused a write of this plan, with `message`: nothing of it is tried again for a while.
    pub fn refused(&mut self, planned: &Planned, message: &str, now: Timestamp) {
        let item = &planned.item;
        let again_at = self.count_refusal(item, now);
        let shown = self.view.refusal(&planned.key).is_some_and(|refusal| now < refusal.retry_at);
        if shown || !self.controllers[item.0].shows_refusals {
            // Even telling about it was refused.
            self.block(item, again_at);
        }
        self.view.refuse(&planned.key, message, again_at);
    }

    /// The bugs met since the last call.
    pub fn take_broken(&mut self) -> Vec<Broken> {
        std::mem::take(&mut self.broken)
    }

    pub fn view(&self) -> &View {
        &self.view
    }

    fn mark(&mut self, index: usize, controller: &Controller, change: &Change) {
        let resource = change.object.key().resource.as_str();
        if !controller.reads.is_empty() && !controller.reads.contains(&resource) {
            return;
        }
        let mut keys = BTreeSet::new();
        let marked = catch_unwind(AssertUnwindSafe(|| (controller.affected)(&self.view, change, &mut keys)));
        if let Err(panic) = marked {
            self.note_broken(controller.name, change.object.key(), &*panic);
        }
        keys.into_iter().for_each(|key| self.dirty.push((index, key)));
        if change.kind == ChangeKind::Deleted {
            self.refusals.remove(&(index, change.object.key().clone()));
        }
    }

    /// A commit that left no trace (the store does not write, or nothing came of it) is not tried again at once.
    fn mark_unsettled(&mut self, revision: u64, now: Timestamp) {
        for (item, planned_at) in std::mem::take(&mut self.unsettled) {
            if revision > planned_at {
                self.dirty.push(item);
            } else {
                let known = self.due.get(&item).copied();
                self.set_timer(item, Some(known.map_or(now + BACKOFF_MIN, |at| at.min(now + BACKOFF_MIN))));
            }
        }
    }

    fn mark_due(&mut self, now: Timestamp) {
        while self.timers.first().is_some_and(|(at, _)| *at <= now) {
            let (_, item) = self.timers.pop_first().expect("invariant: it was just seen");
            self.due.remove(&item);
            self.dirty.push(item);
        }
    }

    fn plan_one(&mut self, item: Item, now: Timestamp) -> Option<Planned> {
        if self.refusals.get(&item).is_some_and(|refused| refused.blocked_until.is_some_and(|until| now < until)) {
            return None;
        }
        let controller = &self.controllers[item.0];
        let clock = Clock { now, settings: &self.settings };
        // A plan only reads: what it leaves behind when it breaks down is whole.
        let plan = match catch_unwind(AssertUnwindSafe(|| (controller.plan)(&self.view, &item.1, &clock))) {
            Ok(plan) => plan,
            Err(panic) => {
                self.note_broken(controller.name, &item.1, &*panic);
                let again_at = self.count_refusal(&item, now);
                self.block(&item, again_at);
                return None;
            }
        };
        self.set_timer(item.clone(), plan.wake_at);
        if plan.is_empty() {
            self.refusals.remove(&item);
            return None;
        }
        if !plan.actions.is_empty() {
            self.unsettled.insert(item.clone(), self.view.snapshot().revision());
        }
        Some(Planned { controller: controller.name, key: item.1.clone(), plan, item })
    }

    /// Answers with when to try again.
    fn count_refusal(&mut self, item: &Item, now: Timestamp) -> Timestamp {
        let refused = self.refusals.entry(item.clone()).or_default();
        refused.count = refused.count.saturating_add(1);
        now + (BACKOFF_MIN * 2_i32.pow((refused.count - 1).min(16))).min(BACKOFF_MAX)
    }

    fn block(&mut self, item: &Item, until: Timestamp) {
        self.refusals.entry(item.clone()).or_default().blocked_until = Some(until);
        self.set_timer(item.clone(), Some(until));
        self.unsettled.remove(item);
    }

    fn note_broken(&mut self, controller: &'static str, key: &Key, panic: &(dyn Any + Send)) {
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let message = text.unwrap_or("a panic without words").to_owned();
        self.broken.push(Broken { controller, key: key.clone(), message });
    }

    fn set_timer(&mut self, item: Item, at: Option<Timestamp>) {
        let known = match at {
            Some(at) => self.due.insert(item.clone(), at),
            None => self.due.remove(&item),
        };
        if let Some(known) = known {
            self.timers.remove(&(known, item.clone()));
        }
        if let Some(at) = at {
            self.timers.insert((at, item));
        }
    }
}

impl Queue {
    fn push(&mut self, item: Item) {
        if self.members.insert(item.clone()) {
            self.order.push_back(item);
        }
    }

    fn pop(&mut self) -> Option<Item> {
        let item = self.order.pop_front()?;
        self.members.remove(&item);
        Some(item)
    }

    fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests;
