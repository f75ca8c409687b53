use serde_json::{Value, json};

use super::{AGE, Columns, NAME, age, array, labels, name, or_none, str_of, text};

pub static SERVICE: Columns = Columns {
    definitions: &[
        NAME,
        text("Type", 0, "How the service is reached."),
        text("Cluster-IP", 0, "Its address within the cluster."),
        text("External-IP", 0, "Its addresses for the outside."),
        text("Port(s)", 0, "Its ports, with node ports after a colon."),
        AGE,
        text("Selector", 1, "The labels of its pods."),
    ],
    row: |object, now| {
        let spec = &object["spec"];
        vec![
            name(object),
            spec["type"].clone(),
            json!(cluster_ip(spec)),
            json!(external_ip(object)),
            json!(ports(spec)),
            age(object, now),
            json!(labels(&spec["selector"])),
        ]
    },
};

pub static ENDPOINTSLICE: Columns = Columns {
    definitions: &[
        NAME,
        text("AddressType", 0, "IPv4, IPv6 or FQDN."),
        text("Ports", 0, "The ports of the endpoints."),
        text("Endpoints", 0, "Their addresses."),
        AGE,
    ],
    row: |object, now| {
        let ports: Vec<String> = array(&object["ports"]).map(|port| port["port"].to_string()).collect();
        let addresses: Vec<&str> =
            array(&object["endpoints"]).flat_map(|endpoint| array(&endpoint["addresses"])).map(str_of).collect();
        let ports = if ports.is_empty() {
            "<unset>".to_owned()
        } else {
            shortened(&ports.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let endpoints = if addresses.is_empty() { "<unset>".to_owned() } else { shortened(&addresses) };
        vec![name(object), object["addressType"].clone(), json!(ports), json!(endpoints), age(object, now)]
    },
};

fn cluster_ip(spec: &Value) -> String {
    or_none(str_of(&spec["clusterIP"]).to_owned())
}

fn external_ip(service: &Value) -> String {
    let spec = &service["spec"];
    let external: Vec<&str> = array(&spec["externalIPs"]).map(str_of).collect();
    match str_of(&spec["type"]) {
        "ExternalName" => str_of(&spec["externalName"]).to_owned(),
        "LoadBalancer" => {
            let ingress = array(&service["status"]["loadBalancer"]["ingress"]);
            let mut all: Vec<&str> =
                ingress.map(|one| one["ip"].as_str().unwrap_or_else(|| str_of(&one["hostname"]))).collect();
            all.extend(external);
            if all.is_empty() { "<pending>".to_owned() } else { all.join(",") }
        }
        _ => or_none(external.join(",")),
    }
}

fn ports(spec: &Value) -> String {
    let ports: Vec<String> = array(&spec["ports"])
        .map(|port| {
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            match port["nodePort"].as_i64() {
                Some(node_port) if node_port > 0 => format!("{}:{node_port}/{protocol}", port["port"]),
                _ => format!("{}/{protocol}", port["port"]),
            }
        })
        .collect();
    or_none(ports.join(","))
}

/// Three, and how many more there are.
pub(super) fn shortened(all: &[&str]) -> String {
    match all.len() {
        0..=3 => all.join(","),
        count => format!("{} + {} more...", all[..3].join(","), count - 3),
    }
}
