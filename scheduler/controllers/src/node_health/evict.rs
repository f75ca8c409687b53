use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use wasmk_api::Object;

use super::taints::{is_lost, list};
use super::{COMPONENT, PODS_A_PLAN_MAX, Readiness, Verdict, readiness_of};
use crate::json::{Condition, condition, set_condition, time, with_status};
use crate::plan::EventType;
use crate::view::IndexKey;
use crate::{Clock, Plan, Reason, View, pod};
use wasmk_api::write::Part;

/// Marks the pods of a silent node, evicts those that do not tolerate its taints (or no longer), and takes marks back.
pub(super) fn plan_pods(view: &View, node: &Object, draft: &Value, verdict: Verdict, clock: &Clock, plan: &mut Plan) {
    if verdict == Verdict::Heard && readiness_of(draft) == Readiness::Ready {
        plan_unmarking(view, node, clock, plan);
    }
    let believed = matches!(verdict, Verdict::Heard | Verdict::Silent);
    let evicting = list(draft).iter().filter(|taint| taint["effect"] == "NoExecute" && (believed || !is_lost(taint)));
    let evicting: Vec<&Value> = evicting.collect();
    if verdict != Verdict::Silent && evicting.is_empty() {
        return;
    }
    let pods = view.indexed(&IndexKey::node(node.name())).filter(|pod| !pod::is_finished(pod));
    for pod in pods {
        if plan.actions.len() >= PODS_A_PLAN_MAX {
            // What is planned changes the snapshot, and that brings the next plan.
            return;
        }
        let leaves_at = if pod.is_deleting() { None } else { leaves_at(pod, &evicting, clock) };
        match leaves_at {
            Some(at) if at <= clock.now => {
                let message = format!("Marking for deletion Pod {}/{}", pod.namespace(), pod.name());
                plan.event(COMPONENT, pod, EventType::Normal, Reason::TaintManagerEviction, message);
                plan.delete(pod, Reason::TaintManagerEviction);
                continue;
            }
            Some(at) => plan.wake(at),
            None => {}
        }
        if verdict == Verdict::Silent && pod::is_ready(pod) {
            let message = format!("The agent of node {} cannot be reached", node.name());
            plan_ready(pod, "False", Reason::NodeUnreachable, message, clock, plan);
        }
    }
}

/// The node is back; where the containers are still ready, so is the pod.
fn plan_unmarking(view: &View, node: &Object, clock: &Clock, plan: &mut Plan) {
    for pod in view.indexed(&IndexKey::unreachable(node.name())).take(PODS_A_PLAN_MAX) {
        let containers = condition(&pod.value()["status"], "ContainersReady");
        if !pod.is_deleting() && containers.is_some_and(|containers| containers["status"] == "True") {
            plan_ready(pod, "True", Reason::LeaseRenewed, "The agent is back".to_owned(), clock, plan);
        }
    }
}

fn plan_ready(pod: &Object, to_be: &str, reason: Reason, message: String, clock: &Clock, plan: &mut Plan) {
    let mut status = pod.value()["status"].clone();
    let wanted = Condition { condition_type: "Ready", status: to_be, reason: reason.as_str(), message };
    set_condition(&mut status, &wanted, clock);
    plan.update(pod, with_status(pod, status), Part::Status, reason);
}

/// When the first of these taints drives the pod away; `None` if it tolerates all of them for ever.
fn leaves_at(pod: &Object, taints: &[&Value], clock: &Clock) -> Option<Timestamp> {
    let tolerations = pod.value()["spec"]["tolerations"].as_array().map(Vec::as_slice).unwrap_or_default();
    taints.iter().filter_map(|taint| leaves_because_of(taint, tolerations, clock)).min()
}

fn leaves_because_of(taint: &Value, tolerations: &[Value], clock: &Clock) -> Option<Timestamp> {
    let since = time(&taint["timeAdded"]).unwrap_or(clock.now);
    let mut tolerating = tolerations.iter().filter(|toleration| tolerates(toleration, taint)).peekable();
    let patience = if tolerating.peek().is_some() {
        // One toleration without a time tolerates only as long as the others do.
        let seconds = tolerating.filter_map(|toleration| toleration["tolerationSeconds"].as_i64()).min()?;
        SignedDuration::from_secs(seconds.max(0))
    } else if is_lost(taint) {
        clock.settings.unreachable_toleration
    } else {
        SignedDuration::ZERO
    };
    since.checked_add(patience).ok()
}

/// Source: `Toleration.ToleratesTaint`.
fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (key, effect) = (text(&toleration["key"]), text(&toleration["effect"]));
    let fits = (effect.is_empty() || taint["effect"] == effect) && (key.is_empty() || taint["key"] == key);
    fits && match toleration["operator"].as_str().unwrap_or("Equal") {
        "Exists" => true,
        _ => !key.is_empty() && text(&toleration["value"]) == text(&taint["value"]),
    }
}
