//! A cluster in a test: a snapshot, the time, and what the API would do with a plan.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use wasmk_api::{Key, Object, Op, Precondition, Snapshot, Transaction};

use crate::clock::stamp;
use crate::{Part, Planner, Propagation, Settings, View, Write};

pub(crate) struct Sim {
    pub(crate) snapshot: Snapshot,
    pub(crate) now: Timestamp,
    pub(crate) planner: Planner,
    /// What was planned since the last [`Sim::take_log`].
    log: String,
    uids: u64,
    only: Option<&'static [&'static str]>,
}

/// Rounds after which a cluster that is left alone must have settled.
const ROUNDS_MAX: usize = 200;

impl Sim {
    pub(crate) fn new() -> Self {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let planner = Planner::new(Snapshot::default(), now, Settings::default());
        let mut sim = Self { snapshot: Snapshot::default(), now, planner, log: String::new(), uids: 0, only: None };
        sim.put("namespaces", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}, "spec": {"finalizers": ["kubernetes"]}}));
        sim
    }

    /// Plans of other controllers are thrown away.
    pub(crate) fn only(mut self, controllers: &'static [&'static str]) -> Self {
        self.only = Some(controllers);
        self
    }

    /// Creates or replaces an object, filling in what the API would. A changed `spec` moves the generation.
    pub(crate) fn put(&mut self, resource: &str, mut value: Value) -> Key {
        let text = |field: &str| value["metadata"][field].as_str().unwrap_or_default().to_owned();
        let key = Key::new(resource, &text("namespace"), &text("name"));
        match self.snapshot.get(&key).cloned() {
            None => self.fill_new(&mut value),
            Some(old) => fill_from(&old, &mut value),
        }
        self.commit(vec![Op::Put { key: key.clone(), value, precondition: Precondition::Any }]);
        key
    }

    /// Changes an object in place, if it is there.
    pub(crate) fn edit(&mut self, key: &Key, change: impl FnOnce(&mut Value)) {
        if let Some(object) = self.snapshot.get(key) {
            let mut value = object.value().clone();
            change(&mut value);
            self.put(key.resource.as_str(), value);
        }
    }

    pub(crate) fn get(&self, key: &Key) -> &Object {
        self.snapshot.get(key).unwrap_or_else(|| panic!("{key} is not there"))
    }

    pub(crate) fn list(&self, resource: &str) -> Vec<Value> {
        self.snapshot.list(&resource.into(), None).map(|object| object.value().clone()).collect()
    }

    pub(crate) fn remove(&mut self, key: &Key) {
        self.commit(vec![Op::Delete { key: key.clone(), precondition: Precondition::Present }]);
    }

    /// Deletion as a user asks for it.
    pub(crate) fn delete(&mut self, key: &Key, propagation: Option<Propagation>) {
        let object = self.get(key);
        let (uid, revision) = (object.uid().to_owned(), object.revision());
        let write = Write::Delete { key: key.clone(), uid, revision, grace_seconds: None, propagation };
        let ops = self.ops(&write);
        self.commit(ops);
    }

    pub(crate) fn pass(&mut self, time: SignedDuration) {
        self.now += time;
    }

    /// One look at everything that changed, and its commits. False if nothing was written.
    pub(crate) fn step(&mut self) -> bool {
        self.planner.observe(self.snapshot.clone(), self.now);
        let plans = self.planner.plan(self.now, usize::MAX);
        let mut wrote = false;
        for planned in plans {
            if self.only.is_some_and(|only| !only.contains(&planned.controller)) {
                continue;
            }
            let ops: Vec<Op> = planned.plan.actions.iter().flat_map(|action| self.ops(&action.write)).collect();
            match self.snapshot.apply(&Transaction { ops }) {
                Ok((next, _)) => {
                    self.snapshot = next;
                    wrote = true;
                    self.log += &planned.plan.to_string();
                }
                // As the driver does: the next observation looks again.
                Err(_) => {}
            }
        }
        wrote || (self.only.is_none() && self.planner.has_work())
    }

    /// Steps until nothing is left to do, then checks that a planner that starts anew has nothing to do either.
    pub(crate) fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            if !self.step() {
                return self.check_idle();
            }
        }
        panic!("still writing after {ROUNDS_MAX} rounds:\n{}", self.take_log());
    }

    /// Lets time pass, stopping wherever the planner asked to be woken.
    pub(crate) fn settle_for(&mut self, time: SignedDuration) {
        let end = self.now + time;
        self.settle();
        while let Some(at) = self.planner.wake_at().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    pub(crate) fn take_log(&mut self) -> String {
        std::mem::take(&mut self.log)
    }

    /// `plan(apply(s, plan(s)))` is empty, and an index kept current equals one built anew.
    pub(crate) fn check_idle(&self) {
        let mut fresh = View::new(self.now);
        fresh.advance(self.snapshot.clone(), self.now);
        assert_eq!(fresh.index_for_test(), self.planner.view().index_for_test(), "the index drifted");
        let mut planner = Planner::new(self.snapshot.clone(), self.now, Settings::default());
        for planned in planner.plan(self.now, usize::MAX) {
            let counts = self.only.is_none_or(|only| only.contains(&planned.controller));
            assert!(!counts, "{} of {} plans again:\n{}", planned.controller, planned.key, planned.plan);
        }
    }

    fn commit(&mut self, ops: Vec<Op>) {
        let (next, _) = self.snapshot.apply(&Transaction { ops }).expect("no conflict");
        self.snapshot = next;
    }

    fn ops(&mut self, write: &Write) -> Vec<Op> {
        match write {
            Write::Create { key, value } => {
                let mut value = value.clone();
                self.fill_new(&mut value);
                vec![Op::Put { key: key.clone(), value, precondition: Precondition::Absent }]
            }
            Write::Update { key, revision, value, part } => {
                let Some(old) = self.snapshot.get(key) else { return vec![] };
                let precondition = Precondition::Revision(*revision);
                vec![update(old, value, *part, precondition)]
            }
            Write::Delete { key, revision, grace_seconds, propagation, .. } => {
                let Some(old) = self.snapshot.get(key) else { return vec![] };
                vec![delete(old, *grace_seconds, *propagation, Precondition::Revision(*revision), self.now)]
            }
        }
    }

    fn fill_new(&mut self, value: &mut Value) {
        self.uids += 1;
        let metadata = &mut value["metadata"];
        if metadata["uid"].is_null() {
            metadata["uid"] = json!(format!("uid-{}", self.uids));
        }
        if metadata["creationTimestamp"].is_null() {
            metadata["creationTimestamp"] = json!(stamp(self.now));
        }
        metadata["generation"] = json!(1);
    }
}

fn fill_from(old: &Object, value: &mut Value) {
    for field in ["uid", "creationTimestamp"] {
        value["metadata"][field] = old.metadata()[field].clone();
    }
    let moved = value["spec"] != old.value()["spec"];
    value["metadata"]["generation"] = json!(old.generation() + i64::from(moved));
}

fn update(old: &Object, wanted: &Value, part: Part, precondition: Precondition) -> Op {
    let (key, mut value) = (old.key().clone(), old.value().clone());
    if part != Part::Status {
        value = wanted.clone();
        value["status"] = old.value()["status"].clone();
        fill_from(old, &mut value);
    }
    if part != Part::Main {
        value["status"] = wanted["status"].clone();
    }
    if value["status"].is_null() {
        value.as_object_mut().unwrap().remove("status");
    }
    let gone = old.is_deleting()
        && is_released(&value)
        && value["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0;
    if gone { Op::Delete { key, precondition } } else { Op::Put { key, value, precondition } }
}

fn is_released(value: &Value) -> bool {
    let none = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    none(&value["metadata"]["finalizers"]) && (value["kind"] != "Namespace" || none(&value["spec"]["finalizers"]))
}

fn delete(
    old: &Object,
    grace_seconds: Option<i64>,
    propagation: Option<Propagation>,
    precondition: Precondition,
    now: Timestamp,
) -> Op {
    let (key, mut value) = (old.key().clone(), old.value().clone());
    let bound = key.resource.as_str() == "pods" && value["spec"]["nodeName"].is_string();
    let finished = matches!(value["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    let grace = if bound && !finished { grace_seconds.unwrap_or(30) } else { 0 };
    let finalizer = match propagation {
        Some(Propagation::Foreground) => Some("foregroundDeletion"),
        Some(Propagation::Orphan) => Some("orphan"),
        _ => None,
    };
    if let Some(finalizer) = finalizer {
        let mut list: Vec<&str> = old.finalizers().collect();
        list.push(finalizer);
        value["metadata"]["finalizers"] = json!(list);
    }
    if grace == 0 && is_released(&value) {
        return Op::Delete { key, precondition };
    }
    value["metadata"]["deletionTimestamp"] = json!(stamp(now));
    value["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
    Op::Put { key, value, precondition }
}

/// A pod's Ready condition, as an agent would report it.
pub(crate) fn set_ready(pod: &mut Value, ready: bool, since: Timestamp) {
    pod["status"]["phase"] = json!("Running");
    pod["status"]["conditions"] = json!([
        {"type": "ContainersReady", "status": if ready { "True" } else { "False" }, "lastTransitionTime": stamp(since)},
        {"type": "Ready", "status": if ready { "True" } else { "False" }, "lastTransitionTime": stamp(since)},
    ]);
}

/// Names of the objects of a resource with one JSON pointer's value; for expectations.
pub(crate) fn summary(sim: &Sim, resource: &str, pointers: &[&str]) -> String {
    let mut lines = BTreeMap::new();
    for object in sim.snapshot.list(&resource.into(), None) {
        let texts: Vec<String> = pointers
            .iter()
            .map(|pointer| object.value().pointer(pointer).unwrap_or(&Value::Null).to_string())
            .collect();
        lines.insert(object.name().to_owned(), texts.join(" "));
    }
    lines.into_iter().map(|(name, texts)| format!("{name}: {texts}\n")).collect()
}
