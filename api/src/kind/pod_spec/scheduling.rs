//! Where a pod may go: node selector, affinity, tolerations, spread, gates.

use serde_json::Value;

use crate::field::{Faults, Field};
use crate::{Cause, names};

pub(super) fn validate(spec: &Field, faults: &mut Faults) {
    faults.labels(&spec.get("nodeSelector"));
    for toleration in spec.get("tolerations").items() {
        validate_toleration(&toleration, faults);
    }
    affinity(&spec.get("affinity"), faults);
    for constraint in spec.get("topologySpreadConstraints").items() {
        let skew = constraint.get("maxSkew");
        if skew.int().unwrap_or(0) <= 0 {
            faults.invalid(&skew, "must be greater than zero");
        }
        faults.require(&constraint.get("topologyKey"), "can not be empty");
        let unsatisfiable = constraint.get("whenUnsatisfiable");
        if faults.require(&unsatisfiable, "") {
            faults.one_of(&unsatisfiable, &["DoNotSchedule", "ScheduleAnyway"]);
        }
    }
    for gate in spec.get("schedulingGates").items() {
        faults.named(&gate.get("name"), names::check_qualified_name(gate.get("name").text()));
    }
}

fn validate_toleration(toleration: &Field, faults: &mut Faults) {
    let [key, operator, value, effect] = ["key", "operator", "value", "effect"].map(|field| toleration.get(field));
    if key.is_empty() {
        if operator.text() != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            faults.invalid(&operator, detail);
        }
    } else {
        faults.named(&key, names::check_qualified_name(key.text()));
    }
    match operator.text() {
        "Exists" if !value.is_empty() => faults.invalid(&operator, "value must be empty when `operator` is 'Exists'"),
        "" | "Equal" => faults.named(&value, names::check_label_value(value.text())),
        _ => faults.one_of(&operator, &["Equal", "Exists"]),
    }
    faults.one_of(&effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
    if toleration.get("tolerationSeconds").is_set() && effect.text() != "NoExecute" {
        faults.invalid(&effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
    }
}

fn affinity(affinity: &Field, faults: &mut Faults) {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    let node = affinity.get("nodeAffinity");
    let terms = node.get(REQUIRED).get("nodeSelectorTerms");
    if node.get(REQUIRED).is_set() && terms.is_empty() {
        faults.push(Cause::required(&terms.path, "must have at least one node selector term"));
    }
    terms.items().for_each(|term| node_term(&term, faults));
    for preference in node.get(PREFERRED).items() {
        weight(&preference, faults);
        node_term(&preference.get("preference"), faults);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let pods = affinity.get(kind);
        for term in pods.get(REQUIRED).items() {
            faults.require(&term.get("topologyKey"), "can not be empty");
        }
        for preference in pods.get(PREFERRED).items() {
            weight(&preference, faults);
            faults.require(&preference.get("podAffinityTerm").get("topologyKey"), "can not be empty");
        }
    }
}

fn weight(preference: &Field, faults: &mut Faults) {
    let weight = preference.get("weight");
    if !weight.int().is_some_and(|weight| (1..=100).contains(&weight)) {
        faults.invalid(&weight, "must be in the range 1-100");
    }
}

fn node_term(term: &Field, faults: &mut Faults) {
    for expression in term.get("matchExpressions").items() {
        let (key, operator, values) = (expression.get("key"), expression.get("operator"), expression.get("values"));
        faults.named(&key, names::check_qualified_name(key.text()));
        let count = values.items().count();
        match operator.text() {
            "In" | "NotIn" if count == 0 => {
                faults.push(Cause::required(&values.path, "must be specified when `operator` is 'In' or 'NotIn'"));
            }
            "Exists" | "DoesNotExist" if count > 0 => {
                faults.forbid(&values.path, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
            }
            "Gt" | "Lt" if count != 1 => {
                let detail = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                faults.push(Cause::required(&values.path, detail));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            _ => faults.invalid(&operator, "not a valid selector operator"),
        }
    }
}

/// A scheduled pod may learn to tolerate more, and for how long.
pub(super) fn only_adds_tolerations(new: &Value, old: &Value) -> bool {
    let same = |a: &Value, b: &Value| ["key", "operator", "value", "effect"].iter().all(|field| a[field] == b[field]);
    let new = new.as_array().map(Vec::as_slice).unwrap_or_default();
    old.as_array().into_iter().flatten().all(|old| new.iter().any(|new| same(new, old)))
}

pub(super) fn only_removes_gates(new: &Value, old: &Value) -> bool {
    let old = old.as_array().map(Vec::as_slice).unwrap_or_default();
    new.as_array().into_iter().flatten().all(|gate| old.contains(gate))
}
