use serde_json::{Value, json};
use wasmk_api::{Key, Object};

use crate::refusal::Obstacle;

/// What to do about the pods that wait for a node.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PlacementPlan {
    pub bindings: Vec<Binding>,
    pub refusals: Vec<Refusal>,
}

/// A pod gets a node.
#[derive(Clone, PartialEq, Debug)]
pub struct Binding {
    pub pod: Key,
    pub uid: String,
    pub revision: u64,
    pub node: String,
}

/// A pod has to wait.
#[derive(Clone, PartialEq, Debug)]
pub struct Refusal {
    pub pod: Key,
    pub uid: String,
    pub revision: u64,
    /// What keeps it off how many nodes.
    pub obstacles: Vec<(Obstacle, usize)>,
    /// For the condition `PodScheduled` and the Event `FailedScheduling`.
    pub message: String,
}

impl Binding {
    pub const REASON: &str = "Scheduled";

    /// The pod as it is to be stored: bound, and `PodScheduled`. `now` is an RFC 3339 time in whole seconds.
    pub fn apply(&self, pod: &Object, now: &str) -> Value {
        let mut value = pod.value().clone();
        value["spec"]["nodeName"] = json!(self.node);
        let condition = json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": now});
        put_condition(&mut value, condition);
        value
    }

    /// The Event's message.
    pub fn message(&self) -> String {
        format!("Successfully assigned {}/{} to {}", self.pod.namespace, self.pod.name, self.node)
    }
}

impl Refusal {
    pub const REASON: &str = "FailedScheduling";

    /// The pod with the condition that says why it waits; `None` if it says so already, and then there is nothing to tell.
    pub fn apply(&self, pod: &Object, now: &str) -> Option<Value> {
        let conditions = pod.value()["status"]["conditions"].as_array();
        let old = conditions.and_then(|all| all.iter().find(|condition| condition["type"] == "PodScheduled"));
        let is_refused = |old: &Value| old["status"] == "False" && old["reason"] == "Unschedulable";
        if old.is_some_and(|old| is_refused(old) && old["message"] == self.message) {
            return None;
        }
        let since =
            old.filter(|old| is_refused(old)).map_or_else(|| json!(now), |old| old["lastTransitionTime"].clone());
        let mut value = pod.value().clone();
        let condition = json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": self.message,
            "lastTransitionTime": since,
        });
        put_condition(&mut value, condition);
        Some(value)
    }
}

fn put_condition(pod: &mut Value, new: Value) {
    if !pod["status"].is_object() {
        pod["status"] = json!({});
    }
    if !pod["status"]["conditions"].is_array() {
        pod["status"]["conditions"] = json!([]);
    }
    let conditions = pod["status"]["conditions"].as_array_mut().expect("invariant: it was just made an array");
    match conditions.iter_mut().find(|condition| condition["type"] == new["type"]) {
        Some(old) => *old = new,
        None => conditions.push(new),
    }
}
