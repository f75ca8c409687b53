use jiff::Timestamp;
use serde_json::{Value, json};

use super::age::since;
use super::{Columns, NAME, str_of, text};
use crate::table::Column;

pub static EVENT: Columns = Columns {
    definitions: &[
        text("Last Seen", 0, "When it happened last."),
        text("Type", 0, "Normal or Warning."),
        text("Reason", 0, "Why, as one word."),
        text("Object", 0, "What it is about."),
        text("Subobject", 1, "Which part of that."),
        text("Source", 1, "Who reported it."),
        text("Message", 0, "What happened."),
        text("First Seen", 1, "When it happened first."),
        text("Count", 1, "How often it happened."),
        Column { priority: 1, ..NAME },
    ],
    row: |object, now| {
        let first = first_seen(object, now);
        vec![
            json!(last_seen(object, now).unwrap_or_else(|| first.clone())),
            object["type"].clone(),
            object["reason"].clone(),
            json!(about(object)),
            json!(str_of(&object["involvedObject"]["fieldPath"])),
            json!(source(object)),
            json!(str_of(&object["message"]).trim()),
            json!(first),
            json!(object["series"]["count"].as_i64().or_else(|| object["count"].as_i64()).unwrap_or(1).max(1)),
            super::name(object),
        ]
    },
};

fn first_seen(event: &Value, now: Timestamp) -> String {
    let time = [&event["firstTimestamp"], &event["eventTime"]].into_iter().find(|time| time.is_string());
    since(time.unwrap_or(&Value::Null), now)
}

fn last_seen(event: &Value, now: Timestamp) -> Option<String> {
    let time =
        [&event["series"]["lastObservedTime"], &event["lastTimestamp"]].into_iter().find(|time| time.is_string());
    time.map(|time| since(time, now))
}

fn about(event: &Value) -> String {
    let object = &event["involvedObject"];
    let kind = str_of(&object["kind"]).to_lowercase();
    match str_of(&object["name"]) {
        "" => kind,
        name => format!("{kind}/{name}"),
    }
}

fn source(event: &Value) -> String {
    let component = match str_of(&event["source"]["component"]) {
        "" => str_of(&event["reportingComponent"]),
        component => component,
    };
    match str_of(&event["source"]["host"]) {
        "" => component.to_owned(),
        host => format!("{component}, {host}"),
    }
}
