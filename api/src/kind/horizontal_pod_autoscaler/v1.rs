//! autoscaling/v1: one number for the CPU, and what else there is as JSON in annotations, in the words that v1 has for it.
//! Source: `pkg/apis/autoscaling/v1/conversion.go`.

use serde_json::{Value, json};

use super::metrics::{cpu, cpu_percent};
use crate::write::metadata::remove;

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";

const TARGET_CPU: &str = "targetCPUUtilizationPercentage";
const CURRENT_CPU: &str = "currentCPUUtilizationPercentage";

pub(super) fn from_v2(autoscaler: &mut Value) {
    for annotation in [METRICS, CURRENT_METRICS, BEHAVIOR, CONDITIONS] {
        take_annotation(autoscaler, annotation);
    }
    let metrics = take_list(&mut autoscaler["spec"], "metrics");
    let at = metrics.iter().position(|metric| cpu_percent(metric, "target").is_some());
    if let Some(percent) = at.and_then(|at| cpu_percent(&metrics[at], "target")) {
        autoscaler["spec"][TARGET_CPU] = json!(percent);
    }
    let others = metrics.into_iter().enumerate().filter(|(index, _)| Some(*index) != at);
    let others: Vec<Value> = others.map(|(_, metric)| rename(&metric, "target", Direction::ToV1)).collect();
    annotate(autoscaler, METRICS, others.into());
    let behavior = take(&mut autoscaler["spec"], "behavior");
    annotate(autoscaler, BEHAVIOR, behavior);
    if autoscaler["status"].is_object() {
        status_from_v2(autoscaler);
    }
}

fn status_from_v2(autoscaler: &mut Value) {
    let status = &mut autoscaler["status"];
    let current = take_list(status, "currentMetrics");
    if let Some(percent) = current.iter().find_map(|metric| cpu_percent(metric, "current")) {
        status[CURRENT_CPU] = json!(percent);
    }
    let conditions = take(status, "conditions");
    for field in ["currentReplicas", "desiredReplicas"] {
        crate::field::set_default(status, field, 0);
    }
    let current: Vec<Value> = current.iter().map(|metric| rename(metric, "current", Direction::ToV1)).collect();
    annotate(autoscaler, CURRENT_METRICS, current.into());
    annotate(autoscaler, CONDITIONS, conditions);
}

pub(super) fn to_v2(autoscaler: &mut Value) {
    let [metrics, current, behavior, conditions] =
        [METRICS, CURRENT_METRICS, BEHAVIOR, CONDITIONS].map(|annotation| take_annotation(autoscaler, annotation));
    let cpu_target = take(&mut autoscaler["spec"], TARGET_CPU);
    let own = (!cpu_target.is_null()).then(|| cpu("target", cpu_target));
    let others = renamed(&metrics, "target");
    put(&mut autoscaler["spec"], "metrics", own.into_iter().chain(others).collect());
    put(&mut autoscaler["spec"], "behavior", behavior);
    if !autoscaler["status"].is_object() {
        return;
    }
    let status = &mut autoscaler["status"];
    let cpu_now = take(status, CURRENT_CPU);
    let own = (!cpu_now.is_null() && current.is_null()).then(|| cpu("current", cpu_now));
    put(status, "currentMetrics", own.into_iter().chain(renamed(&current, "current")).collect());
    put(status, "conditions", conditions);
}

fn renamed(metrics: &Value, half: &str) -> impl Iterator<Item = Value> {
    metrics.as_array().into_iter().flatten().map(move |metric| rename(metric, half, Direction::ToV2))
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    ToV1,
    ToV2,
}

/// Where v2 has a field of a source, and what v1 calls it; `*` stands for `target` or `current`.
type Names = &'static [(&'static str, &'static str)];

const SOURCES: [(&str, Names); 5] = [
    (
        "resource",
        &[("name", "name"), ("*.averageUtilization", "*AverageUtilization"), ("*.averageValue", "*AverageValue")],
    ),
    (
        "containerResource",
        &[
            ("name", "name"),
            ("container", "container"),
            ("*.averageUtilization", "*AverageUtilization"),
            ("*.averageValue", "*AverageValue"),
        ],
    ),
    ("pods", &[("metric.name", "metricName"), ("metric.selector", "selector"), ("*.averageValue", "*AverageValue")]),
    (
        "object",
        &[
            ("describedObject", "target"),
            ("metric.name", "metricName"),
            ("metric.selector", "selector"),
            ("*.value", "*Value"),
            ("*.averageValue", "averageValue"),
        ],
    ),
    (
        "external",
        &[
            ("metric.name", "metricName"),
            ("metric.selector", "metricSelector"),
            ("*.value", "*Value"),
            ("*.averageValue", "*AverageValue"),
        ],
    ),
];

/// One metric in the words of the other version.
fn rename(metric: &Value, half: &str, direction: Direction) -> Value {
    let mut renamed = json!({"type": metric["type"]});
    for (source, names) in SOURCES.iter().filter(|(source, _)| metric[source].is_object()) {
        let old = &metric[source];
        let mut new = json!({});
        for (v2, v1) in *names {
            let pointer = format!("/{}", v2.replace('*', half).replace('.', "/"));
            let v1 = v1.replace('*', half);
            match direction {
                Direction::ToV1 => put(&mut new, &v1, old.pointer(&pointer).cloned().unwrap_or_default()),
                Direction::ToV2 => {
                    let path: Vec<&str> = pointer[1..].split('/').collect();
                    match (&old[&v1], &path[..]) {
                        (Value::Null, _) => {}
                        (value, [outer, inner]) => new[*outer][*inner] = value.clone(),
                        (value, _) => new[path[0]] = value.clone(),
                    }
                }
            }
        }
        if direction == Direction::ToV2 && half == "target" {
            set_target_type(&mut new["target"]);
        }
        renamed[source] = new;
    }
    renamed
}

/// v1 does not say which of the values is meant: there is only one.
fn set_target_type(target: &mut Value) {
    let kinds = [("averageUtilization", "Utilization"), ("averageValue", "AverageValue"), ("value", "Value")];
    if let Some((_, kind)) = kinds.iter().find(|(field, _)| !target[field].is_null()) {
        target["type"] = json!(kind);
    }
}

fn take(object: &mut Value, field: &str) -> Value {
    object.as_object_mut().and_then(|fields| fields.remove(field)).unwrap_or_default()
}

fn take_list(object: &mut Value, field: &str) -> Vec<Value> {
    match take(object, field) {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

/// Nothing and the empty list are left out.
fn put(object: &mut Value, field: &str, value: Value) {
    if !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty()) {
        object[field] = value;
    }
}

fn annotate(object: &mut Value, annotation: &str, value: Value) {
    if !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty()) {
        object["metadata"]["annotations"][annotation] = json!(value.to_string());
    }
}

/// What the annotation says, which goes; null when there is none, or when it is no JSON.
fn take_annotation(object: &mut Value, annotation: &str) -> Value {
    let annotations = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
    let Some(annotations) = annotations else { return Value::Null };
    let taken = annotations.remove(annotation);
    if annotations.is_empty() {
        remove(&mut object["metadata"], "annotations");
    }
    taken.as_ref().and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2() -> Value {
        let selector = json!({"matchLabels": {"a": "b"}});
        let object = json!({"apiVersion": "v1", "kind": "Service", "name": "s"});
        json!({
            "metadata": {"name": "a", "annotations": {"mine": "kept"}},
            "spec": {
                "maxReplicas": 3, "minReplicas": 1, "scaleTargetRef": {"kind": "Deployment", "name": "d"},
                "behavior": {"scaleDown": {"selectPolicy": "Max"}},
                "metrics": [
                    {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}},
                    {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}},
                    {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "c", "target": {"type": "Utilization", "averageUtilization": 60}}},
                    {"type": "Pods", "pods": {"metric": {"name": "m", "selector": selector}, "target": {"type": "AverageValue", "averageValue": "5"}}},
                    {"type": "Object", "object": {"describedObject": object, "metric": {"name": "m"}, "target": {"type": "Value", "value": "7"}}},
                    {"type": "External", "external": {"metric": {"name": "m", "selector": selector}, "target": {"type": "AverageValue", "averageValue": "9"}}},
                ],
            },
            "status": {
                "currentReplicas": 1, "desiredReplicas": 2, "conditions": [{"type": "AbleToScale", "status": "True"}],
                "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 40, "averageValue": "40m"}}}],
            },
        })
    }

    #[test]
    fn there_and_back_nothing_is_lost() {
        let mut value = v2();
        from_v2(&mut value);
        assert_eq!(value["spec"][TARGET_CPU], 50);
        assert_eq!((&value["spec"]["metrics"], &value["status"][CURRENT_CPU]), (&Value::Null, &json!(40)));
        let metrics: Value = serde_json::from_str(value["metadata"]["annotations"][METRICS].as_str().unwrap()).unwrap();
        assert_eq!(
            metrics[0],
            json!({"type": "Resource", "resource": {"name": "memory", "targetAverageValue": "1Gi"}})
        );
        assert_eq!(metrics[3]["object"]["target"]["name"], "s");
        assert_eq!(metrics[3]["object"]["targetValue"], "7");
        to_v2(&mut value);
        assert_eq!(value, v2());
    }

    #[test]
    fn an_annotation_that_is_no_json_is_dropped() {
        let mut value =
            json!({"metadata": {"annotations": {METRICS: "nonsense", BEHAVIOR: "7"}}, "spec": {TARGET_CPU: 30}});
        to_v2(&mut value);
        assert_eq!(value["spec"]["metrics"], json!([cpu("target", json!(30))]));
        assert!(value["metadata"]["annotations"].is_null());
    }
}
