use serde_json::{Value, json};

use super::{AGE, Column, Columns, NAME, age, integer, name, str_of, text};

pub static PRIORITYCLASS: Columns = Columns {
    definitions: &[
        NAME,
        integer("Value", 0, "The priority of pods of the class."),
        Column {
            name: "Global-Default",
            kind: "boolean",
            format: "",
            priority: 0,
            description: "Whether it is for pods that name no class.",
        },
        AGE,
        text("PreemptionPolicy", 0, "Whether its pods may displace others."),
    ],
    row: |object, now| {
        vec![
            name(object),
            json!(object["value"].as_i64().unwrap_or(0)),
            json!(object["globalDefault"] == true),
            age(object, now),
            json!(object["preemptionPolicy"].as_str().unwrap_or("PreemptLowerPriority")),
        ]
    },
};

pub static RUNTIMECLASS: Columns = Columns {
    definitions: &[NAME, text("Handler", 0, "What runs its pods."), AGE],
    row: |object, now| vec![name(object), object["handler"].clone(), age(object, now)],
};

pub static RESOURCEQUOTA: Columns = Columns {
    definitions: &[
        NAME,
        text("Request", 0, "What is requested, of how much."),
        text("Limit", 0, "What the limits come to, of how much."),
        AGE,
    ],
    row: |object, now| {
        let shown = |limits: bool| json!(quota(&object["status"], limits));
        vec![name(object), shown(false), shown(true), age(object, now)]
    },
};

/// `cpu: 1/2, memory: 0/1Gi`
fn quota(status: &Value, limits: bool) -> String {
    let hard = status["hard"].as_object().into_iter().flatten();
    let shown = hard.filter(|(resource, _)| resource.starts_with("limits") == limits).map(|(resource, most)| {
        let used = status["used"][resource].as_str().unwrap_or("0");
        format!("{resource}: {used}/{}", str_of(most))
    });
    shown.collect::<Vec<_>>().join(", ")
}
