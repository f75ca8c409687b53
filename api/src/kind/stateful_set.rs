use serde_json::{Value, json};

use super::count::{at_most_all, count_or_percent};
use super::{Kind, pod_spec, table};
use crate::field::{Faults, Field, set_default};

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["sts"],
        categories: &["all"],
        columns: &table::STATEFULSET,
        subresources: &["scale", "status"],
        has_generation: true,
        has_status: true,
        inert: Some(
            "no controller of wasmk runs StatefulSets yet: this StatefulSet is stored, but no pods will be made for it",
        ),
        prepare_create: |set, _| set["status"] = json!({"replicas": 0, "availableReplicas": 0}),
        default: |set, _| default(&mut set["spec"]),
        validate: |set, faults| validate(&set.get("spec"), faults),
        validate_update: |new, old, faults| validate_update(&new.get("spec"), &old["spec"], faults),
        pod_spec: Some("spec.template.spec"),
        ..Kind::plain("apps", "v1", "StatefulSet", "StatefulSetList", "statefulsets", "statefulset")
    }
}

fn default(spec: &mut Value) {
    set_default(spec, "replicas", 1);
    set_default(spec, "podManagementPolicy", "OrderedReady");
    set_default(spec, "revisionHistoryLimit", 10);
    let strategy = &mut spec["updateStrategy"];
    set_default(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        set_default(&mut strategy["rollingUpdate"], "partition", 0);
    }
    let retention = &mut spec["persistentVolumeClaimRetentionPolicy"];
    set_default(retention, "whenDeleted", "Retain");
    set_default(retention, "whenScaled", "Retain");
    for claim in spec.get_mut("volumeClaimTemplates").and_then(Value::as_array_mut).into_iter().flatten() {
        set_default(claim, "apiVersion", "v1");
        set_default(claim, "kind", "PersistentVolumeClaim");
        set_default(&mut claim["spec"], "volumeMode", "Filesystem");
        set_default(&mut claim["status"], "phase", "Pending");
    }
    pod_spec::default_spec(&mut spec["template"]["spec"]);
}

fn validate(spec: &Field, faults: &mut Faults) {
    let policy = spec.get("podManagementPolicy");
    if !["OrderedReady", "Parallel"].contains(&policy.text()) {
        faults.invalid(&policy, "must be 'OrderedReady' or 'Parallel'");
    }
    validate_strategy(&spec.get("updateStrategy"), faults);
    let retention = spec.get("persistentVolumeClaimRetentionPolicy");
    for field in ["whenDeleted", "whenScaled"] {
        faults.one_of(&retention.get(field), &["Retain", "Delete"]);
    }
    for field in ["replicas", "minReadySeconds", "revisionHistoryLimit"].map(|name| spec.get(name)) {
        faults.non_negative(&field);
    }
    faults.non_negative(&spec.get("ordinals").get("start"));
    let (template, selector) = (spec.get("template"), spec.get("selector"));
    pod_spec::validate_selector(&selector, "statefulset", faults);
    // As in Kubernetes nothing more of the template: its mounts may be of volumes that each pod gets of its own.
    pod_spec::validate_template_labels(&template, &selector, faults);
    faults.one_of(&template.get("spec").get("restartPolicy"), &["Always"]);
    let deadline = template.get("spec").get("activeDeadlineSeconds");
    if deadline.is_set() {
        faults.forbid(&deadline.path, "activeDeadlineSeconds in StatefulSet is not Supported");
    }
}

fn validate_strategy(strategy: &Field, faults: &mut Faults) {
    let rolling = strategy.get("rollingUpdate");
    match strategy.get("type").text() {
        "RollingUpdate" => {
            faults.non_negative(&rolling.get("partition"));
            count_or_percent(&rolling.get("maxUnavailable"), faults);
            at_most_all(&rolling.get("maxUnavailable"), faults);
        }
        "OnDelete" if rolling.is_set() => {
            faults.invalid(&rolling, "only allowed for updateStrategy 'RollingUpdate'");
        }
        "OnDelete" => {}
        _ => faults.invalid(strategy, "must be 'RollingUpdate' or 'OnDelete'"),
    }
}

const MUTABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

fn validate_update(new: &Field, old: &Value, faults: &mut Faults) {
    let changed = |(key, _): &(&str, &Value)| !MUTABLE.contains(key) && new.value[*key] != old[*key];
    if new.entries().chain(Field::root(old).entries()).any(|entry| changed(&entry)) {
        faults.forbid(
            &new.path,
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        );
    }
}
