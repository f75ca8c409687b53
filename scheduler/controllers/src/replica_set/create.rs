use serde_json::{Value, json};
use wasmk_api::Object;

use super::{EVENTS_A_PLAN_MAX, Keeper, PODS_A_PLAN_MAX};
use crate::json::controller_reference;
use crate::plan::EventType;
use crate::{Plan, Reason, View, names};

/// Plans up to `missing` pods; returns how many.
pub(super) fn plan_creations(keeper: &Keeper, view: &View, set: &Object, missing: usize, plan: &mut Plan) -> usize {
    let count = missing.min(PODS_A_PLAN_MAX);
    let seed = names::seed(set.uid(), view.snapshot().revision());
    let names = (0..).map(|nth| names::generated(set.name(), seed, nth));
    let free = names.filter(|name| view.find("pods", set.namespace(), name).is_none());
    let owner = controller_reference(set);
    let mut taken = std::collections::HashSet::with_capacity(count);
    for (nth, name) in free.filter(|name| taken.insert(name.clone())).take(count).enumerate() {
        plan.create("pods", pod(set, &name, &owner), Reason::SuccessfulCreate);
        if nth < EVENTS_A_PLAN_MAX {
            let message = format!("Created pod: {name}");
            plan.event(keeper.component, set, EventType::Normal, Reason::SuccessfulCreate, message);
        }
    }
    if count > EVENTS_A_PLAN_MAX {
        let message = format!("Created {} more pods", count - EVENTS_A_PLAN_MAX);
        plan.event(keeper.component, set, EventType::Normal, Reason::SuccessfulCreate, message);
    }
    count
}

fn pod(set: &Object, name: &str, owner: &Value) -> Value {
    let template = &set.value()["spec"]["template"];
    let mut metadata = json!({
        "name": name, "generateName": format!("{}-", set.name()), "namespace": set.namespace(), "ownerReferences": [owner],
    });
    for field in ["labels", "annotations", "finalizers"] {
        if !template["metadata"][field].is_null() {
            metadata[field] = template["metadata"][field].clone();
        }
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}
