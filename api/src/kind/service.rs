mod allocate;
mod validate;

use serde_json::{Value, json};

use super::{DeleteAnswer, Kind, table};
use crate::field::set_default;
use crate::names;
use crate::write::metadata::{copy, remove};

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["svc"],
        categories: &["all"],
        columns: &table::SERVICE,
        selectable: &["spec.clusterIP", "spec.type"],
        subresources: &["status"],
        has_status: true,
        delete_answer: DeleteAnswer::Object,
        check_name: names::check_dns1035_label,
        prepare_create: |service, _| service["status"] = json!({"loadBalancer": {}}),
        prepare_update: keep_allocated,
        default: |service, _| default(&mut service["spec"]),
        validate: |service, faults| validate::validate(&service.get("spec"), faults),
        validate_update: |new, old, faults| validate::validate_update(&new.get("spec"), &old["spec"], faults),
        reserve: Some(allocate::reserve),
        ..Kind::plain("", "v1", "Service", "ServiceList", "services", "service")
    }
}

/// Source: `SetDefaults_Service`.
fn default(spec: &mut Value) {
    set_default(spec, "type", "ClusterIP");
    set_default(spec, "sessionAffinity", "None");
    if spec["sessionAffinity"] == "ClientIP" {
        set_default(&mut spec["sessionAffinityConfig"]["clientIP"], "timeoutSeconds", 10800);
    } else if spec["sessionAffinity"] == "None" {
        remove(spec, "sessionAffinityConfig");
    }
    if spec["type"] == "ExternalName" {
        return default_ports(spec);
    }
    set_default(spec, "internalTrafficPolicy", "Cluster");
    set_default(spec, "ipFamilyPolicy", "SingleStack");
    set_default(spec, "ipFamilies", json!(["IPv4"]));
    if needs_node_ports(spec) || spec["type"] == "LoadBalancer" {
        set_default(spec, "externalTrafficPolicy", "Cluster");
    }
    if spec["type"] == "LoadBalancer" {
        set_default(spec, "allocateLoadBalancerNodePorts", true);
    }
    default_ports(spec);
    match (spec["clusterIP"].as_str().unwrap_or_default().to_owned(), spec["clusterIPs"][0].as_str()) {
        (ip, None) if !ip.is_empty() => spec["clusterIPs"] = json!([ip]),
        (ip, Some(first)) if ip.is_empty() => spec["clusterIP"] = json!(first),
        _ => {}
    }
}

fn default_ports(spec: &mut Value) {
    let Some(ports) = spec.get_mut("ports").and_then(Value::as_array_mut) else { return };
    for port in ports {
        set_default(port, "protocol", "TCP");
        if matches!(port["targetPort"].as_i64(), Some(0)) || port["targetPort"] == "" || port["targetPort"].is_null() {
            port["targetPort"] = port["port"].clone();
        }
    }
}

fn needs_cluster_ip(spec: &Value) -> bool {
    spec["type"] != "ExternalName" && spec["clusterIP"] != "None"
}

fn needs_node_ports(spec: &Value) -> bool {
    spec["type"] == "NodePort" || (spec["type"] == "LoadBalancer" && spec["allocateLoadBalancerNodePorts"] != false)
}

/// People write a Service without what was allocated for it: it keeps that, until its type no longer has a use for it.
/// Source: `patchAllocatedValues` and `dropTypeDependentFields`.
fn keep_allocated(service: &mut Value, old: &Value) {
    let old = &old["spec"];
    let spec = &mut service["spec"];
    set_default(spec, "type", "ClusterIP");
    if spec["type"] == "ExternalName" && old["type"] != "ExternalName" {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
            if spec[field] == old[field] {
                remove(spec, field);
            }
        }
    } else if needs_cluster_ip(old) && spec["clusterIP"].as_str().unwrap_or_default().is_empty() {
        for field in ["clusterIP", "clusterIPs"] {
            copy(spec, old, field);
        }
    }
    let (wanted, had) = (needs_node_ports(spec), needs_node_ports(old));
    let empty = Vec::new();
    let old_ports = old["ports"].as_array().unwrap_or(&empty);
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let same_port = |old: &&Value| {
            old["port"] == port["port"] && old["protocol"].as_str() == Some(port["protocol"].as_str().unwrap_or("TCP"))
        };
        let known = old_ports.iter().find(same_port).map(|old| old["nodePort"].clone()).filter(Value::is_number);
        let given = port["nodePort"].as_i64().unwrap_or(0);
        if wanted && had && given == 0 {
            if let Some(known) = known {
                port["nodePort"] = known;
            }
        } else if !wanted && had && known.is_some_and(|known| known == given) {
            remove(port, "nodePort");
        }
    }
    if !wanted && spec["type"] == "ClusterIP" && spec["externalTrafficPolicy"] == old["externalTrafficPolicy"] {
        remove(spec, "externalTrafficPolicy");
    }
    if spec["type"] != "LoadBalancer" && old["type"] == "LoadBalancer" {
        remove(spec, "allocateLoadBalancerNodePorts");
    }
}
