mod metrics;
mod v1;

use serde_json::{Value, json};

use super::{Kind, table};
use crate::Cause;
use crate::field::{Faults, Field, set_default};

/// Stored as autoscaling/v2.
pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["hpa"],
        categories: &["all"],
        columns: &table::HORIZONTALPODAUTOSCALER,
        subresources: &["status"],
        has_status: true,
        inert: Some(
            "no controller of wasmk runs HorizontalPodAutoscalers yet: this one is stored, but it will not scale anything",
        ),
        prepare_create: |autoscaler, _| autoscaler["status"] = json!({"desiredReplicas": 0}),
        default: |autoscaler, _| default(&mut autoscaler["spec"]),
        validate: |autoscaler, faults| validate(&autoscaler.get("spec"), faults),
        ..Kind::plain(
            "autoscaling",
            "v2",
            "HorizontalPodAutoscaler",
            "HorizontalPodAutoscalerList",
            "horizontalpodautoscalers",
            "horizontalpodautoscaler",
        )
    }
}

/// The older version knows the share of the CPU only; the rest lives in annotations.
pub(super) fn v1(stored: &'static Kind) -> Kind {
    Kind { from_stored: v1::from_v2, to_stored: v1::to_v2, ..Kind::view_of(stored, "autoscaling", "v1") }
}

const CPU_PERCENT: i64 = 80;

fn default(spec: &mut Value) {
    set_default(spec, "minReplicas", 1);
    if spec["metrics"].as_array().is_none_or(Vec::is_empty) {
        spec["metrics"] = json!([metrics::cpu("target", json!(CPU_PERCENT))]);
    }
    if !spec["behavior"].is_object() {
        return;
    }
    let policy = |kind: &str, value: i64| json!({"type": kind, "value": value, "periodSeconds": 15});
    let up = &mut spec["behavior"]["scaleUp"];
    set_default(up, "stabilizationWindowSeconds", 0);
    default_rules(up, json!([policy("Pods", 4), policy("Percent", 100)]));
    default_rules(&mut spec["behavior"]["scaleDown"], json!([policy("Percent", 100)]));
}

fn default_rules(rules: &mut Value, policies: Value) {
    set_default(rules, "selectPolicy", "Max");
    set_default(rules, "policies", policies);
}

fn validate(spec: &Field, faults: &mut Faults) {
    let (min, max) = (spec.get("minReplicas"), spec.get("maxReplicas"));
    if min.int().is_some_and(|count| count < 1) {
        faults.invalid(&min, "must be greater than or equal to 1");
    }
    let zero = json!(0);
    let shown = Field { path: max.path.clone(), value: if max.is_set() { max.value } else { &zero } };
    if max.int().unwrap_or(0) < 1 {
        faults.invalid(&shown, "must be greater than 0");
    }
    if max.int().unwrap_or(0) < min.int().unwrap_or(0) {
        faults.invalid(&shown, "must be greater than or equal to `minReplicas`");
    }
    metrics::validate_reference(&spec.get("scaleTargetRef"), faults);
    metrics::validate(&spec.get("metrics"), faults);
    for rules in ["scaleUp", "scaleDown"].map(|name| spec.get("behavior").get(name)) {
        validate_rules(&rules, faults);
    }
}

fn validate_rules(rules: &Field, faults: &mut Faults) {
    let window = rules.get("stabilizationWindowSeconds");
    faults.non_negative(&window);
    if window.int().is_some_and(|seconds| seconds > 3600) {
        faults.invalid(&window, "must be less than or equal to 3600");
    }
    faults.one_of(&rules.get("selectPolicy"), &["Disabled", "Max", "Min"]);
    let policies = rules.get("policies");
    if rules.is_set() && policies.is_empty() {
        faults.push(Cause::required(&policies.path, "must specify at least one Policy"));
    }
    for policy in policies.items() {
        faults.one_of(&policy.get("type"), &["Percent", "Pods"]);
        for field in ["value", "periodSeconds"].map(|name| policy.get(name)) {
            if field.int().unwrap_or(0) <= 0 {
                faults.invalid(&field, "must be greater than zero");
            }
        }
    }
}
