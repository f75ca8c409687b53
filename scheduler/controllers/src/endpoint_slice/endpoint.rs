use std::net::Ipv4Addr;

use serde_json::{Value, json};
use wasmk_api::Object;

use crate::{View, pod};

/// The agent's word on how a pod is reached, for Services that do not say.
const APP_PROTOCOL_ANNOTATION: &str = "wasmk.dev/app-protocol";

/// A pod as an endpoint; `None` while it has no address, and once it has finished.
pub(super) fn endpoint(view: &View, service: &Object, pod: &Object) -> Option<Value> {
    if pod::is_finished(pod) {
        return None;
    }
    let address = address(pod)?;
    let (serving, terminating) = (pod::is_ready(pod), pod.is_deleting());
    let ready = service.value()["spec"]["publishNotReadyAddresses"] == true || (serving && !terminating);
    let mut endpoint = json!({
        "addresses": [address],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": {"kind": "Pod", "name": pod.name(), "namespace": pod.namespace(), "uid": pod.uid()},
    });
    if let Some(node) = pod::node_name(pod) {
        endpoint["nodeName"] = json!(node);
        let zone = view.find("nodes", "", node).and_then(|node| node.label("topology.kubernetes.io/zone"));
        zone.into_iter().for_each(|zone| endpoint["zone"] = json!(zone));
    }
    let spec = &pod.value()["spec"];
    if spec["subdomain"] == service.name() && spec["hostname"].as_str().is_some_and(|name| !name.is_empty()) {
        endpoint["hostname"] = spec["hostname"].clone();
    }
    Some(endpoint)
}

/// The Service's ports as this pod serves them. A named target port that the pod does not have is left out.
pub(super) fn ports(service: &Object, pod: &Object) -> Value {
    let ports = service.value()["spec"]["ports"].as_array().into_iter().flatten();
    ports.filter_map(|port| endpoint_port(port, pod)).collect()
}

fn endpoint_port(port: &Value, pod: &Object) -> Option<Value> {
    let protocol = port["protocol"].as_str().unwrap_or("TCP");
    let target = &port["targetPort"];
    let number = match target.as_str() {
        Some(name) => named_port(pod, name, protocol)?,
        None => target.as_i64().filter(|number| *number != 0).or(port["port"].as_i64())?,
    };
    let mut found = json!({"name": port["name"].as_str().unwrap_or_default(), "protocol": protocol, "port": number});
    let app_protocol = port["appProtocol"].as_str().or(pod.annotation(APP_PROTOCOL_ANNOTATION));
    app_protocol.into_iter().for_each(|protocol| found["appProtocol"] = json!(protocol));
    Some(found)
}

fn named_port(pod: &Object, name: &str, protocol: &str) -> Option<i64> {
    let containers = pod.value()["spec"]["containers"].as_array().into_iter().flatten();
    let mut ports = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
    let wanted = |port: &&Value| port["name"] == name && port["protocol"].as_str().unwrap_or("TCP") == protocol;
    ports.find(wanted)?["containerPort"].as_i64()
}

fn address(pod: &Object) -> Option<&str> {
    let status = &pod.value()["status"];
    let all = status["podIPs"].as_array().into_iter().flatten().filter_map(|ip| ip["ip"].as_str());
    all.chain(status["podIP"].as_str()).find(|address| address.parse::<Ipv4Addr>().is_ok())
}
