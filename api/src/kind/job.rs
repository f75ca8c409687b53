use serde_json::{Value, json};

use super::pod_spec::Owner;
use super::{Kind, pod_spec, table};
use crate::field::{Faults, Field, set_default};
use crate::write::metadata::copy;
use crate::{Cause, Selector};

pub(super) fn kind() -> Kind {
    Kind {
        categories: &["all"],
        columns: &table::JOB,
        selectable: &["status.successful"],
        selectable_as: &[("status.successful", "status.succeeded")],
        subresources: &["status"],
        has_generation: true,
        has_status: true,
        orphans_dependents: true,
        inert: Some("no controller of wasmk runs Jobs yet: this Job is stored, but no pods will be made for it"),
        prepare_create: |job, _| {
            job["status"] = json!({});
            inherit_labels(job);
            generate_selector(job);
        },
        default: |job, _| {
            inherit_labels(job);
            default(&mut job["spec"]);
        },
        validate,
        validate_update: |new, old, faults| validate_update(&new.get("spec"), old, faults),
        pod_spec: Some("spec.template.spec"),
        ..Kind::plain("batch", "v1", "Job", "JobList", "jobs", "job")
    }
}

fn inherit_labels(job: &mut Value) {
    let labels = job["spec"]["template"]["metadata"]["labels"].clone();
    if labels.is_object() {
        set_default(&mut job["metadata"], "labels", labels);
    }
}

const CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";

/// Unless the user selects by hand, a Job knows its pods by its own uid. The labels without a prefix are older.
fn generate_selector(job: &mut Value) {
    let spec = &job["spec"];
    if spec["manualSelector"] == true || !spec["template"].is_object() {
        return;
    }
    let (uid, name) = (job["metadata"]["uid"].clone(), job["metadata"]["name"].clone());
    let labels = &mut job["spec"]["template"]["metadata"]["labels"];
    for (key, value) in
        [(CONTROLLER_UID, &uid), ("batch.kubernetes.io/job-name", &name), ("controller-uid", &uid), ("job-name", &name)]
    {
        labels[key] = value.clone();
    }
    job["spec"]["selector"]["matchLabels"][CONTROLLER_UID] = uid;
}

fn default(spec: &mut Value) {
    if spec["completions"].is_null() && spec["parallelism"].is_null() {
        spec["completions"] = json!(1);
    }
    for (field, value) in [
        ("parallelism", json!(1)),
        ("backoffLimit", json!(if spec["backoffLimitPerIndex"].is_null() { 6 } else { i32::MAX })),
        ("completionMode", json!("NonIndexed")),
        ("suspend", json!(false)),
        ("manualSelector", json!(false)),
        (
            "podReplacementPolicy",
            json!(if spec["podFailurePolicy"].is_null() { "TerminatingOrFailed" } else { "Failed" }),
        ),
    ] {
        set_default(spec, field, value);
    }
    pod_spec::default_spec(&mut spec["template"]["spec"]);
}

fn validate(job: &Field, faults: &mut Faults) {
    let spec = job.get("spec");
    validate_spec(&spec, faults);
    let (selector, uid) = (spec.get("selector"), job.value["metadata"]["uid"].as_str().unwrap_or_default());
    if !faults.require(&selector, "") {
        return;
    }
    let own = json!({CONTROLLER_UID: uid, "controller-uid": uid});
    let is_own = Selector::from_json(selector.value).is_ok_and(|selector| selector.matches(&own));
    if spec.value["manualSelector"] != true && !is_own {
        faults.invalid(&selector, "`selector` not auto-generated");
    }
    pod_spec::validate_template_labels(&spec.get("template"), &selector, faults);
}

/// Of a Job, and of the template in a CronJob.
pub(super) fn validate_spec(spec: &Field, faults: &mut Faults) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        faults.non_negative(&spec.get(field));
    }
    let mode = spec.get("completionMode");
    faults.one_of(&mode, &["NonIndexed", "Indexed"]);
    if mode.text() == "Indexed" && !spec.get("completions").is_set() {
        faults.push(Cause::required(&spec.get("completions").path, "when completion mode is Indexed"));
    }
    if mode.text() != "Indexed" && spec.get("backoffLimitPerIndex").is_set() {
        let detail = "requires indexed completion mode";
        faults.invalid(&spec.get("backoffLimitPerIndex"), detail);
    }
    faults.one_of(&spec.get("podReplacementPolicy"), &["Failed", "TerminatingOrFailed"]);
    pod_spec::validate(&spec.get("template").get("spec"), Owner::Ending, faults);
}

const IMMUTABLE: [&str; 6] =
    ["selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"];

/// Source: `ValidateJobSpecUpdate`.
fn validate_update(new: &Field, old: &Value, faults: &mut Faults) {
    let (spec, status) = (&old["spec"], &old["status"]);
    // An indexed Job may be scaled: as many completions as pods at once.
    let scales = spec["completionMode"] == "Indexed" && new.value["completions"] == new.value["parallelism"];
    if !scales {
        faults.immutable(&new.get("completions"), &spec["completions"]);
    }
    for field in IMMUTABLE {
        faults.immutable(&new.get(field), &spec[field]);
    }
    let mut template = spec["template"].clone();
    // Where its pods go may be decided until it first runs.
    if spec["suspend"] == true && !status["startTime"].is_string() {
        for field in ["labels", "annotations"] {
            copy(&mut template["metadata"], &new.value["template"]["metadata"], field);
        }
        for field in ["nodeSelector", "tolerations", "affinity", "schedulingGates"] {
            copy(&mut template["spec"], &new.value["template"]["spec"], field);
        }
    }
    faults.immutable(&new.get("template"), &template);
}
