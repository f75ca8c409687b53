//! `-p`: which port of this machine leads to which of the container.

use std::str::FromStr;

use anyhow::{Context, Result};
use serde_json::Value;

use super::PUBLISH;

/// One `-p`: several ports where it is a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publish(pub(super) Vec<Port>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    /// `None`: any free one.
    pub(super) host: Option<u16>,
    pub(super) container: u16,
}

/// A port as it was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) host: u16,
    pub(crate) container: u16,
}

impl FromStr for Publish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ports = match text.rsplit_once('/') {
            None | Some((_, "tcp")) => text.trim_end_matches("/tcp"),
            Some((_, other)) => return Err(format!("{text:?}: {other} is not carried, only tcp")),
        };
        let (host, container) = match ports.rsplit_once(':') {
            None => (None, range(ports, text)?),
            Some((host, container)) => (Some(host_range(host, text)?), range(container, text)?),
        };
        let Some(host) = host else {
            return Ok(Self(container.map(|port| Port { host: None, container: port }).collect()));
        };
        if host.clone().count() != container.clone().count() {
            return Err(format!("{text:?}: both ranges must have the same length"));
        }
        Ok(Self(host.zip(container).map(|(host, container)| Port { host: Some(host), container }).collect()))
    }
}

type Range = std::ops::RangeInclusive<u16>;

fn range(text: &str, whole: &str) -> Result<Range, String> {
    let wrong = || format!("{whole:?} is no port: write HOST:CONTAINER, such as 8080:80, or CONTAINER");
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong);
    let (first, last) = (port(first)?, port(last)?);
    if first > last { Err(wrong()) } else { Ok(first..=last) }
}

/// Ports are opened at the nodes' addresses, whichever these are.
fn host_range(text: &str, whole: &str) -> Result<Range, String> {
    match text.rsplit_once(':') {
        None => range(text, whole),
        Some(("0.0.0.0" | "127.0.0.1" | "localhost", port)) => range(port, whole),
        Some((address, _)) => Err(format!(
            "{whole:?}: ports are opened at the addresses of the nodes, {address} cannot be chosen; leave it out"
        )),
    }
}

/// Fills in the ports that were left open: those that are free on this machine now.
pub(super) fn assign(ports: &[Port]) -> Result<Vec<Published>> {
    // All at once, so that none is given twice.
    let free = |_: &&Port| std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0));
    let listeners = ports.iter().filter(|port| port.host.is_none()).map(|port| free(&port));
    let listeners: Vec<_> = listeners.collect::<Result<_, _>>().context("find a free port")?;
    let mut free = listeners.iter().filter_map(|listener| Some(listener.local_addr().ok()?.port()));
    let assigned = ports.iter().map(|port| {
        let host = port.host.or_else(|| free.next()).context("find a free port")?;
        Ok(Published { host, container: port.container })
    });
    assigned.collect()
}

pub(super) fn encode(ports: &[Published]) -> String {
    let pairs: Vec<String> = ports.iter().map(|port| format!("{}:{}", port.host, port.container)).collect();
    pairs.join(",")
}

/// What a container's Pod says of its ports.
pub(crate) fn published(pod: &Value) -> Vec<Published> {
    let text = pod["metadata"]["annotations"][PUBLISH].as_str().unwrap_or_default();
    let pairs = text.split(',').filter_map(|pair| pair.split_once(':'));
    let ports = pairs.filter_map(|(host, container)| {
        Some(Published { host: host.parse().ok()?, container: container.parse().ok()? })
    });
    ports.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ports_are_written_as_docker_has_them() {
        let parse = |text: &str| {
            text.parse::<Publish>()
                .map(|ports| ports.0.iter().map(|port| (port.host, port.container)).collect::<Vec<_>>())
        };
        assert_eq!(parse("8080:80").unwrap(), [(Some(8080), 80)]);
        assert_eq!(parse("80/tcp").unwrap(), [(None, 80)]);
        assert_eq!(parse("127.0.0.1:8080:80/tcp").unwrap(), [(Some(8080), 80)]);
        assert_eq!(parse("8080-8081:80-81").unwrap(), [(Some(8080), 80), (Some(8081), 81)]);
        for (wrong, why) in [
            ("", "no port"),
            ("0:80", "no port"),
            ("80:http", "no port"),
            ("99999:80", "no port"),
            ("8080-8082:80-81", "same length"),
            ("53:53/udp", "udp is not carried"),
            ("10.0.0.1:8080:80", "leave it out"),
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_pod_remembers_its_ports() {
        let ports = [Published { host: 8080, container: 80 }, Published { host: 7000, container: 7000 }];
        let pod = json!({"metadata": {"annotations": {PUBLISH: encode(&ports)}}});
        assert_eq!(published(&pod), ports);
        assert!(published(&json!({})).is_empty());
    }

    #[test]
    fn open_ports_are_found_and_differ() {
        let wanted = [
            Port { host: None, container: 80 },
            Port { host: Some(9), container: 81 },
            Port { host: None, container: 82 },
        ];
        let given = assign(&wanted).unwrap();
        assert_eq!(given[1], Published { host: 9, container: 81 });
        assert!(given[0].host > 0 && given[0].host != given[2].host);
    }
}
