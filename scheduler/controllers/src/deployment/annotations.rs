//! What the Deployment controller writes down in annotations.

use serde_json::Value;
use wasmk_api::Object;

use crate::json::set_annotation;

pub(super) const HASH_LABEL: &str = "pod-template-hash";
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    "deprecated.deployment.rollback.to",
];

/// Kubernetes' bound on the list of a ReplicaSet's earlier revisions.
const HISTORY_LENGTH_MAX: usize = 2000;

pub(super) fn revision(value: &Value) -> i64 {
    number(value, REVISION).unwrap_or(0)
}

/// The Deployment's size when this ReplicaSet was last scaled.
pub(super) fn desired_replicas(value: &Value) -> Option<i64> {
    number(value, DESIRED_REPLICAS)
}

pub(super) fn max_replicas(value: &Value) -> Option<i64> {
    number(value, MAX_REPLICAS)
}

pub(super) fn set_sizes(set: &mut Value, desired: i64, max: i64) {
    set_annotation(set, DESIRED_REPLICAS, desired.to_string());
    set_annotation(set, MAX_REPLICAS, max.to_string());
}

/// The Deployment's own annotations, but for the controller's and kubectl's bookkeeping.
pub(super) fn copy(deployment: &Object, set: &mut Value) {
    let annotations = deployment.metadata()["annotations"].as_object().into_iter().flatten();
    for (key, text) in annotations.filter(|(key, _)| !NOT_COPIED.contains(&key.as_str())) {
        set_annotation(set, key, text.as_str().unwrap_or_default());
    }
}

/// Moves a ReplicaSet up to `revision`; one that had another keeps it in its history.
pub(super) fn raise_revision(set: &mut Value, revision: i64) {
    let old = number(set, REVISION);
    if old.is_some_and(|old| old >= revision) {
        return;
    }
    if let Some(old) = old {
        let mut history: Vec<String> =
            text(set, REVISION_HISTORY).into_iter().flat_map(|list| list.split(',')).map(str::to_owned).collect();
        history.push(old.to_string());
        while history.len() > 1 && history.join(",").len() > HISTORY_LENGTH_MAX {
            history.remove(0);
        }
        set_annotation(set, REVISION_HISTORY, history.join(","));
    }
    set_annotation(set, REVISION, revision.to_string());
}

fn number(value: &Value, key: &str) -> Option<i64> {
    text(value, key)?.parse().ok()
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value["metadata"]["annotations"].get(key)?.as_str().filter(|text| !text.is_empty())
}
