//! What probes do.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, HTTPGetAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::lifecycle::ProbeKind;
use crate::{HttpProbe, Network, PodUid, ProbeError};

/// As the kubelet introduces itself.
const USER_AGENT: &str = "kube-probe/1.34";

pub(super) enum Target {
    Http(HttpProbe),
    Tcp(u16),
}

/// What a probe of this container asks, or why it cannot ask.
pub(super) fn target(container: &Container, kind: ProbeKind) -> Result<Target, String> {
    let probe = match kind {
        ProbeKind::Startup => &container.startup_probe,
        ProbeKind::Liveness => &container.liveness_probe,
        ProbeKind::Readiness => &container.readiness_probe,
    };
    let probe = probe.as_ref().ok_or("there is no such probe")?;
    if let Some(http) = &probe.http_get {
        return http_target(container, http).map(Target::Http);
    }
    if let Some(tcp) = &probe.tcp_socket {
        return port(container, &tcp.port).map(Target::Tcp);
    }
    Err("wasmk supports httpGet and tcpSocket probes only".into())
}

/// What is wrong, in words that complete "Readiness probe failed: ".
pub(super) async fn run(
    network: &Arc<dyn Network>,
    pod: &PodUid,
    target: Result<Target, String>,
    timeout: Duration,
) -> Result<(), String> {
    let probe = async {
        match target? {
            Target::Tcp(port) => network.tcp_connect(pod, port, timeout).await.map_err(|error| error.to_string()),
            Target::Http(probe) => match network.http_get(pod, &probe, timeout).await {
                Ok(code) if (200..400).contains(&code) => Ok(()),
                Ok(code) => Err(format!("HTTP probe failed with statuscode: {code}")),
                Err(ProbeError::Timeout) => Err(late(timeout)),
                Err(error) => Err(format!("Get \"http://:{}{}\": {error}", probe.port, probe.path)),
            },
        }
    };
    tokio::time::timeout(timeout, probe).await.unwrap_or_else(|_| Err(late(timeout)))
}

fn late(timeout: Duration) -> String {
    format!("no answer within {timeout:?}")
}

fn http_target(container: &Container, http: &HTTPGetAction) -> Result<HttpProbe, String> {
    let given = http.http_headers.iter().flatten().map(|header| (header.name.clone(), header.value.clone()));
    let mut headers: Vec<_> = given.collect();
    for (name, value) in [("User-Agent", USER_AGENT), ("Accept", "*/*")] {
        if !headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            headers.push((name.into(), value.into()));
        }
    }
    let path = http.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok(HttpProbe { port: port(container, &http.port)?, path, headers, https: http.scheme.as_deref() == Some("HTTPS") })
}

/// A number, or the name of one of the container's ports.
fn port(container: &Container, port: &IntOrString) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let named = container.ports.iter().flatten().find(|port| port.name.as_ref() == Some(name));
            match named {
                Some(port) => port.container_port,
                None => name.parse().map_err(|_| format!("the container has no port named {name:?}"))?,
            }
        }
    };
    number.try_into().map_err(|_| format!("{number} is not a port"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(probe: Value) -> Result<Target, String> {
        let ports = json!([{"name": "web", "containerPort": 8080}]);
        target(
            &serde_json::from_value(json!({"name": "c", "ports": ports, "readinessProbe": probe})).unwrap(),
            ProbeKind::Readiness,
        )
    }

    #[test]
    fn ports_may_be_named() {
        assert!(matches!(of(json!({"tcpSocket": {"port": "web"}})), Ok(Target::Tcp(8080))));
        assert!(matches!(of(json!({"tcpSocket": {"port": 9}})), Ok(Target::Tcp(9))));
        assert_eq!(of(json!({"tcpSocket": {"port": "x"}})).err().unwrap(), "the container has no port named \"x\"");
        let headers = json!([{"name": "accept", "value": "text/html"}]);
        let Ok(Target::Http(probe)) = of(json!({"httpGet": {"port": "web", "path": "ok", "httpHeaders": headers}}))
        else {
            panic!()
        };
        assert_eq!((probe.port, probe.path.as_str(), probe.headers.len()), (8080, "/ok", 2));
    }

    #[test]
    fn other_kinds_are_refused() {
        assert!(of(json!({"exec": {"command": ["true"]}})).is_err());
        assert!(of(json!({"grpc": {"port": 1}})).is_err());
    }
}
