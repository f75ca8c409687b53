use serde_json::Value;

use super::needs_cluster_ip;
use crate::field::{Faults, Field};
use crate::kind::pod_spec::validate_port;
use crate::{Cause, names};

const AFFINITY_SECONDS_MAX: i64 = 86_400;

/// Source: `ValidateService`.
pub(super) fn validate(spec: &Field, faults: &mut Faults) {
    let service_type = spec.get("type");
    faults.one_of(&service_type, &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
    let is_headless = spec.value["clusterIP"] == "None";
    match service_type.text() {
        "ExternalName" => external_name(spec, faults),
        "LoadBalancer" | "NodePort" if is_headless => {
            let detail = format!("may not be set to 'None' for {} services", service_type.text());
            faults.invalid(&spec.get("clusterIPs").get_index(0), &detail);
        }
        _ => {}
    }
    let ports = spec.get("ports");
    if ports.is_empty() && !is_headless && service_type.text() != "ExternalName" {
        faults.push(Cause::required(&ports.path, ""));
    }
    let needs_names = ports.items().count() > 1;
    let mut seen = Seen::default();
    for one in ports.items() {
        port(&one, needs_names, service_type.text(), &mut seen, faults);
    }
    faults.labels(&spec.get("selector"));
    affinity(spec, faults);
    faults.one_of(&spec.get("externalTrafficPolicy"), &["Cluster", "Local"]);
    faults.one_of(&spec.get("internalTrafficPolicy"), &["Cluster", "Local"]);
    for address in spec.get("externalIPs").items() {
        faults.named(&address, names::check_ip(address.text()));
    }
    let ip = spec.get("clusterIP");
    if needs_cluster_ip(spec.value) && !ip.is_empty() {
        faults.named(&spec.get("clusterIPs").get_index(0), names::check_ip(ip.text()));
    }
}

pub(super) fn validate_update(spec: &Field, old: &Value, faults: &mut Faults) {
    let stays = spec.value["type"] != "ExternalName" && old["type"] != "ExternalName";
    if stays && !old["clusterIP"].as_str().unwrap_or_default().is_empty() && spec.value["clusterIP"] != old["clusterIP"]
    {
        let ips = spec.get("clusterIPs");
        faults.invalid(&Field { path: format!("{}[0]", ips.path), value: ips.value }, "may not change once set");
    }
}

#[derive(Default)]
struct Seen<'a> {
    names: Vec<&'a str>,
    ports: Vec<(Option<i64>, &'a str)>,
    node_ports: Vec<(i64, &'a str)>,
}

fn port<'a>(port: &Field<'a>, needs_name: bool, service_type: &str, seen: &mut Seen<'a>, faults: &mut Faults) {
    let [name, number, protocol, node_port] = ["name", "port", "protocol", "nodePort"].map(|field| port.get(field));
    if name.is_empty() {
        if needs_name {
            faults.push(Cause::required(&name.path, ""));
        }
    } else {
        faults.named(&name, names::check_dns1123_label(name.text()));
        if seen.names.contains(&name.text()) {
            faults.duplicate(&name);
        }
        seen.names.push(name.text());
    }
    let zero = Value::from(0);
    let shown = Field { value: if number.is_set() { number.value } else { &zero }, path: number.path.clone() };
    for fault in names::check_port_number(number.int().unwrap_or(0)) {
        faults.invalid(&shown, &fault);
    }
    faults.one_of(&protocol, &["SCTP", "TCP", "UDP"]);
    let target = port.get("targetPort");
    if target.is_set() && target.value != number.value {
        validate_port(&target, faults);
    }
    let id = (number.int(), protocol.text());
    if seen.ports.contains(&id) {
        let both = serde_json::json!({"port": id.0, "protocol": id.1});
        faults.push(Cause::duplicate(&port.path, &both));
    }
    seen.ports.push(id);
    if let Some(wanted) = node_port.int().filter(|wanted| *wanted != 0) {
        if service_type == "ClusterIP" {
            faults.forbid(&node_port.path, "may not be used when `type` is 'ClusterIP'");
        }
        let id = (wanted, protocol.text());
        if seen.node_ports.contains(&id) {
            faults.duplicate(&node_port);
        }
        seen.node_ports.push(id);
    }
}

fn external_name(spec: &Field, faults: &mut Faults) {
    let name = spec.get("externalName");
    if faults.require(&name, "") {
        faults.named(&name, names::check_dns1123_subdomain(name.text().trim_end_matches('.')));
    }
    let ip = spec.get("clusterIP");
    if !ip.is_empty() {
        faults.forbid(&spec.get("clusterIPs").path, "may not be set when `type` is 'ExternalName'");
    }
}

fn affinity(spec: &Field, faults: &mut Faults) {
    faults.one_of(&spec.get("sessionAffinity"), &["ClientIP", "None"]);
    let seconds = spec.get("sessionAffinityConfig").get("clientIP").get("timeoutSeconds");
    if seconds.int().is_some_and(|seconds| !(1..=AFFINITY_SECONDS_MAX).contains(&seconds)) {
        faults.invalid(&seconds, &format!("must be greater than 0 and less than {AFFINITY_SECONDS_MAX}"));
    }
}
