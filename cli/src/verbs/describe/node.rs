use serde_json::Value;

use super::page::{Page, plain};

pub(super) fn describe(page: &mut Page, node: &Value, pods: &Value) {
    page.labels(node);
    let taints: Vec<String> = array(&node["spec"]["taints"]).map(taint).collect();
    page.line(0, "Taints:", taints.first().map_or("<none>", String::as_str));
    taints.iter().skip(1).for_each(|text| page.line(0, "", text));
    page.line(0, "Unschedulable:", if node["spec"]["unschedulable"] == true { "true" } else { "false" });
    page.conditions(node);
    page.line(0, "Addresses:", "");
    for address in array(&node["status"]["addresses"]) {
        page.line(1, &format!("{}:", plain(&address["type"])), &plain(&address["address"]));
    }
    for (field, title) in [("capacity", "Capacity:"), ("allocatable", "Allocatable:")] {
        page.line(0, title, "");
        for (resource, amount) in node["status"][field].as_object().into_iter().flatten() {
            page.line(1, &format!("{resource}:"), &plain(amount));
        }
    }
    page.line(0, "System Info:", "");
    for (name, value) in node["status"]["nodeInfo"].as_object().into_iter().flatten() {
        page.line(1, &format!("{name}:"), &plain(value));
    }
    page.text("PodCIDR", &node["spec"]["podCIDR"]);
    let live: Vec<&Value> = array(&pods["items"])
        .filter(|pod| !["Succeeded", "Failed"].iter().any(|phase| pod["status"]["phase"] == *phase))
        .collect();
    page.line(0, "Non-terminated Pods:", &format!("({} in total)", live.len()));
    let mut rows = vec![["Namespace", "Name", "CPU Requests", "Memory Requests", "Memory Limits"].map(str::to_owned)];
    rows.extend(live.iter().map(|pod| {
        let text = |field: &str| plain(&pod["metadata"][field]);
        [
            text("namespace"),
            text("name"),
            amounts(pod, "requests", "cpu"),
            amounts(pod, "requests", "memory"),
            amounts(pod, "limits", "memory"),
        ]
    }));
    page.rows(1, &rows);
}

/// What the containers of a pod ask of a resource; several are joined by `+`.
fn amounts(pod: &Value, kind: &str, resource: &str) -> String {
    let amounts: Vec<String> = array(&pod["spec"]["containers"])
        .filter_map(|container| container["resources"][kind].get(resource))
        .map(plain)
        .collect();
    if amounts.is_empty() { "0".to_owned() } else { amounts.join("+") }
}

fn taint(taint: &Value) -> String {
    let value = taint["value"].as_str().map(|value| format!("={value}")).unwrap_or_default();
    format!("{}{value}:{}", plain(&taint["key"]), plain(&taint["effect"]))
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
