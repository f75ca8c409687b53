use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use wasmk_api::{Object, Selector};

use super::{COMPONENT, RESOURCE, annotations, strategy};
use crate::json::{REPLICAS_MAX, created, with_owner, without_owners};
use crate::plan::EventType;
use crate::{Clock, Plan, Reason, View, replica_set};
use wasmk_api::write::Part;
use wasmk_api::write::Propagation;

/// A Deployment and its ReplicaSets while a plan is made: drafts of what is to be written, compared with what is stored in
/// the end.
pub(super) struct Rollout<'a> {
    pub(super) view: &'a View,
    pub(super) clock: &'a Clock<'a>,
    pub(super) deployment: &'a Object,
    /// The Deployment as it is to be.
    pub(super) draft: Value,
    /// Oldest first.
    pub(super) sets: Vec<Set<'a>>,
    /// Which of `sets` has the template that is wanted.
    pub(super) new: Option<usize>,
    /// A ReplicaSet to create, if there is none.
    pub(super) created: Option<Value>,
    pub(super) plan: Plan,
}

/// A ReplicaSet and what it is to be.
pub(super) struct Set<'a> {
    pub(super) object: &'a Object,
    pub(super) draft: Value,
    pub(super) reason: Reason,
    pub(super) deleted: bool,
}

impl<'a> Rollout<'a> {
    /// `None` if the selector cannot be read, which the API does not let happen.
    pub(super) fn new(view: &'a View, deployment: &'a Object, clock: &'a Clock) -> Option<Self> {
        let selector = Selector::from_json(&deployment.value()["spec"]["selector"]).ok()?;
        let mut draft = deployment.value().clone();
        if !draft["status"].is_object() {
            draft["status"] = json!({});
        }
        let mut sets = claim(view, deployment, &selector);
        sets.sort_by(|a, b| (a.created(), a.object.name()).cmp(&(b.created(), b.object.name())));
        let template = &deployment.value()["spec"]["template"];
        let new = sets.iter().position(|set| same_template(&set.object.value()["spec"]["template"], template));
        let plan = Plan::default();
        let mut rollout = Self { view, clock, deployment, draft, sets, new, created: None, plan };
        rollout.release_strangers(&selector);
        Some(rollout)
    }

    pub(super) fn replicas(&self) -> i64 {
        self.deployment.value()["spec"]["replicas"].as_i64().unwrap_or(1)
    }

    pub(super) fn is_paused(&self) -> bool {
        self.deployment.value()["spec"]["paused"] == true
    }

    pub(super) fn max_surge(&self) -> i64 {
        strategy::max_surge(self.deployment)
    }

    /// How many replicas there may be while it rolls.
    pub(super) fn replicas_max(&self) -> i64 {
        self.replicas().saturating_add(self.max_surge()).min(REPLICAS_MAX)
    }

    pub(super) fn max_unavailable(&self) -> i64 {
        strategy::max_unavailable(self.deployment)
    }

    pub(super) fn old_sets(&self) -> impl Iterator<Item = &Set<'a>> {
        let new = self.new;
        self.sets.iter().enumerate().filter(move |(at, _)| Some(*at) != new).map(|(_, set)| set)
    }

    pub(super) fn old_indices(&self) -> Vec<usize> {
        (0..self.sets.len()).filter(|at| Some(*at) != self.new).collect()
    }

    pub(super) fn new_set(&self) -> Option<&Set<'a>> {
        self.new.map(|at| &self.sets[at])
    }

    /// Asked-for replicas of all ReplicaSets, one that is about to be created included.
    pub(super) fn replicas_of_all(&self) -> i64 {
        let created = self.created.as_ref().and_then(|set| set["spec"]["replicas"].as_i64()).unwrap_or(0);
        self.sets.iter().map(Set::replicas).sum::<i64>() + created
    }

    /// Sets a ReplicaSet's size, with the annotations that proportional scaling needs. True if the size changed.
    pub(super) fn scale_set(&mut self, at: usize, size: i64) -> bool {
        let (replicas, max) = (self.replicas(), self.replicas_max());
        let set = &mut self.sets[at];
        annotations::set_sizes(&mut set.draft, replicas, max);
        let before = set.replicas();
        if before == size {
            return false;
        }
        set.draft["spec"]["replicas"] = json!(size);
        set.reason = Reason::ScalingReplicaSet;
        let direction = if before < size { "up" } else { "down" };
        let message = format!("Scaled {direction} replica set {} from {before} to {size}", set.object.name());
        self.event(EventType::Normal, Reason::ScalingReplicaSet, message);
        true
    }

    pub(super) fn event(&mut self, event_type: EventType, reason: Reason, message: String) {
        self.plan.event(COMPONENT, self.deployment, event_type, reason, message);
    }

    pub(super) fn into_plan(mut self) -> Plan {
        let mut plan = self.plan;
        if let Some(created) = self.created.take() {
            plan.create(replica_set::RESOURCE, created, Reason::NewReplicaSetCreated);
        }
        for set in self.sets {
            if set.deleted {
                plan.delete_with(set.object, None, Some(Propagation::Background), Reason::HistoryLimitExceeded);
            } else {
                plan.update(set.object, set.draft, Part::Main, set.reason);
            }
        }
        let (old, new) = (self.deployment.value(), &self.draft);
        let part = if old["metadata"] == new["metadata"] { Part::Status } else { Part::Both };
        plan.update(self.deployment, self.draft, part, Reason::StatusChanged);
        plan
    }

    /// ReplicaSets that we control but no longer select are let go.
    fn release_strangers(&mut self, selector: &Selector) {
        if self.deployment.is_deleting() {
            return;
        }
        let deployment = self.deployment;
        let ours = self.view.controlled(deployment, replica_set::RESOURCE);
        for set in ours.filter(|set| !set.is_deleting() && !selector.matches(&***set)) {
            let released = without_owners(set, |owner| owner["uid"] == deployment.uid());
            self.plan.update(set, released, Part::Main, Reason::SelectorNoLongerMatches);
        }
    }
}

impl Set<'_> {
    pub(super) fn replicas(&self) -> i64 {
        self.draft["spec"]["replicas"].as_i64().unwrap_or(1)
    }

    /// Available replicas that are also asked for: a ReplicaSet that was just scaled down has not said so yet.
    pub(super) fn available(&self) -> i64 {
        self.status("availableReplicas").min(self.replicas())
    }

    pub(super) fn status(&self, field: &str) -> i64 {
        self.object.value()["status"][field].as_i64().unwrap_or(0)
    }

    pub(super) fn revision(&self) -> i64 {
        annotations::revision(&self.draft)
    }

    pub(super) fn created(&self) -> Timestamp {
        created(self.object)
    }
}

/// The ReplicaSets that the Deployment controls, and orphans that it adopts.
fn claim<'a>(view: &'a View, deployment: &Object, selector: &Selector) -> Vec<Set<'a>> {
    let keep = |set: &'a Arc<Object>, draft| Set { object: set, draft, reason: Reason::StatusChanged, deleted: false };
    let ours = view.controlled(deployment, replica_set::RESOURCE).filter(|set| selector.matches(&***set));
    let mut sets: Vec<Set> = ours.map(|set| keep(set, set.value().clone())).collect();
    if !deployment.is_deleting() && deployment.key().resource.as_str() == RESOURCE {
        let found = view.selected(replica_set::RESOURCE, deployment.namespace(), selector);
        let orphans = found.into_iter().filter(|set| set.controller_uid().is_none() && !set.is_deleting());
        sets.extend(
            orphans.map(|set| Set { reason: Reason::SelectorMatches, ..keep(set, with_owner(set, deployment)) }),
        );
    }
    sets
}

/// Equal but for the label that tells revisions apart.
fn same_template(a: &Value, b: &Value) -> bool {
    let metadata = |template: &Value| {
        let mut metadata = template["metadata"].clone();
        if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
            labels.remove(annotations::HASH_LABEL);
        }
        metadata
    };
    a["spec"] == b["spec"] && metadata(a) == metadata(b)
}
