use jiff::Timestamp;
use serde_json::{Value, json};

use super::age::{human_duration, since};
use super::workload::{containers, selector};
use super::{AGE, Column, Columns, NAME, age, array, integer, name, or_none, str_of, text};

pub static JOB: Columns = Columns {
    definitions: &[
        NAME,
        text("Status", 0, "How far it has come."),
        text("Completions", 0, "Pods that succeeded of those wanted."),
        text("Duration", 0, "How long it ran."),
        AGE,
        text("Containers", 1, "The names of the template's containers."),
        text("Images", 1, "Their images."),
        text("Selector", 1, "The labels of its pods."),
    ],
    row: |object, now| {
        let spec = &object["spec"];
        let (containers, images) = containers(&spec["template"]["spec"]);
        vec![
            name(object),
            json!(status(object)),
            json!(completions(object)),
            json!(duration(&object["status"], now)),
            age(object, now),
            json!(containers),
            json!(images),
            json!(selector(&spec["selector"])),
        ]
    },
};

pub static CRONJOB: Columns = Columns {
    definitions: &[
        NAME,
        text("Schedule", 0, "When it starts Jobs."),
        text("Timezone", 0, "Where that is meant."),
        Column {
            name: "Suspend",
            kind: "boolean",
            format: "",
            priority: 0,
            description: "Whether it starts no further Jobs.",
        },
        integer("Active", 0, "How many of its Jobs run."),
        text("Last Schedule", 0, "When it started the last one."),
        AGE,
        text("Containers", 1, "The names of the template's containers."),
        text("Images", 1, "Their images."),
        text("Selector", 1, "The labels of its pods."),
    ],
    row: |object, now| {
        let (spec, job) = (&object["spec"], &object["spec"]["jobTemplate"]["spec"]);
        let (containers, images) = containers(&job["template"]["spec"]);
        let suspend = match spec["suspend"].as_bool() {
            Some(true) => "True",
            Some(false) => "False",
            None => "<unset>",
        };
        let last = &object["status"]["lastScheduleTime"];
        vec![
            name(object),
            spec["schedule"].clone(),
            json!(or_none(str_of(&spec["timeZone"]).to_owned())),
            json!(suspend),
            json!(array(&object["status"]["active"]).count()),
            json!(if last.is_string() { since(last, now) } else { "<none>".to_owned() }),
            age(object, now),
            json!(containers),
            json!(images),
            json!(selector(&job["selector"])),
        ]
    },
};

fn status(job: &Value) -> &'static str {
    let has = |condition: &str| {
        array(&job["status"]["conditions"]).any(|one| one["type"] == condition && one["status"] == "True")
    };
    if has("Complete") {
        "Complete"
    } else if has("Failed") {
        "Failed"
    } else if job["metadata"]["deletionTimestamp"].is_string() {
        "Terminating"
    } else if has("Suspended") {
        "Suspended"
    } else if has("FailureTarget") {
        "FailureTarget"
    } else if has("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

fn completions(job: &Value) -> String {
    let succeeded = job["status"]["succeeded"].as_i64().unwrap_or(0);
    match (job["spec"]["completions"].as_i64(), job["spec"]["parallelism"].as_i64().unwrap_or(0)) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, parallelism @ 2..) => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    }
}

fn duration(status: &Value, now: Timestamp) -> String {
    let time = |field: &str| -> Option<Timestamp> { status[field].as_str()?.parse().ok() };
    let Some(start) = time("startTime") else { return String::new() };
    human_duration(time("completionTime").unwrap_or(now).as_second() - start.as_second())
}
