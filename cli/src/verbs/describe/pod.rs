use serde_json::Value;

use super::page::{Page, plain};

pub(super) fn describe(page: &mut Page, pod: &Value) {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    page.text("Priority", &spec["priority"]);
    page.text("Service Account", &spec["serviceAccountName"]);
    let node = spec["nodeName"].as_str().unwrap_or("<none>");
    let address = status["hostIP"].as_str().map(|ip| format!("/{ip}")).unwrap_or_default();
    page.line(0, "Node:", &format!("{node}{address}"));
    page.text("Start Time", &status["startTime"]);
    page.map("Labels", &pod["metadata"]["labels"]);
    page.map("Annotations", &pod["metadata"]["annotations"]);
    let phase = status["phase"].as_str().unwrap_or("Unknown");
    match pod["metadata"]["deletionTimestamp"].as_str() {
        Some(since) => page.line(0, "Status:", &format!("Terminating (since {since})")),
        None => page.line(0, "Status:", phase),
    }
    page.text("Reason", &status["reason"]);
    page.text("Message", &status["message"]);
    page.text("IP", &status["podIP"]);
    for owner in
        pod["metadata"]["ownerReferences"].as_array().into_iter().flatten().filter(|owner| owner["controller"] == true)
    {
        page.line(0, "Controlled By:", &format!("{}/{}", plain(&owner["kind"]), plain(&owner["name"])));
    }
    containers(page, "Init Containers", &spec["initContainers"], &status["initContainerStatuses"]);
    containers(page, "Containers", &spec["containers"], &status["containerStatuses"]);
    page.conditions(pod);
    volumes(page, &spec["volumes"]);
    page.text("QoS Class", &status["qosClass"]);
    page.map("Node-Selectors", &spec["nodeSelector"]);
    let tolerations: Vec<String> = spec["tolerations"].as_array().into_iter().flatten().map(toleration).collect();
    page.line(0, "Tolerations:", tolerations.first().map_or("<none>", String::as_str));
    tolerations.iter().skip(1).for_each(|text| page.line(0, "", text));
}

fn containers(page: &mut Page, title: &str, containers: &Value, statuses: &Value) {
    let containers = containers.as_array().map(Vec::as_slice).unwrap_or_default();
    if containers.is_empty() {
        return;
    }
    page.line(0, &format!("{title}:"), "");
    for container in containers {
        let status = statuses.as_array().into_iter().flatten().find(|status| status["name"] == container["name"]);
        page.line(1, &format!("{}:", plain(&container["name"])), "");
        one(page, container, status.unwrap_or(&Value::Null));
    }
}

fn one(page: &mut Page, container: &Value, status: &Value) {
    page.text_at(2, "Image", &container["image"]);
    page.text_at(2, "Image ID", &status["imageID"]);
    let ports: Vec<String> = array(&container["ports"])
        .map(|port| format!("{}/{}", port["containerPort"], port["protocol"].as_str().unwrap_or("TCP")))
        .collect();
    if !ports.is_empty() {
        page.line(2, "Ports:", &ports.join(", "));
    }
    for field in ["command", "args"] {
        let words: Vec<String> = array(&container[field]).map(plain).collect();
        if !words.is_empty() {
            page.line(2, if field == "command" { "Command:" } else { "Args:" }, &words.join(" "));
        }
    }
    state(page, "State", &status["state"]);
    state(page, "Last State", &status["lastState"]);
    page.text_at(2, "Ready", &status["ready"]);
    page.text_at(2, "Restart Count", &status["restartCount"]);
    page.resources(2, container);
    for (field, title) in
        [("livenessProbe", "Liveness:"), ("readinessProbe", "Readiness:"), ("startupProbe", "Startup:")]
    {
        if container[field].is_object() {
            page.line(2, title, &probe(&container[field]));
        }
    }
    let env: Vec<String> = array(&container["env"]).map(variable).collect();
    page.line(2, "Environment:", if env.is_empty() { "<none>" } else { "" });
    env.iter().for_each(|text| page.line(3, text, ""));
    let mounts: Vec<String> = array(&container["volumeMounts"]).map(mount).collect();
    page.line(2, "Mounts:", if mounts.is_empty() { "<none>" } else { "" });
    mounts.iter().for_each(|text| page.line(3, text, ""));
}

fn state(page: &mut Page, title: &str, state: &Value) {
    let Some((name, detail)) = state.as_object().and_then(|state| state.iter().next()) else { return };
    let name = match name.as_str() {
        "running" => "Running",
        "waiting" => "Waiting",
        _ => "Terminated",
    };
    page.line(2, &format!("{title}:"), name);
    for (field, title) in
        [("reason", "Reason"), ("exitCode", "Exit Code"), ("startedAt", "Started"), ("finishedAt", "Finished")]
    {
        page.text_at(3, title, &detail[field]);
    }
    let message = detail["message"].as_str().unwrap_or_default();
    for (index, line) in message.lines().enumerate() {
        page.line(3, if index == 0 { "Message:" } else { "" }, line);
    }
}

fn probe(probe: &Value) -> String {
    let what = match (&probe["httpGet"], &probe["tcpSocket"]) {
        (Value::Object(http), _) => {
            format!("http-get :{}{}", plain(&http["port"]), http.get("path").map(plain).unwrap_or_default())
        }
        (_, Value::Object(tcp)) => format!("tcp-socket :{}", plain(&tcp["port"])),
        _ => "other".to_owned(),
    };
    let number = |field: &str, default: i64| probe[field].as_i64().unwrap_or(default);
    let (delay, timeout, period) =
        (number("initialDelaySeconds", 0), number("timeoutSeconds", 1), number("periodSeconds", 10));
    let (success, failure) = (number("successThreshold", 1), number("failureThreshold", 3));
    format!("{what} delay={delay}s timeout={timeout}s period={period}s #success={success} #failure={failure}")
}

fn variable(variable: &Value) -> String {
    let from = &variable["valueFrom"];
    let origin = |kind: &str, title: &str| {
        let reference = &from[kind];
        reference.is_object().then(|| {
            format!("<set to the key '{}' in {title} '{}'>", plain(&reference["key"]), plain(&reference["name"]))
        })
    };
    let text =
        origin("secretKeyRef", "secret").or_else(|| origin("configMapKeyRef", "config map")).unwrap_or_else(|| {
            match &from["fieldRef"]["fieldPath"] {
                Value::String(path) => format!("({path})"),
                _ => variable["value"].as_str().unwrap_or_default().to_owned(),
            }
        });
    format!("{}: {text}", plain(&variable["name"]))
}

fn mount(mount: &Value) -> String {
    let mode = if mount["readOnly"] == true { "ro" } else { "rw" };
    format!("{} from {} ({mode})", plain(&mount["mountPath"]), plain(&mount["name"]))
}

fn volumes(page: &mut Page, volumes: &Value) {
    if array(volumes).next().is_none() {
        return;
    }
    page.line(0, "Volumes:", "");
    for volume in array(volumes) {
        let source = volume.as_object().into_iter().flatten().find(|(field, _)| *field != "name");
        let Some((kind, source)) = source else { continue };
        page.line(1, &format!("{}:", plain(&volume["name"])), "");
        page.line(2, "Type:", kind);
        for field in ["name", "secretName", "path", "sizeLimit", "optional"] {
            page.text_at(2, field, &source[field]);
        }
    }
}

fn toleration(toleration: &Value) -> String {
    let text = |field: &str| toleration[field].as_str().unwrap_or_default();
    let value = if text("value").is_empty() { String::new() } else { format!("={}", text("value")) };
    let effect = if text("effect").is_empty() { String::new() } else { format!(":{}", text("effect")) };
    let exists = if text("operator") == "Exists" { " op=Exists" } else { "" };
    let seconds =
        toleration["tolerationSeconds"].as_i64().map(|seconds| format!(" for {seconds}s")).unwrap_or_default();
    format!("{}{value}{effect}{exists}{seconds}", text("key"))
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
