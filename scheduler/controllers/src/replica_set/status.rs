use serde_json::{Value, json};
use wasmk_api::{Object, Selector};

use super::Keeper;
use crate::json::{Condition, remove_condition, set_condition, set_count, with_status};
use crate::plan::EventType;
use crate::{Clock, Plan, Reason, View, pod};
use wasmk_api::write::Part;

/// Plans the status that is true once the rest of `plan` is done: `active` are the pods that stay, `created` the new ones.
pub(super) fn plan_status(
    keeper: &Keeper,
    view: &View,
    set: &Object,
    active: &[&Object],
    created: usize,
    clock: &Clock,
    plan: &mut Plan,
) {
    let mut status = set.value()["status"].clone();
    if !status.is_object() {
        status = json!({});
    }
    let min_ready = set.value()["spec"]["minReadySeconds"].as_i64().unwrap_or(0);
    let labels = template_labels(set);
    let available_at: Vec<_> = active.iter().filter_map(|pod| pod::available_at(pod, min_ready)).collect();
    let ready = available_at.len();
    let available = available_at.iter().filter(|at| **at <= clock.now).count();
    let labelled = active.iter().filter(|pod| labels.matches(**pod)).count() + created;
    plan.wake_maybe(available_at.into_iter().filter(|at| *at > clock.now).min());

    status["replicas"] = json!(active.len() + created);
    for (field, count) in
        [("fullyLabeledReplicas", labelled), ("readyReplicas", ready), ("availableReplicas", available)]
    {
        set_count(&mut status, field, count as i64);
    }
    status["observedGeneration"] = json!(set.generation());
    plan_failure(keeper, view, set, &mut status, clock, plan);
    plan.update(set, with_status(set, status), Part::Status, Reason::StatusChanged);
}

/// The condition `ReplicaFailure` while the API refuses our writes.
fn plan_failure(keeper: &Keeper, view: &View, set: &Object, status: &mut Value, clock: &Clock, plan: &mut Plan) {
    match view.refusal(set.key()).filter(|refusal| clock.now < refusal.retry_at) {
        Some(refusal) => {
            let message = format!("Error creating: {}", refusal.message);
            let reason = Reason::FailedCreate;
            let condition =
                Condition { condition_type: "ReplicaFailure", status: "True", reason: reason.as_str(), message };
            let before = status.clone();
            set_condition(status, &condition, clock);
            if before != *status {
                plan.event(keeper.component, set, EventType::Warning, reason, condition.message);
            }
            plan.wake(refusal.retry_at);
        }
        None => remove_condition(status, "ReplicaFailure"),
    }
}

fn template_labels(set: &Object) -> Selector {
    let labels = set.value()["spec"]["template"]["metadata"]["labels"].as_object();
    Selector::from_map(labels.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))))
}
