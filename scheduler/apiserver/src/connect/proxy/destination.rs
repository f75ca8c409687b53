//! Whom a name before `/proxy` means; pure.

use std::sync::Arc;

use serde_json::Value;
use wasmk_api::kind::Kind;
use wasmk_api::{Key, Object, Reason, ResourceName, Snapshot, Status};

use crate::connect::target::{find_pod, running, target_of};
use crate::nodes::PodTarget;
use crate::request::ResourcePath;

/// What a pod that names no port is asked at.
const DEFAULT_PORT: u16 = 80;

pub(super) struct Destination {
    pub(super) node: Arc<Object>,
    pub(super) pod: PodTarget,
    pub(super) port: u16,
}

pub(super) fn find(snapshot: &Snapshot, kind: &Kind, path: &ResourcePath) -> Result<Destination, Status> {
    match kind.plural {
        "pods" => {
            let (name, port) = split("pod", &path.name)?;
            let pod = find_pod(snapshot, &path.namespace, name)?;
            let port = if port.is_empty() { first_port(pod) } else { number(port, "pod", &path.name)? };
            to_pod(snapshot, pod, port)
        }
        "services" => {
            let (name, port) = split("service", &path.name)?;
            to_service(snapshot, &path.namespace, name, port)
        }
        _ => Err(Status::bad_request(
            "a node of wasmk has no HTTP API of its own to go to; logs, exec, attach and port-forward are those of pods",
        )),
    }
}

/// `[scheme:]name[:port]`, the port empty when there is none. Source: `SplitSchemeNamePort` of apimachinery.
fn split<'a>(what: &str, id: &'a str) -> Result<(&'a str, &'a str), Status> {
    let parts: Vec<&str> = id.split(':').collect();
    match parts.as_slice() {
        ["https", _, _] => Err(Status::bad_request(format!(
            "{what} request {id:?} asks for https, but replicas are spoken to in plain HTTP: leave out \"https:\""
        ))),
        [name] | ["http", name, ""] if !name.is_empty() => Ok((name, "")),
        [name, port] | ["http", name, port] if !name.is_empty() => Ok((name, port)),
        _ => Err(Status::bad_request(format!("invalid {what} request {id:?}"))),
    }
}

fn number(port: &str, what: &str, id: &str) -> Result<u16, Status> {
    let port = port.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| Status::bad_request(format!("invalid {what} request {id:?}")))
}

fn first_port(pod: &Object) -> u16 {
    let containers = pod.value()["spec"]["containers"].as_array().into_iter().flatten();
    let mut ports = containers.filter_map(|container| as_port(&container["ports"][0]["containerPort"]));
    ports.next().unwrap_or(DEFAULT_PORT)
}

fn as_port(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|port| u16::try_from(port).ok())
}

fn to_pod(snapshot: &Snapshot, pod: &Object, port: u16) -> Result<Destination, Status> {
    Ok(Destination { node: running(snapshot, pod)?, pod: target_of(pod), port })
}

/// A ready replica. Source: `ResourceLocation` of the service registry: a number is one of the service's ports, else it is
/// a port's name.
fn to_service(snapshot: &Snapshot, namespace: &str, name: &str, port: &str) -> Result<Destination, Status> {
    let unavailable = |message: String| Status::new(Reason::ServiceUnavailable, message);
    let nobody = || unavailable(format!("no endpoints available for service {name:?}"));
    let service = snapshot.get(&Key::new("services", namespace, name));
    let service = service.ok_or_else(|| Status::not_found("services", "", name))?;
    let port_name = match port.parse::<u16>() {
        Ok(number) => {
            let mut ports = service.value()["spec"]["ports"].as_array().into_iter().flatten();
            let declared = ports.find(|declared| as_port(&declared["port"]) == Some(number));
            let declared =
                declared.ok_or_else(|| unavailable(format!("no service port {number} found for service {name:?}")))?;
            declared["name"].as_str().unwrap_or_default()
        }
        Err(_) => port,
    };
    let resource = ResourceName::new("endpointslices", "discovery.k8s.io");
    let slices = snapshot.list(&resource, Some(namespace));
    let slices: Vec<&Value> = slices.map(|slice| slice.value()).filter(|slice| of_service(slice, name)).collect();
    let ready: Vec<(&str, u16)> = slices.iter().flat_map(|slice| ready(slice, port_name)).collect();
    let (pod, port) = pick(&ready).ok_or_else(nobody)?;
    to_pod(snapshot, find_pod(snapshot, namespace, pod).map_err(|_| nobody())?, port)
}

fn of_service(slice: &Value, name: &str) -> bool {
    slice["metadata"]["labels"]["kubernetes.io/service-name"] == name
}

/// Names of ready pods with the port of that name.
fn ready<'a>(slice: &'a Value, port_name: &str) -> impl Iterator<Item = (&'a str, u16)> {
    let mut ports = slice["ports"].as_array().into_iter().flatten();
    let port = ports.find(|port| port["name"].as_str().unwrap_or_default() == port_name);
    let port = port.and_then(|port| as_port(&port["port"]));
    let endpoints = slice["endpoints"].as_array().into_iter().flatten();
    // Without the condition an endpoint counts as ready.
    let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"] != false);
    let pods = ready.filter(|endpoint| endpoint["targetRef"]["kind"] == "Pod");
    pods.filter_map(move |endpoint| Some((endpoint["targetRef"]["name"].as_str()?, port?)))
}

fn pick<T: Copy>(choices: &[T]) -> Option<T> {
    (!choices.is_empty()).then(|| choices[rand::random_range(..choices.len())])
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wasmk_api::kind;

    use super::*;

    fn cluster() -> Snapshot {
        let pod = |name: &str| {
            let value = json!({
                "metadata": {"name": name, "namespace": "default", "uid": "u"},
                "spec": {"nodeName": "n", "containers": [{"name": "c"}, {"name": "d", "ports": [{"containerPort": 8080}]}]},
                "status": {"phase": "Running"},
            });
            Object::new(Key::new("pods", "default", name), 1, value)
        };
        let ports = json!([{"name": "http", "port": 80}, {"name": "other", "port": 81}]);
        let service = json!({"metadata": {"name": "s", "namespace": "default"}, "spec": {"ports": ports}});
        let endpoint = |name: &str, ready: bool| json!({"conditions": {"ready": ready}, "targetRef": {"kind": "Pod", "name": name}});
        let slice = json!({
            "metadata": {"name": "s-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "s"}},
            "ports": [{"name": "http", "port": 8080}],
            "endpoints": [endpoint("a", false), endpoint("b", true)],
        });
        Snapshot::from_objects(
            1,
            [
                pod("a"),
                pod("b"),
                Object::new(Key::new("services", "default", "s"), 1, service),
                Object::new(Key::new("endpointslices.discovery.k8s.io", "default", "s-1"), 1, slice),
                Object::new(Key::new("nodes", "", "n"), 1, json!({"metadata": {"name": "n"}})),
            ],
        )
    }

    fn ask(resource: &str, name: &str) -> Result<(String, u16), (u16, String)> {
        let [namespace, name] = ["default", name].map(str::to_owned);
        let path = ResourcePath { namespace, name, ..ResourcePath::default() };
        let kind = kind::by_path("", "v1", resource).unwrap();
        let found = find(&cluster(), kind, &path);
        found.map(|found| (found.pod.name, found.port)).map_err(|status| (status.code, status.message))
    }

    #[test]
    fn a_pod_is_asked_at_the_port_that_is_named_or_its_first() {
        assert_eq!(ask("pods", "a:9"), Ok(("a".to_owned(), 9)));
        assert_eq!(ask("pods", "http:a:9"), Ok(("a".to_owned(), 9)));
        assert_eq!(ask("pods", "a"), Ok(("a".to_owned(), 8080)));
        assert_eq!(ask("pods", "z").unwrap_err().0, 404);
        assert_eq!(ask("pods", "a:x"), Err((400, "invalid pod request \"a:x\"".to_owned())));
        assert!(ask("pods", "https:a:9").unwrap_err().1.contains("plain HTTP"));
    }

    #[test]
    fn a_service_is_asked_at_a_ready_replica() {
        let to_b = Ok(("b".to_owned(), 8080));
        assert_eq!((ask("services", "s:http"), ask("services", "s:80")), (to_b.clone(), to_b));
        let nobody = Err((503, "no endpoints available for service \"s\"".to_owned()));
        assert_eq!((ask("services", "s"), ask("services", "s:other")), (nobody.clone(), nobody));
        assert_eq!(ask("services", "s:99"), Err((503, "no service port 99 found for service \"s\"".to_owned())));
        assert_eq!(ask("services", "t").unwrap_err().0, 404);
    }

    #[test]
    fn a_node_is_not_asked() {
        assert_eq!(ask("nodes", "n").unwrap_err().0, 400);
    }
}
