use serde_json::{Value, json};

use super::{AGE, Columns, NAME, age, array, integer, name, or_none, str_of, text};

pub static DEPLOYMENT: Columns = Columns {
    definitions: &[
        NAME,
        text("Ready", 0, "Ready pods of those wanted."),
        text("Up-to-date", 0, "Pods of the newest template."),
        text("Available", 0, "Pods that have been ready for long enough."),
        AGE,
        text("Containers", 1, "The names of the template's containers."),
        text("Images", 1, "Their images."),
        text("Selector", 1, "The labels of its pods."),
    ],
    row: |object, now| {
        let count = |field: &str| object["status"][field].as_i64().unwrap_or(0);
        let (containers, images) = containers(&object["spec"]["template"]["spec"]);
        vec![
            name(object),
            json!(format!("{}/{}", count("readyReplicas"), object["spec"]["replicas"].as_i64().unwrap_or(0))),
            json!(count("updatedReplicas")),
            json!(count("availableReplicas")),
            age(object, now),
            json!(containers),
            json!(images),
            json!(selector(&object["spec"]["selector"])),
        ]
    },
};

pub static REPLICASET: Columns = Columns {
    definitions: &[
        NAME,
        integer("Desired", 0, "How many pods are wanted."),
        integer("Current", 0, "How many there are."),
        integer("Ready", 0, "How many are ready."),
        AGE,
        text("Containers", 1, "The names of the template's containers."),
        text("Images", 1, "Their images."),
        text("Selector", 1, "The labels of its pods."),
    ],
    row: |object, now| {
        let count = |field: &str| object["status"][field].as_i64().unwrap_or(0);
        let (containers, images) = containers(&object["spec"]["template"]["spec"]);
        vec![
            name(object),
            json!(object["spec"]["replicas"].as_i64().unwrap_or(0)),
            json!(count("replicas")),
            json!(count("readyReplicas")),
            age(object, now),
            json!(containers),
            json!(images),
            json!(selector(&object["spec"]["selector"])),
        ]
    },
};

fn containers(spec: &Value) -> (String, String) {
    let joined = |field: &str| {
        array(&spec["containers"]).map(|container| str_of(&container[field])).collect::<Vec<_>>().join(",")
    };
    (joined("name"), joined("image"))
}

/// A LabelSelector as `kubectl get -l` would take it.
fn selector(selector: &Value) -> String {
    let equal = selector["matchLabels"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", str_of(value)));
    let expressions = array(&selector["matchExpressions"]).map(|expression| {
        let key = str_of(&expression["key"]);
        let values = array(&expression["values"]).map(str_of).collect::<Vec<_>>().join(",");
        match str_of(&expression["operator"]) {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        }
    });
    or_none(equal.chain(expressions).collect::<Vec<_>>().join(","))
}
