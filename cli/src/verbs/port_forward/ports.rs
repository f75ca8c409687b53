use std::str::FromStr;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// `[LOCAL:]REMOTE`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mapping {
    /// 0: any free one.
    pub(super) local: u16,
    pub(super) remote: u16,
}

impl FromStr for Mapping {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no port: write REMOTE, LOCAL:REMOTE or :REMOTE");
        let port = |text: &str| text.parse::<u16>().map_err(|_| wrong());
        let (local, remote) = text.split_once(':').unwrap_or((text, text));
        let mapping = Self { local: if local.is_empty() { 0 } else { port(local)? }, remote: port(remote)? };
        if mapping.remote == 0 { Err(wrong()) } else { Ok(mapping) }
    }
}

/// The pod's port behind one of a Service; of other owners it is the same.
pub(super) fn of_pod(remote: u16, owner: Option<&Value>, pod: &Value) -> Result<u16> {
    let Some(service) = owner.filter(|owner| owner["kind"] == "Service") else { return Ok(remote) };
    let ports = service["spec"]["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(port) = ports.iter().find(|port| port["port"] == remote) else {
        let known: Vec<String> = ports.iter().map(|port| port["port"].to_string()).collect();
        bail!("the Service has no port {remote}; it has {}", known.join(", "));
    };
    match &port["targetPort"] {
        Value::Null => Ok(remote),
        Value::String(name) => named(name, pod),
        number => number.as_u64().and_then(|number| number.try_into().ok()).context("its targetPort is no port"),
    }
}

fn named(name: &str, pod: &Value) -> Result<u16> {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let mut ports = containers.flat_map(|container| container["ports"].as_array()).flatten();
    let port = ports.find(|port| port["name"] == name).and_then(|port| port["containerPort"].as_u64()?.try_into().ok());
    port.with_context(|| format!("no container of the pod has a port named {name}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ports_are_written_in_three_ways() {
        let parse = |text: &str| text.parse::<Mapping>().map(|mapping| (mapping.local, mapping.remote));
        assert_eq!(parse("80"), Ok((80, 80)));
        assert_eq!(parse("8080:80"), Ok((8080, 80)));
        assert_eq!(parse(":80"), Ok((0, 80)));
        assert_eq!(parse("0:80"), Ok((0, 80)));
        for wrong in ["", "0", "80:", "x:80", "80:http", "99999"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_services_port_leads_to_its_targets() {
        let pod = json!({"spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]}});
        let service = json!({"kind": "Service", "spec": {"ports": [
            {"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": 9000}, {"port": 82}, {"port": 83, "targetPort": "no"}]}});
        let of = |port| of_pod(port, Some(&service), &pod).map_err(|error| error.to_string());
        assert_eq!((of(80), of(81), of(82)), (Ok(8080), Ok(9000), Ok(82)));
        assert_eq!(of(84).unwrap_err(), "the Service has no port 84; it has 80, 81, 82, 83");
        assert!(of(83).unwrap_err().contains("named no"));
        assert_eq!(of_pod(80, Some(&json!({"kind": "Deployment"})), &pod).unwrap(), 80);
    }
}
