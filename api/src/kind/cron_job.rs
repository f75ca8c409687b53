mod schedule;

use serde_json::{Value, json};

use super::{Kind, job, pod_spec, table};
use crate::Cause;
use crate::field::{Faults, Field, set_default};

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["cj"],
        categories: &["all"],
        columns: &table::CRONJOB,
        subresources: &["status"],
        has_generation: true,
        has_status: true,
        inert: Some(
            "no controller of wasmk runs CronJobs yet: this CronJob is stored, but no Jobs will be made for it",
        ),
        prepare_create: |cron_job, _| cron_job["status"] = json!({}),
        default: |cron_job, _| default(&mut cron_job["spec"]),
        validate: |cron_job, faults| {
            let name = cron_job.get("metadata").get("name");
            if name.text().len() > NAME_LENGTH_MAX {
                faults.invalid(&name, &format!("must be no more than {NAME_LENGTH_MAX} characters"));
            }
            validate(&cron_job.get("spec"), faults);
        },
        pod_spec: Some("spec.jobTemplate.spec.template.spec"),
        ..Kind::plain("batch", "v1", "CronJob", "CronJobList", "cronjobs", "cronjob")
    }
}

/// For clients from before Kubernetes 1.21.
pub(super) fn v1beta1(stored: &'static Kind) -> Kind {
    Kind::view_of(stored, "batch", "v1beta1")
}

/// The names of its Jobs get a suffix of eleven characters.
const NAME_LENGTH_MAX: usize = 52;

fn default(spec: &mut Value) {
    set_default(spec, "concurrencyPolicy", "Allow");
    set_default(spec, "suspend", false);
    set_default(spec, "successfulJobsHistoryLimit", 3);
    set_default(spec, "failedJobsHistoryLimit", 1);
    pod_spec::default_spec(&mut spec["jobTemplate"]["spec"]["template"]["spec"]);
}

fn validate(spec: &Field, faults: &mut Faults) {
    let schedule = spec.get("schedule");
    if faults.require(&schedule, "") {
        validate_schedule(&schedule, faults);
    }
    for field in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        faults.non_negative(&spec.get(field));
    }
    let zone = spec.get("timeZone");
    if zone.str() == Some("") {
        faults.invalid(&zone, "timeZone must be nil or non-empty string");
    } else if zone.text().eq_ignore_ascii_case("local") {
        let detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        faults.invalid(&zone, detail);
    }
    faults.one_of(&spec.get("concurrencyPolicy"), &["Allow", "Forbid", "Replace"]);
    let job = spec.get("jobTemplate").get("spec");
    job::validate_spec(&job, faults);
    if job.get("selector").is_set() {
        faults.invalid(&job.get("selector"), "`selector` will be auto-generated");
    }
    if job.value["manualSelector"] == true {
        let selector = job.get("manualSelector");
        faults.push(Cause::unsupported(&selector.path, selector.value, &["nil", "false"]));
    }
}

fn validate_schedule(schedule: &Field, faults: &mut Faults) {
    if schedule.text().contains("TZ") {
        faults.invalid(schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
    } else if let Err(why) = schedule::check(schedule.text()) {
        faults.invalid(schedule, &why);
    }
}
