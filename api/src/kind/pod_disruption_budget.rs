use serde_json::{Value, json};

use super::count::{at_most_all, count_or_percent};
use super::{Kind, table};
use crate::field::{Faults, Field};

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["pdb"],
        columns: &table::PODDISRUPTIONBUDGET,
        subresources: &["status"],
        has_generation: true,
        has_status: true,
        prepare_create: |budget, _| {
            let counts = ["currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods"];
            budget["status"] = counts.iter().map(|count| ((*count).to_owned(), json!(0))).collect();
        },
        validate: |budget, faults| validate(&budget.get("spec"), faults),
        ..Kind::plain(
            "policy",
            "v1",
            "PodDisruptionBudget",
            "PodDisruptionBudgetList",
            "poddisruptionbudgets",
            "poddisruptionbudget",
        )
    }
}

/// For clients from before Kubernetes 1.21. An empty selector selects nothing there, and every pod in v1: each becomes
/// what says the same in the other version, as Kubernetes does it.
pub(super) fn v1beta1(stored: &'static Kind) -> Kind {
    Kind {
        from_stored: |budget| replace_selector(budget, &nothing_in_v1(), everything_in_v1beta1()),
        to_stored: |budget| replace_selector(budget, &everything_in_v1beta1(), nothing_in_v1()),
        ..Kind::view_of(stored, "policy", "v1beta1")
    }
}

const NO_PODS_LABEL: &str = "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match";

fn nothing_in_v1() -> Value {
    json!({"matchExpressions": [{"key": NO_PODS_LABEL, "operator": "Exists"}]})
}

fn everything_in_v1beta1() -> Value {
    json!({"matchExpressions": [{"key": NO_PODS_LABEL, "operator": "DoesNotExist"}]})
}

/// `special` becomes the empty selector, and the empty one becomes `empty_as`.
fn replace_selector(budget: &mut Value, special: &Value, empty_as: Value) {
    let Some(selector) = budget.pointer_mut("/spec/selector") else { return };
    let is_empty = |part: &Value| *part == json!({}) || *part == json!([]);
    if selector == special {
        *selector = json!({});
    } else if selector.as_object().is_some_and(|selector| selector.values().all(is_empty)) {
        *selector = empty_as;
    }
}

fn validate(spec: &Field, faults: &mut Faults) {
    let (available, unavailable) = (spec.get("minAvailable"), spec.get("maxUnavailable"));
    if available.is_set() && unavailable.is_set() {
        faults.invalid(spec, "minAvailable and maxUnavailable cannot be both set");
    }
    for field in [&available, &unavailable] {
        count_or_percent(field, faults);
        at_most_all(field, faults);
    }
    faults.selector(&spec.get("selector"));
    faults.one_of(&spec.get("unhealthyPodEvictionPolicy"), &["AlwaysAllow", "IfHealthyBudget"]);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kind;

    #[test]
    fn an_empty_selector_means_nothing_in_the_old_version_and_everything_in_the_new() {
        let old = kind::by_gvk("policy", "v1beta1", "PodDisruptionBudget").unwrap();
        let budget = json!({"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "spec": {"selector": {}}});
        let mut stored = budget.clone();
        old.convert_to_stored(&mut stored);
        assert_eq!(stored["spec"]["selector"]["matchExpressions"][0]["operator"], "Exists");
        assert_eq!(*old.shown(&stored), budget);
        let all = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "spec": {"selector": {}}});
        let mut shown = old.shown(&all).into_owned();
        assert_eq!(shown["spec"]["selector"]["matchExpressions"][0]["operator"], "DoesNotExist");
        old.convert_to_stored(&mut shown);
        assert_eq!(shown, all);
        let plain = json!({"spec": {"selector": {"matchLabels": {"a": "b"}}}});
        assert_eq!(old.shown(&plain)["spec"], plain["spec"]);
    }
}
