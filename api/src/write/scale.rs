//! The `scale` subresource: an `autoscaling/v1` Scale as a view of the kinds that have replicas.

use serde_json::{Value, json};

use super::{Context, Part, Prepared, update};
use crate::kind::Kind;
use crate::{Cause, Object, Selector, Status};

/// The Scale of an object whose kind has one.
pub fn scale(kind: &Kind, object: &Object) -> Value {
    let value = object.value();
    let metadata = &value["metadata"];
    let mut kept = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        kept[field] = metadata[field].clone();
    }
    let (wanted, found, selector) = match kind.scale_paths() {
        Some(paths) => (paths.spec_replicas(value), paths.status_replicas(value), paths.selector(value)),
        None => {
            let replicas = |half: &str| value[half]["replicas"].as_i64().unwrap_or(0);
            let selector = Selector::from_json(&value["spec"]["selector"]).map(|selector| selector.to_string());
            (replicas("spec"), replicas("status"), selector.unwrap_or_default())
        }
    };
    json!({
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": kept,
        "spec": {"replicas": wanted},
        "status": {"replicas": found, "selector": selector},
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
    set_replicas(kind, &mut new, replicas);
    update(kind.stored(), current, new, Part::Scale, context)
}

/// What applying a Scale applies to the object that it scales: the replicas, and nothing else.
pub fn applied_scale(kind: &Kind, scale: &Value) -> Value {
    let mut config =
        json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": scale["metadata"], "spec": {}});
    if let Some(replicas) = scale["spec"]["replicas"].as_i64() {
        set_replicas(kind, &mut config, replicas);
    }
    config
}

fn set_replicas(kind: &Kind, object: &mut Value, replicas: i64) {
    match kind.scale_paths() {
        Some(paths) => paths.set_spec_replicas(object, replicas),
        None => object["spec"]["replicas"] = json!(replicas),
    }
}
