//! What somebody may do.

use serde_json::{Value, json};
use wasmk_api::{Snapshot, Status};

use crate::authz;
use crate::rest::Call;

/// `kubectl auth can-i --list`
pub(super) fn self_subject(call: &Call, snapshot: &Snapshot, review: &Value) -> Result<Value, Status> {
    let namespace = review["spec"]["namespace"].as_str().unwrap_or_default();
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let rules = authz::rules_of(&call.identity, namespace, snapshot);
    let (paths, resources): (Vec<&Value>, Vec<&Value>) =
        rules.into_iter().partition(|rule| rule["nonResourceURLs"].as_array().is_some_and(|urls| !urls.is_empty()));
    let resources =
        resources.into_iter().map(|rule| picked(rule, &["verbs", "apiGroups", "resources", "resourceNames"]));
    let paths = paths.into_iter().map(|rule| picked(rule, &["verbs", "nonResourceURLs"]));
    let mut status = json!({
        "resourceRules": resources.collect::<Vec<_>>(),
        "nonResourceRules": paths.collect::<Vec<_>>(),
        "incomplete": false,
    });
    if call.identity.node_name().is_some() {
        status["incomplete"] = json!(true);
        status["evaluationError"] = json!("node authorizer does not support user rule resolution");
    }
    Ok(status)
}

fn picked(rule: &Value, fields: &[&str]) -> Value {
    let mut kept = json!({});
    for field in fields.iter().filter(|field| rule[**field].is_array()) {
        kept[*field] = rule[*field].clone();
    }
    kept
}
