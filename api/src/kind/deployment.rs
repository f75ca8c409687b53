use serde_json::json;

use super::{Kind, pod_spec, table};
use crate::field::{Faults, Field, set_default};

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["deploy"],
        categories: &["all"],
        columns: &table::DEPLOYMENT,
        subresources: &["scale", "status"],
        has_generation: true,
        has_status: true,
        prepare_create: |deployment, _| deployment["status"] = json!({}),
        default: |deployment, _| {
            let spec = &mut deployment["spec"];
            set_default(spec, "replicas", 1);
            set_default(spec, "revisionHistoryLimit", 10);
            set_default(spec, "progressDeadlineSeconds", 600);
            let strategy = &mut spec["strategy"];
            set_default(strategy, "type", "RollingUpdate");
            if strategy["type"] == "RollingUpdate" {
                set_default(&mut strategy["rollingUpdate"], "maxUnavailable", "25%");
                set_default(&mut strategy["rollingUpdate"], "maxSurge", "25%");
            }
            pod_spec::default_spec(&mut spec["template"]["spec"]);
        },
        validate: |deployment, faults| validate(&deployment.get("spec"), faults),
        validate_update: |new, old, faults| {
            faults.immutable(&new.get("spec").get("selector"), &old["spec"]["selector"]);
        },
        pod_spec: Some("spec.template.spec"),
        ..Kind::plain("apps", "v1", "Deployment", "DeploymentList", "deployments", "deployment")
    }
}

fn validate(spec: &Field, faults: &mut Faults) {
    for field in ["replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        faults.non_negative(&spec.get(field));
    }
    pod_spec::validate_selector(&spec.get("selector"), "deployment", faults);
    pod_spec::validate_template(&spec.get("template"), &spec.get("selector"), faults);
    validate_strategy(&spec.get("strategy"), faults);
    let deadline = spec.get("progressDeadlineSeconds");
    if deadline.int().unwrap_or(600) <= spec.get("minReadySeconds").int().unwrap_or(0) {
        faults.invalid(&deadline, "must be greater than minReadySeconds");
    }
}

fn validate_strategy(strategy: &Field, faults: &mut Faults) {
    let (kind, rolling) = (strategy.get("type"), strategy.get("rollingUpdate"));
    faults.one_of(&kind, &["Recreate", "RollingUpdate"]);
    if kind.text() == "Recreate" && rolling.is_set() {
        faults.forbid(&rolling.path, "may not be specified when strategy `type` is 'Recreate'");
    }
    let (unavailable, surge) = (rolling.get("maxUnavailable"), rolling.get("maxSurge"));
    let both = [&unavailable, &surge].map(|field| share(field, faults));
    if both == [Some(0), Some(0)] {
        faults.invalid(&unavailable, "may not be 0 when `maxSurge` is 0");
    }
    if unavailable.str().is_some() && both[0].is_some_and(|percent| percent > 100) {
        faults.invalid(&unavailable, "must not be greater than 100%");
    }
}

/// A count or a percentage; `None` when it is neither, which is a fault.
fn share(field: &Field, faults: &mut Faults) -> Option<i64> {
    if let Some(count) = field.int() {
        faults.non_negative(field);
        return Some(count);
    }
    let percent = field.str()?.strip_suffix('%').and_then(|digits| digits.parse().ok());
    if percent.is_none_or(|percent: i64| percent < 0) {
        faults.invalid(
            field,
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
        );
        return None;
    }
    percent
}
