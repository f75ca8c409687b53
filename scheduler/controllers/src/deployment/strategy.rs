use serde_json::{Value, json};
use wasmk_api::Object;

use crate::json::scaled;

pub(super) fn is_recreate(deployment: &Object) -> bool {
    deployment.value()["spec"]["strategy"]["type"] == "Recreate"
}

/// How many replicas there may be beyond those asked for.
pub(super) fn max_surge(deployment: &Object) -> i64 {
    if is_recreate(deployment) { 0 } else { fenceposts(deployment).0 }
}

/// How many of the replicas asked for may be unavailable.
pub(super) fn max_unavailable(deployment: &Object) -> i64 {
    let replicas = replicas(deployment);
    if is_recreate(deployment) || replicas == 0 { 0 } else { fenceposts(deployment).1.min(replicas) }
}

/// Surge rounds up and unavailability down; as that may leave no room to move, one may then be unavailable.
/// Source: `ResolveFenceposts`.
fn fenceposts(deployment: &Object) -> (i64, i64) {
    let rolling = &deployment.value()["spec"]["strategy"]["rollingUpdate"];
    let quarter = json!("25%");
    let or_quarter = |value: &Value| if value.is_null() { quarter.clone() } else { value.clone() };
    let surge = scaled(&or_quarter(&rolling["maxSurge"]), replicas(deployment), true).unwrap_or(0);
    let unavailable = scaled(&or_quarter(&rolling["maxUnavailable"]), replicas(deployment), false).unwrap_or(0);
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

fn replicas(deployment: &Object) -> i64 {
    deployment.value()["spec"]["replicas"].as_i64().unwrap_or(1)
}
