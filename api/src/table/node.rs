use serde_json::{Value, json};

use super::{AGE, Columns, NAME, age, array, name, or_none, str_of, text};

pub static NODE: Columns = Columns {
    definitions: &[
        NAME,
        text("Status", 0, "Whether the node takes pods."),
        text("Roles", 0, "The roles that its labels name."),
        AGE,
        text("Version", 0, "The version of the node's agent."),
        text("Internal-IP", 1, "The address for other nodes."),
        text("External-IP", 1, "The address for the outside."),
        text("OS-Image", 1, "The operating system."),
        text("Kernel-Version", 1, "The kernel."),
        text("Container-Runtime", 1, "What runs the containers."),
    ],
    row: |object, now| {
        let info = &object["status"]["nodeInfo"];
        let known = |field: &str| match str_of(&info[field]) {
            "" => json!("<unknown>"),
            text => json!(text),
        };
        vec![
            name(object),
            json!(status(object)),
            json!(roles(object)),
            age(object, now),
            json!(str_of(&info["kubeletVersion"])),
            json!(address(object, "InternalIP")),
            json!(address(object, "ExternalIP")),
            known("osImage"),
            known("kernelVersion"),
            known("containerRuntimeVersion"),
        ]
    },
};

fn status(node: &Value) -> String {
    let ready = array(&node["status"]["conditions"]).find(|condition| condition["type"] == "Ready");
    let mut status = match ready.map(|condition| str_of(&condition["status"])) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if node["spec"]["unschedulable"] == true {
        status.push_str(",SchedulingDisabled");
    }
    status
}

fn roles(node: &Value) -> String {
    let labels = node["metadata"]["labels"].as_object();
    let roles: Vec<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) if !role.is_empty() => Some(role),
            _ if key == "kubernetes.io/role" => value.as_str(),
            _ => None,
        })
        .collect();
    or_none(roles.join(","))
}

fn address(node: &Value, kind: &str) -> String {
    let found = array(&node["status"]["addresses"]).find(|address| address["type"] == kind);
    or_none(found.map(|address| str_of(&address["address"]).to_owned()).unwrap_or_default())
}
