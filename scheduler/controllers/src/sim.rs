//! A cluster in a test: a snapshot, the time, and what the API would do with a plan.

use std::cell::Cell;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use wasmk_api::write::{self, Context, DeleteOptions, FieldValidation, Prepared, Propagation};
use wasmk_api::{Key, Object, Op, Precondition, Reason, Snapshot, Status, Transaction, kind};

use crate::clock::stamp;
use crate::{Plan, Planner, Settings, View, Write};

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

    /// Creates an object as the API would, or replaces one. Status and namespace may be what they like.
    pub(crate) fn put(&mut self, resource: &str, mut value: Value) -> Key {
        let text = |field: &str| value["metadata"][field].as_str().unwrap_or_default().to_owned();
        let key = Key::new(resource, &text("namespace"), &text("name"));
        match self.snapshot.get(&key).cloned() {
            None => value = self.created(&key, value),
            Some(old) => fill_from(&old, &mut value),
        }
        self.commit(vec![Op::Put { key: key.clone(), value, precondition: Precondition::Any }]);
        key
    }

    fn created(&mut self, key: &Key, mut value: Value) -> Value {
        let kind = kind::find_resource(&self.snapshot, &key.resource).expect("it is a kind");
        let create = Write::Create { key: key.clone(), value: value.clone() };
        let Ok(Some(prepared)) = self.prepare(kind, &create) else {
            self.fill_new(&mut value);
            return value;
        };
        let mut created = prepared.value;
        if !value["status"].is_null() {
            created["status"] = value["status"].take();
        }
        created
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
        let ops = self.ops(&write).expect("the revision is current");
        self.commit(ops);
    }

    /// The agent says that a terminating pod has ended.
    pub(crate) fn end_pods(&mut self) {
        let pods: Vec<Key> = self
            .snapshot
            .list(&"pods".into(), None)
            .filter(|pod| pod.is_deleting())
            .map(|pod| pod.key().clone())
            .collect();
        pods.iter().for_each(|pod| self.remove(pod));
    }

    pub(crate) fn pass(&mut self, time: SignedDuration) {
        self.now += time;
    }

    /// One look at everything that changed, and its commits. False if nothing was written.
    pub(crate) fn step(&mut self) -> bool {
        self.planner.observe(self.snapshot.clone(), self.now);
        let plans = self.planner.plan(self.now, usize::MAX);
        assert_eq!(self.planner.take_broken(), [], "no plan may panic");
        let mut wrote = false;
        for planned in plans {
            if self.only.is_some_and(|only| !only.contains(&planned.controller)) {
                continue;
            }
            // As with the driver: after a conflict the next observation looks again.
            let Some(ops) = self.ops_of(&planned.plan) else { continue };
            if let Ok((next, _)) = self.snapshot.apply(&Transaction { ops }) {
                self.snapshot = next;
                wrote = true;
                self.log += &planned.plan.to_string();
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
        let plans = planner.plan(self.now, usize::MAX);
        assert_eq!(planner.take_broken(), [], "no plan may panic");
        for planned in plans {
            let counts = self.only.is_none_or(|only| only.contains(&planned.controller));
            assert!(!counts, "{} of {} plans again:\n{}", planned.controller, planned.key, planned.plan);
        }
    }

    fn commit(&mut self, ops: Vec<Op>) {
        let (next, _) = self.snapshot.apply(&Transaction { ops }).expect("no conflict");
        self.snapshot = next;
    }

    fn ops_of(&mut self, plan: &Plan) -> Option<Vec<Op>> {
        let ops: Option<Vec<Vec<Op>>> = plan.actions.iter().map(|action| self.ops(&action.write)).collect();
        Some(ops?.concat())
    }

    /// What the API makes of a write; `None` after a conflict. Nothing else may be wrong with what controllers write.
    fn ops(&mut self, write: &Write) -> Option<Vec<Op>> {
        let kind = kind::find_resource(&self.snapshot, &write.key().resource).expect("it is a kind");
        let revision = match write {
            Write::Create { .. } => Precondition::Absent,
            Write::Update { revision, .. } | Write::Delete { revision, .. } => Precondition::Revision(*revision),
        };
        match self.prepare(kind, write) {
            Ok(prepared) => Some(prepared.map(|prepared| prepared.into_ops(kind, revision)).unwrap_or_default()),
            Err(status) if status.reason == Reason::Conflict => None,
            Err(status) => panic!("{}: {status}\n{write:?}", write.key()),
        }
    }

    /// `None` if the object is gone, which the revision would have found out.
    fn prepare(&mut self, kind: &'static kind::Kind, write: &Write) -> Result<Option<Prepared>, Status> {
        let uids = Cell::new(self.uids);
        let uid = || {
            uids.set(uids.get() + 1);
            format!("uid-{}", uids.get())
        };
        let settings = write::Settings::default();
        let context = Context {
            now: self.now,
            uid: &uid,
            name_suffix: &|| "xxxxx".to_owned(),
            field_manager: Some("wasmk-controllers"),
            validation: FieldValidation::Strict,
            snapshot: &self.snapshot,
            settings: &settings,
        };
        let current = self.snapshot.get(write.key());
        let prepared = match (write, current) {
            (Write::Create { key, value }, _) => write::create(kind, &key.namespace, value.clone(), &context).map(Some),
            (_, None) => Ok(None),
            (Write::Update { value, part, .. }, Some(current)) => {
                write::update(kind, current, value.clone(), *part, &context).map(Some)
            }
            (Write::Delete { uid, grace_seconds, propagation, .. }, Some(current)) => {
                let options = DeleteOptions {
                    grace_period_seconds: *grace_seconds,
                    propagation: *propagation,
                    uid: Some(uid.clone()),
                    resource_version: None,
                };
                write::delete(kind, current, &options, &context).map(Some)
            }
        };
        self.uids = uids.get();
        prepared
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

/// How many cases a property gets, unless the environment asks for another number.
pub(crate) fn cases(default: u32) -> proptest::test_runner::Config {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    proptest::test_runner::Config::with_cases(asked.unwrap_or(default))
}
