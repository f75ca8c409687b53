//! What an autoscaler looks at. Source: `pkg/apis/autoscaling/validation/validation.go`.

use serde_json::{Value, json};

use crate::field::{Faults, Field};
use crate::{Cause, Quantity};

/// The share of the CPU as a metric; `half` is `target` or `current`.
pub(super) fn cpu(half: &str, percent: Value) -> Value {
    let mut value = json!({"averageUtilization": percent});
    if half == "target" {
        value["type"] = json!("Utilization");
    }
    json!({"type": "Resource", "resource": {"name": "cpu", half: value}})
}

/// The percentage of a metric that is the share of the CPU.
pub(super) fn cpu_percent(metric: &Value, half: &str) -> Option<i64> {
    let resource = &metric["resource"];
    let is_cpu = metric["type"] == "Resource" && resource["name"] == "cpu";
    resource[half]["averageUtilization"].as_i64().filter(|_| is_cpu)
}

/// A source, and the field that it is in.
const SOURCES: [(&str, &str); 5] = [
    ("ContainerResource", "containerResource"),
    ("External", "external"),
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
];

pub(super) fn validate(metrics: &Field, faults: &mut Faults) {
    for metric in metrics.items() {
        let kind = metric.get("type");
        if !faults.require(&kind, "must specify a metric source type") {
            continue;
        }
        faults.one_of(&kind, &SOURCES.map(|(name, _)| name));
        for (name, field) in SOURCES {
            let source = metric.get(field);
            match (kind.text() == name, source.is_set()) {
                (true, true) => validate_source(name, &source, faults),
                (true, false) => {
                    faults.push(Cause::required(&source.path, "must populate information for the given metric source"));
                }
                (false, true) => faults.forbid(&source.path, "must populate the given metric source only"),
                (false, false) => {}
            }
        }
    }
}

pub(super) fn validate_reference(reference: &Field, faults: &mut Faults) {
    for field in ["kind", "name"].map(|name| reference.get(name)) {
        if faults.require(&field, "") && field.text().contains(['/', '%']) {
            faults.invalid(&field, "may not contain '/' or '%'");
        }
    }
}

fn validate_source(name: &str, source: &Field, faults: &mut Faults) {
    let is_resource = name.ends_with("Resource");
    if is_resource {
        faults.require(&source.get("name"), "must specify a resource name");
        if name == "ContainerResource" {
            faults.require(&source.get("container"), "must specify a container");
        }
    } else {
        faults.require(&source.get("metric").get("name"), "must specify a metric name");
        faults.selector(&source.get("metric").get("selector"));
    }
    if name == "Object" {
        validate_reference(&source.get("describedObject"), faults);
    }
    validate_target(&source.get("target"), is_resource, name == "Pods", faults);
}

fn validate_target(target: &Field, is_resource: bool, is_average: bool, faults: &mut Faults) {
    faults.require(&target.get("type"), "must specify a metric target type");
    faults.one_of(&target.get("type"), &["AverageValue", "Utilization", "Value"]);
    let (percent, average, value) = (target.get("averageUtilization"), target.get("averageValue"), target.get("value"));
    if percent.int().is_some_and(|percent| percent < 1) {
        faults.invalid(&percent, "must be greater than 0");
    }
    for quantity in [&average, &value].into_iter().filter(|quantity| quantity.is_set()) {
        if Quantity::from_value(quantity.value).is_ok_and(|quantity| quantity.is_negative() || quantity.is_zero()) {
            faults.invalid(quantity, "must be positive");
        }
    }
    if is_resource && !percent.is_set() && !average.is_set() {
        let detail = "must set either a target raw value or a target utilization";
        faults.push(Cause::required(&percent.path, detail));
    } else if is_resource && percent.is_set() && average.is_set() {
        faults.forbid(&average.path, "may not set both a target raw value and a target utilization");
    } else if is_average && !average.is_set() {
        faults.push(Cause::required(&average.path, "must specify a positive target averageValue"));
    } else if !is_resource && !average.is_set() && !value.is_set() {
        faults.push(Cause::required(&average.path, "must set either a target value for metric or a per-pod target"));
    }
}
