use serde_json::json;

use super::count::{at_most_all, count_or_percent};
use super::pod_spec::Owner;
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
    pod_spec::validate_template(&spec.get("template"), &spec.get("selector"), Owner::Restarting("ReplicaSet"), faults);
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
    let both = [&unavailable, &surge].map(|field| count_or_percent(field, faults));
    if both == [Some(0), Some(0)] {
        faults.invalid(&unavailable, "may not be 0 when `maxSurge` is 0");
    }
    at_most_all(&unavailable, faults);
}
