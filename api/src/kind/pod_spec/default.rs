//! What a pod gets that says nothing. Source: `k8s.io/kubernetes/pkg/apis/core/v1/defaults.go`, and the admission
//! plugin DefaultTolerationSeconds.

use serde_json::{Value, json};

use crate::field::set_default;
use crate::write::Context;

const DEFAULT_MODE: i64 = 0o644;

/// The defaults of every pod spec, also of one in a template.
pub(in crate::kind) fn default_spec(spec: &mut Value) {
    for (field, default) in [
        ("restartPolicy", json!("Always")),
        ("dnsPolicy", json!("ClusterFirst")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("securityContext", json!({})),
        ("schedulerName", json!("default-scheduler")),
    ] {
        set_default(spec, field, default);
    }
    mirror_service_account(spec);
    each(spec, "volumes", volume);
    for list in ["initContainers", "containers"] {
        each(spec, list, container);
    }
}

/// What only a pod itself gets.
pub(in crate::kind) fn default_pod(pod: &mut Value, context: &Context) {
    let spec = &mut pod["spec"];
    default_spec(spec);
    set_default(spec, "enableServiceLinks", true);
    set_default(spec, "serviceAccountName", "default");
    mirror_service_account(spec);
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        tolerate(spec, key, context.settings.unhealthy_node_toleration_seconds);
    }
    for list in ["initContainers", "containers"] {
        each(spec, list, |container| requests_from_limits(&mut container["resources"]));
    }
}

/// The old name of the field is still read by clients.
fn mirror_service_account(spec: &mut Value) {
    let name = [&spec["serviceAccountName"], &spec["serviceAccount"]].into_iter().find(|name| name.is_string());
    if let Some(name) = name.cloned() {
        spec["serviceAccountName"] = name.clone();
        spec["serviceAccount"] = name;
    }
}

fn tolerate(spec: &mut Value, key: &str, seconds: i64) {
    let known = spec["tolerations"].as_array().into_iter().flatten().any(|toleration| {
        let text = |field: &str| toleration[field].as_str().unwrap_or_default();
        (text("key") == key || text("key").is_empty()) && matches!(text("effect"), "NoExecute" | "")
    });
    if known {
        return;
    }
    let toleration = json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds});
    match spec["tolerations"].as_array_mut() {
        Some(tolerations) => tolerations.push(toleration),
        None => spec["tolerations"] = json!([toleration]),
    }
}

fn requests_from_limits(resources: &mut Value) {
    let Some(limits) = resources["limits"].as_object().cloned() else { return };
    for (resource, limit) in limits {
        if resources["requests"][&resource].is_null() {
            resources["requests"][resource] = limit;
        }
    }
}

fn container(container: &mut Value) {
    let image = container["image"].as_str().unwrap_or_default();
    let policy = if follows_a_moving_tag(image) { "Always" } else { "IfNotPresent" };
    set_default(container, "imagePullPolicy", policy);
    set_default(container, "terminationMessagePath", "/dev/termination-log");
    set_default(container, "terminationMessagePolicy", "File");
    set_default(container, "resources", json!({}));
    each(container, "ports", |port| set_default(port, "protocol", "TCP"));
    each(container, "env", |variable| variable.get_mut("valueFrom").map_or((), field_reference));
    for probe_name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container[probe_name].is_object() {
            probe(&mut container[probe_name]);
        }
    }
    for hook in ["postStart", "preStop"] {
        if container["lifecycle"][hook].is_object() {
            handler(&mut container["lifecycle"][hook]);
        }
    }
}

/// No tag, or `latest`; a digest never moves.
fn follows_a_moving_tag(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let name = image.rsplit('/').next().unwrap_or_default();
    matches!(name.split_once(':'), None | Some((_, "latest")))
}

fn probe(probe: &mut Value) {
    handler(probe);
    for (field, default) in
        [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        // Zero is what Go's types make of an absent number.
        if probe[field].as_i64().unwrap_or(0) == 0 {
            probe[field] = json!(default);
        }
    }
}

fn handler(handler: &mut Value) {
    if handler["httpGet"].is_object() {
        set_default(&mut handler["httpGet"], "path", "/");
        set_default(&mut handler["httpGet"], "scheme", "HTTP");
    }
    if handler["grpc"].is_object() {
        set_default(&mut handler["grpc"], "service", "");
    }
}

fn volume(volume: &mut Value) {
    let sources = volume.as_object().into_iter().flatten().filter(|(key, _)| *key != "name");
    if sources.count() == 0 && volume.is_object() {
        volume["emptyDir"] = json!({});
    }
    for source in ["configMap", "secret", "downwardAPI", "projected"] {
        if volume[source].is_object() {
            set_default(&mut volume[source], "defaultMode", DEFAULT_MODE);
        }
    }
    if volume["hostPath"].is_object() {
        set_default(&mut volume["hostPath"], "type", "");
    }
    downward_items(volume);
    if let Some(projected) = volume.get_mut("projected") {
        each(projected, "sources", |source| {
            downward_items(source);
            if source["serviceAccountToken"].is_object() {
                set_default(&mut source["serviceAccountToken"], "expirationSeconds", 3600);
            }
        });
    }
}

fn downward_items(holder: &mut Value) {
    if let Some(downward) = holder.get_mut("downwardAPI") {
        each(downward, "items", field_reference);
    }
}

fn field_reference(holder: &mut Value) {
    if holder["fieldRef"].is_object() {
        set_default(&mut holder["fieldRef"], "apiVersion", "v1");
    }
}

fn each(holder: &mut Value, list: &str, change: impl FnMut(&mut Value)) {
    // Indexing a mutable value would put a null where there is nothing.
    let Some(items) = holder.get_mut(list).and_then(Value::as_array_mut) else { return };
    items.iter_mut().for_each(change);
}
