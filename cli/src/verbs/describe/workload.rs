use serde_json::Value;

use super::page::{Page, plain};

pub(super) fn deployment(page: &mut Page, deployment: &Value, sets: &Value) {
    let (spec, status) = (&deployment["spec"], &deployment["status"]);
    page.labels(deployment);
    page.map("Selector", &spec["selector"]["matchLabels"]);
    let count = |field: &str| status[field].as_i64().unwrap_or(0);
    page.line(
        0,
        "Replicas:",
        &format!(
            "{} desired | {} updated | {} total | {} available | {} unavailable",
            spec["replicas"],
            count("updatedReplicas"),
            count("replicas"),
            count("availableReplicas"),
            count("unavailableReplicas")
        ),
    );
    page.text("StrategyType", &spec["strategy"]["type"]);
    page.line(0, "MinReadySeconds:", &spec["minReadySeconds"].as_i64().unwrap_or(0).to_string());
    let rolling = &spec["strategy"]["rollingUpdate"];
    if rolling.is_object() {
        page.line(
            0,
            "RollingUpdate:",
            &format!(
                "{} max unavailable, {} max surge",
                plain(&rolling["maxUnavailable"]),
                plain(&rolling["maxSurge"])
            ),
        );
    }
    if spec["paused"] == true {
        page.line(0, "Paused:", "true");
    }
    template(page, &spec["template"]);
    page.conditions(deployment);
    let uid = &deployment["metadata"]["uid"];
    let hash = |set: &Value| {
        set["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
            .as_str()
            .and_then(|text| text.parse::<i64>().ok())
    };
    let mut owned: Vec<&Value> = array(&sets["items"])
        .filter(|set| array(&set["metadata"]["ownerReferences"]).any(|owner| owner["uid"] == *uid))
        .collect();
    owned.sort_by_key(|set| hash(set));
    let (newest, older) = owned.split_last().map_or((None, &[][..]), |(newest, older)| (Some(newest), older));
    let shown = |set: &&&Value| {
        format!(
            "{} ({}/{} replicas)",
            plain(&set["metadata"]["name"]),
            set["status"]["replicas"].as_i64().unwrap_or(0),
            set["spec"]["replicas"]
        )
    };
    let old: Vec<String> = older.iter().filter(|set| set["spec"]["replicas"] != 0).map(|set| shown(&set)).collect();
    page.line(0, "OldReplicaSets:", if old.is_empty() { "<none>".to_owned() } else { old.join(", ") }.as_str());
    page.line(0, "NewReplicaSet:", newest.as_ref().map_or("<none>".to_owned(), shown).as_str());
}

pub(super) fn replica_set(page: &mut Page, set: &Value) {
    page.map("Selector", &set["spec"]["selector"]["matchLabels"]);
    page.labels(set);
    for owner in array(&set["metadata"]["ownerReferences"]).filter(|owner| owner["controller"] == true) {
        page.line(0, "Controlled By:", &format!("{}/{}", plain(&owner["kind"]), plain(&owner["name"])));
    }
    let count = |field: &str| set["status"][field].as_i64().unwrap_or(0);
    page.line(
        0,
        "Replicas:",
        &format!(
            "{} current / {} desired, {} ready",
            count("replicas"),
            set["spec"]["replicas"],
            count("readyReplicas")
        ),
    );
    template(page, &set["spec"]["template"]);
    page.conditions(set);
}

pub(super) fn service(page: &mut Page, service: &Value, slices: &Value) {
    let spec = &service["spec"];
    page.labels(service);
    page.map("Selector", &spec["selector"]);
    page.text("Type", &spec["type"]);
    page.text("IP", &spec["clusterIP"]);
    let addresses: Vec<String> =
        array(&service["status"]["loadBalancer"]["ingress"]).map(|ingress| plain(&ingress["ip"])).collect();
    if !addresses.is_empty() {
        page.line(0, "LoadBalancer Ingress:", &addresses.join(", "));
    }
    for port in array(&spec["ports"]) {
        let name = port["name"].as_str().unwrap_or("<unset>");
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        page.line(0, "Port:", &format!("{name} {}/{protocol}", port["port"]));
        page.line(0, "TargetPort:", &format!("{}/{protocol}", plain(&port["targetPort"])));
        if port["nodePort"].is_number() {
            page.line(0, "NodePort:", &format!("{name} {}/{protocol}", port["nodePort"]));
        }
    }
    let mut ready = Vec::new();
    let mut others = 0;
    for slice in array(&slices["items"]) {
        for endpoint in array(&slice["endpoints"]) {
            if endpoint["conditions"]["ready"] == false {
                others += 1;
                continue;
            }
            for port in array(&slice["ports"]) {
                ready.push(format!("{}:{}", plain(&endpoint["addresses"][0]), port["port"]));
            }
        }
    }
    let list = if ready.is_empty() { "<none>".to_owned() } else { ready.join(",") };
    page.line(0, "Endpoints:", &if others > 0 { format!("{list} ({others} not ready)") } else { list });
    page.text("Session Affinity", &spec["sessionAffinity"]);
}

pub(super) fn secret(page: &mut Page, secret: &Value) {
    page.labels(secret);
    page.text("Type", &secret["type"]);
    page.line(0, "Data:", "");
    for (key, value) in secret["data"].as_object().into_iter().flatten() {
        // Base64 without decoding: three bytes for four characters, less the padding.
        let text = value.as_str().unwrap_or_default();
        let bytes = text.len() / 4 * 3 - text.bytes().rev().take_while(|byte| *byte == b'=').count();
        page.line(1, &format!("{key}:"), &format!("{bytes} bytes"));
    }
}

fn template(page: &mut Page, template: &Value) {
    page.line(0, "Pod Template:", "");
    for container in array(&template["spec"]["initContainers"]).chain(array(&template["spec"]["containers"])) {
        page.line(1, &format!("{}:", plain(&container["name"])), "");
        page.text_at(2, "Image", &container["image"]);
        let ports: Vec<String> = array(&container["ports"]).map(|port| port["containerPort"].to_string()).collect();
        page.line(2, "Ports:", if ports.is_empty() { "<none>".to_owned() } else { ports.join(", ") }.as_str());
        page.resources(2, container);
        for variable in array(&container["env"]) {
            page.line(
                2,
                "Environment:",
                &format!("{}={}", plain(&variable["name"]), variable["value"].as_str().unwrap_or("(from a source)")),
            );
        }
    }
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
