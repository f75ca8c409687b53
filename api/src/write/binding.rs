use serde_json::{Value, json};

use super::{Context, Effect, Prepared, Reservation, metadata};
use crate::{Cause, Object, Reason, Status, kind};

/// `POST …/pods/<name>/binding`: puts a pod on a node, for good. `node` need not exist.
pub fn bind(pod: &Object, node: &str, uid: Option<&str>, context: &Context) -> Result<Prepared, Status> {
    let pods = kind::by_resource(&pod.key().resource).expect("invariant: pods are registered");
    metadata::check_preconditions(pods, pod, uid, None)?;
    if node.is_empty() {
        let cause = Cause::required("target.name", "");
        return Err(Status::invalid("Binding", "", pod.name(), vec![cause]));
    }
    if pod.is_deleting() {
        return Err(refused(pod, format!("pod {} is being deleted, cannot be assigned to a host", pod.name())));
    }
    if let Some(known) = pod.value()["spec"]["nodeName"].as_str().filter(|known| !known.is_empty()) {
        return Err(refused(pod, format!("pod {} is already assigned to node {known:?}", pod.name())));
    }
    let mut value = pod.value().clone();
    value["spec"]["nodeName"] = json!(node);
    set_scheduled(&mut value["status"], context);
    metadata::bump_generation(pods, pod.value(), &mut value);
    let value = metadata::record_fields(pods, "binding", Some(pod.value()), value, context);
    Ok(Prepared { effect: Effect::Put, value, warnings: Vec::new(), reservation: Reservation::default() })
}

fn refused(pod: &Object, why: String) -> Status {
    let message = format!("Operation cannot be fulfilled on pods/binding \"{}\": {why}", pod.name());
    Status::new(Reason::Conflict, message).about("pods/binding", "", pod.name())
}

fn set_scheduled(status: &mut Value, context: &Context) {
    let condition = json!({
        "type": "PodScheduled", "status": "True", "lastTransitionTime": metadata::time(context.now),
    });
    let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    conditions.retain(|one| one["type"] != "PodScheduled");
    conditions.push(condition);
    status["conditions"] = json!(conditions);
}
