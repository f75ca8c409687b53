use serde_json::{Value, json};

use super::{AGE, Columns, NAME, age, array, integer, name, str_of, text};

pub static PODDISRUPTIONBUDGET: Columns = Columns {
    definitions: &[
        NAME,
        text("Min Available", 0, "How many pods must stay."),
        text("Max Unavailable", 0, "How many pods may be missing."),
        integer("Allowed Disruptions", 0, "How many pods may be evicted now."),
        AGE,
    ],
    row: |object, now| {
        let bound = |field: &str| match &object["spec"][field] {
            Value::Null => "N/A".to_owned(),
            Value::String(percent) => percent.clone(),
            count => count.to_string(),
        };
        let allowed = object["status"]["disruptionsAllowed"].as_i64().unwrap_or(0);
        vec![
            name(object),
            json!(bound("minAvailable")),
            json!(bound("maxUnavailable")),
            json!(allowed),
            age(object, now),
        ]
    },
};

pub static HORIZONTALPODAUTOSCALER: Columns = Columns {
    definitions: &[
        NAME,
        text("Reference", 0, "What it scales."),
        text("Targets", 0, "What is measured, and what it should be."),
        text("MinPods", 0, "The least number of replicas."),
        text("MaxPods", 0, "The greatest number of replicas."),
        text("Replicas", 0, "How many there are."),
        AGE,
    ],
    row: |object, now| {
        let (spec, status) = (&object["spec"], &object["status"]);
        let reference = &spec["scaleTargetRef"];
        let min = spec["minReplicas"].as_i64().map_or("<unset>".to_owned(), |count| count.to_string());
        vec![
            name(object),
            json!(format!("{}/{}", str_of(&reference["kind"]), str_of(&reference["name"]))),
            json!(targets(&spec["metrics"], &status["currentMetrics"])),
            json!(min),
            json!(spec["maxReplicas"].as_i64().unwrap_or(0)),
            json!(status["currentReplicas"].as_i64().unwrap_or(0)),
            age(object, now),
        ]
    },
};

/// Metrics that are spelled out.
const METRICS_SHOWN: usize = 2;

fn targets(wanted: &Value, found: &Value) -> String {
    let all: Vec<String> = array(wanted).enumerate().map(|(index, metric)| target(metric, &found[index])).collect();
    match all.len() {
        0 => "<none>".to_owned(),
        count if count <= METRICS_SHOWN => all.join(", "),
        count => format!("{} + {} more...", all[..METRICS_SHOWN].join(", "), count - METRICS_SHOWN),
    }
}

/// `cpu: <unknown>/80%`
fn target(metric: &Value, found: &Value) -> String {
    let source = match str_of(&metric["type"]) {
        "ContainerResource" => "containerResource",
        "Resource" => "resource",
        "Pods" => "pods",
        "Object" => "object",
        "External" => "external",
        other => return format!("<unknown type {other}>"),
    };
    let (wanted, current) = (&metric[source]["target"], &found[source]["current"]);
    let shown = |value: &Value, unit: &str| match value {
        Value::Null => "<unknown>".to_owned(),
        Value::String(quantity) => quantity.clone(),
        number => format!("{number}{unit}"),
    };
    let pair = |field: &str, unit: &str| format!("{}/{}", shown(&current[field], unit), shown(&wanted[field], unit));
    let name = str_of(&metric[source]["name"]);
    let average = !wanted["averageValue"].is_null();
    match source {
        "resource" | "containerResource" if average => format!("{name}: {}", pair("averageValue", "")),
        "resource" | "containerResource" => format!("{name}: {}", pair("averageUtilization", "%")),
        "pods" => pair("averageValue", ""),
        _ if average => format!("{} (avg)", pair("averageValue", "")),
        _ => pair("value", ""),
    }
}
