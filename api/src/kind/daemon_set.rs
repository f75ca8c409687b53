use serde_json::{Value, json};

use super::count::{at_most_all, count_or_percent};
use super::pod_spec::Owner;
use super::{Kind, pod_spec, table};
use crate::Cause;
use crate::field::{Faults, Field, set_default};

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["ds"],
        categories: &["all"],
        columns: &table::DAEMONSET,
        subresources: &["status"],
        has_generation: true,
        has_status: true,
        inert: Some(
            "no controller of wasmk runs DaemonSets yet: this DaemonSet is stored, but no pods will be made for it",
        ),
        prepare_create: |set, _| {
            let counts = ["currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"];
            set["status"] = counts.iter().map(|count| ((*count).to_owned(), json!(0))).collect();
        },
        default: |set, _| default(&mut set["spec"]),
        validate: |set, faults| validate(&set.get("spec"), faults),
        validate_update: |new, old, faults| {
            faults.immutable(&new.get("spec").get("selector"), &old["spec"]["selector"]);
        },
        pod_spec: Some("spec.template.spec"),
        ..Kind::plain("apps", "v1", "DaemonSet", "DaemonSetList", "daemonsets", "daemonset")
    }
}

fn default(spec: &mut Value) {
    set_default(spec, "revisionHistoryLimit", 10);
    let strategy = &mut spec["updateStrategy"];
    set_default(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        set_default(&mut strategy["rollingUpdate"], "maxUnavailable", 1);
        set_default(&mut strategy["rollingUpdate"], "maxSurge", 0);
    }
    pod_spec::default_spec(&mut spec["template"]["spec"]);
}

fn validate(spec: &Field, faults: &mut Faults) {
    pod_spec::validate_selector(&spec.get("selector"), "daemonset", faults);
    let owner = Owner::Restarting("DaemonSet");
    pod_spec::validate_template(&spec.get("template"), &spec.get("selector"), owner, faults);
    faults.non_negative(&spec.get("minReadySeconds"));
    faults.non_negative(&spec.get("revisionHistoryLimit"));
    let strategy = spec.get("updateStrategy");
    faults.one_of(&strategy.get("type"), &["RollingUpdate", "OnDelete"]);
    if strategy.get("type").text() == "RollingUpdate" {
        validate_rolling(&strategy.get("rollingUpdate"), faults);
    }
}

/// Exactly one of the two is not zero. Source: `ValidateRollingUpdateDaemonSet`.
fn validate_rolling(rolling: &Field, faults: &mut Faults) {
    let (unavailable, surge) = (rolling.get("maxUnavailable"), rolling.get("maxSurge"));
    let has = [&unavailable, &surge].map(|field| {
        at_most_all(field, faults);
        count_or_percent(field, faults).unwrap_or(0) != 0
    });
    match has {
        [true, true] => faults.invalid(&surge, "may not be set when maxUnavailable is non-zero"),
        [false, false] => faults.push(Cause::required(&unavailable.path, "cannot be 0 when maxSurge is 0")),
        _ => {}
    }
}
