//! The `scale` subresource: an `autoscaling/v1` Scale as a view of the kinds that have replicas.

use serde_json::{Value, json};

use super::{Context, Part, Prepared, update};
use crate::kind::Kind;
use crate::{Cause, Object, Selector, Status};

/// The Scale of a Deployment or ReplicaSet.
pub fn scale(object: &Object) -> Value {
    let value = object.value();
    let metadata = &value["metadata"];
    let mut kept = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        kept[field] = metadata[field].clone();
    }
    let selector = Selector::from_json(&value["spec"]["selector"]).map(|selector| selector.to_string());
    let replicas = |half: &str| value[half]["replicas"].as_i64().unwrap_or(0);
    json!({
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": kept,
        "spec": {"replicas": replicas("spec")},
        "status": {"replicas": replicas("status"), "selector": selector.unwrap_or_default()},
    })
}

/// Sets the replicas that a Scale asks for; its `resourceVersion` and `uid`, when given, must be those of the object.
pub fn set_scale(kind: &'static Kind, current: &Object, wanted: &Value, context: &Context) -> Result<Prepared, Status> {
    let replicas = wanted["spec"]["replicas"].as_i64().unwrap_or(0);
    if i32::try_from(replicas).is_err() || replicas < 0 {
        let detail = "must be greater than or equal to 0";
        let cause = Cause::invalid("spec.replicas", &json!(replicas), detail);
        return Err(Status::invalid("Scale", "autoscaling", current.name(), vec![cause]));
    }
    let mut new = current.value().clone();
    for field in ["resourceVersion", "uid"] {
        if let Some(asked) = wanted["metadata"][field].as_str().filter(|asked| !asked.is_empty()) {
            new["metadata"][field] = json!(asked);
        }
    }
    new["spec"]["replicas"] = json!(replicas);
    update(kind, current, new, Part::Main, context)
}
