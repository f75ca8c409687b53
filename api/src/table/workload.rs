use serde_json::{Value, json};

use super::{AGE, Columns, NAME, age, array, integer, labels, name, or_none, str_of, text};

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

pub static REPLICATIONCONTROLLER: Columns = Columns {
    definitions: REPLICASET.definitions,
    row: |object, now| {
        let mut row = (REPLICASET.row)(object, now);
        row.pop();
        row.push(json!(labels(&object["spec"]["selector"])));
        row
    },
};

pub static STATEFULSET: Columns = Columns {
    definitions: &[
        NAME,
        text("Ready", 0, "Ready pods of those wanted."),
        AGE,
        text("Containers", 1, "The names of the template's containers."),
        text("Images", 1, "Their images."),
    ],
    row: |object, now| {
        let ready = object["status"]["readyReplicas"].as_i64().unwrap_or(0);
        let (containers, images) = containers(&object["spec"]["template"]["spec"]);
        vec![
            name(object),
            json!(format!("{ready}/{}", object["spec"]["replicas"].as_i64().unwrap_or(0))),
            age(object, now),
            json!(containers),
            json!(images),
        ]
    },
};

pub static DAEMONSET: Columns = Columns {
    definitions: &[
        NAME,
        integer("Desired", 0, "How many nodes should run a pod of it."),
        integer("Current", 0, "How many do."),
        integer("Ready", 0, "On how many it is ready."),
        integer("Up-to-date", 0, "Pods of the newest template."),
        integer("Available", 0, "Pods that have been ready for long enough."),
        text("Node Selector", 0, "The labels of its nodes."),
        AGE,
        text("Containers", 1, "The names of the template's containers."),
        text("Images", 1, "Their images."),
        text("Selector", 1, "The labels of its pods."),
    ],
    row: |object, now| {
        let count = |field: &str| json!(object["status"][field].as_i64().unwrap_or(0));
        let spec = &object["spec"]["template"]["spec"];
        let (containers, images) = containers(spec);
        vec![
            name(object),
            count("desiredNumberScheduled"),
            count("currentNumberScheduled"),
            count("numberReady"),
            count("updatedNumberScheduled"),
            count("numberAvailable"),
            json!(labels(&spec["nodeSelector"])),
            age(object, now),
            json!(containers),
            json!(images),
            json!(selector(&object["spec"]["selector"])),
        ]
    },
};

pub static CONTROLLERREVISION: Columns = Columns {
    definitions: &[
        NAME,
        text("Controller", 0, "Whose history it belongs to."),
        text("Revision", 0, "Its place in that history."),
        AGE,
    ],
    row: |object, now| {
        let owner = array(&object["metadata"]["ownerReferences"]).find(|owner| owner["controller"] == true);
        let owner = owner.map(|owner| {
            let group = str_of(&owner["apiVersion"]).split_once('/').map(|(group, _)| format!(".{group}"));
            let kind = str_of(&owner["kind"]).to_lowercase();
            format!("{kind}{}/{}", group.unwrap_or_default(), str_of(&owner["name"]))
        });
        let revision = object["revision"].as_i64().unwrap_or(0);
        vec![name(object), json!(or_none(owner.unwrap_or_default())), json!(revision), age(object, now)]
    },
};

pub static PODTEMPLATE: Columns = Columns {
    definitions: &[
        NAME,
        text("Containers", 0, "The names of the template's containers."),
        text("Images", 0, "Their images."),
        text("Pod Labels", 0, "The labels of the template."),
    ],
    row: |object, _| {
        let (containers, images) = containers(&object["template"]["spec"]);
        let labels = labels(&object["template"]["metadata"]["labels"]);
        vec![name(object), json!(containers), json!(images), json!(labels)]
    },
};

pub(super) fn containers(spec: &Value) -> (String, String) {
    let joined = |field: &str| {
        array(&spec["containers"]).map(|container| str_of(&container[field])).collect::<Vec<_>>().join(",")
    };
    (joined("name"), joined("image"))
}

/// A LabelSelector as `kubectl get -l` would take it.
pub(super) fn selector(selector: &Value) -> String {
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
