//! Which pod, container and node a request means; pure.

use std::sync::Arc;

use wasmk_api::stream::Streams;
use wasmk_api::{Key, Object, Reason, Snapshot, Status};

use crate::logs::container_name;
use crate::nodes::{PodTarget, StreamRequest};
use crate::request::{Query, ResourcePath};

/// Ports of one request, as many as fit a WebSocket's channels.
const PORTS_MAX: usize = 127;

/// What `exec` and `attach` ask of which node.
pub(super) fn command(
    snapshot: &Snapshot,
    path: &ResourcePath,
    query: &Query,
) -> Result<(Arc<Object>, StreamRequest, Streams), Status> {
    let object = find_pod(snapshot, &path.namespace, &path.name)?;
    let container = container_name(object, query.text("container"))?;
    let node = node_of(snapshot, object)?;
    let streams = streams(query)?;
    let phase = phase(object);
    let (is_exec, doing) = if path.subresource == "exec" { (true, "exec into") } else { (false, "attach to") };
    if ["Succeeded", "Failed"].contains(&phase) {
        let message = format!("cannot {doing} a container in a completed pod; current phase is {phase}");
        return Err(Status::bad_request(message));
    }
    if !is_running(object, &container) {
        return Err(Status::new(Reason::InternalError, format!("container not found (\"{container}\")")));
    }
    let pod = target_of(object);
    let command: Vec<String> = query.every("command").map(str::to_owned).collect();
    let request = match is_exec {
        true if command.is_empty() => {
            return Err(Status::bad_request("you must specify at least one command for the container"));
        }
        true => StreamRequest::Exec { pod, container, command, streams },
        false => StreamRequest::Attach { pod, container, streams },
    };
    Ok((node, request, streams))
}

/// The pod and node of `portforward`, and the ports that the query names.
pub(super) fn forward(
    snapshot: &Snapshot,
    path: &ResourcePath,
    query: &Query,
) -> Result<(Arc<Object>, PodTarget, Vec<u16>), Status> {
    let object = find_pod(snapshot, &path.namespace, &path.name)?;
    let node = running(snapshot, object)?;
    let texts = query.every("ports").flat_map(|ports| ports.split(','));
    let parse = |text: &str| match text.trim().parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        Ok(_) => Err(Status::bad_request(format!("port {text:?} must be > 0"))),
        Err(_) => Err(Status::bad_request(format!("unable to parse {text:?} as a port"))),
    };
    let ports = texts.map(parse).collect::<Result<Vec<u16>, Status>>()?;
    if ports.len() > PORTS_MAX {
        return Err(Status::bad_request(format!("at most {PORTS_MAX} ports at once")));
    }
    Ok((node, target_of(object), ports))
}

pub(super) fn find_pod<'a>(snapshot: &'a Snapshot, namespace: &str, name: &str) -> Result<&'a Arc<Object>, Status> {
    snapshot.get(&Key::new("pods", namespace, name)).ok_or_else(|| Status::not_found("pods", "", name))
}

/// The node of a pod to whose ports one can connect.
pub(super) fn running(snapshot: &Snapshot, pod: &Object) -> Result<Arc<Object>, Status> {
    let node = node_of(snapshot, pod)?;
    match phase(pod) {
        "Running" => Ok(node),
        phase => Err(Status::bad_request(format!(
            "unable to forward port because pod is not running. Current status={phase}"
        ))),
    }
}

pub(super) fn target_of(pod: &Object) -> PodTarget {
    let namespace = pod.value()["metadata"]["namespace"].as_str().unwrap_or_default();
    PodTarget { namespace: namespace.to_owned(), name: pod.name().to_owned(), uid: pod.uid().to_owned() }
}

fn phase(pod: &Object) -> &str {
    pod.value()["status"]["phase"].as_str().unwrap_or("Pending")
}

fn node_of(snapshot: &Snapshot, pod: &Object) -> Result<Arc<Object>, Status> {
    let name = pod.value()["spec"]["nodeName"].as_str().unwrap_or_default();
    if name.is_empty() {
        return Err(Status::bad_request(format!("pod {} does not have a host assigned", pod.name())));
    }
    snapshot.get(&Key::new("nodes", "", name)).cloned().ok_or_else(|| {
        let message = format!("pod {} is on node {name:?}, which is no longer part of the cluster", pod.name());
        Status::bad_request(message)
    })
}

/// Source: `NewOptions` of the kubelet: a terminal has no stderr of its own.
fn streams(query: &Query) -> Result<Streams, Status> {
    let [stdin, stdout, stderr, tty] = ["stdin", "stdout", "stderr", "tty"].map(|name| query.flag(name));
    if !stdin && !stdout && !stderr {
        return Err(Status::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
    }
    Ok(Streams { stdin, stdout, stderr: stderr && !tty, tty })
}

fn is_running(pod: &Object, container: &str) -> bool {
    let status = &pod.value()["status"];
    let lists = ["containerStatuses", "initContainerStatuses"];
    let mut statuses = lists.iter().flat_map(|list| status[list].as_array()).flatten();
    statuses.any(|status| status["name"] == container && !status["state"]["running"].is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn cluster(phase: &str, state: Value) -> Snapshot {
        let value = json!({
            "metadata": {"name": "p", "namespace": "default", "uid": "u"},
            "spec": {"nodeName": "n", "containers": [{"name": "c"}]},
            "status": {"phase": phase, "containerStatuses": [{"name": "c", "state": state}]},
        });
        let node = Object::new(Key::new("nodes", "", "n"), 1, json!({"metadata": {"name": "n"}}));
        Snapshot::from_objects(1, [Object::new(Key::new("pods", "default", "p"), 1, value), node])
    }

    fn path(name: &str, subresource: &str) -> ResourcePath {
        let [namespace, name, subresource] = ["default", name, subresource].map(str::to_owned);
        ResourcePath { namespace, name, subresource, ..ResourcePath::default() }
    }

    #[track_caller]
    fn refused(snapshot: &Snapshot, subresource: &str, query: &str, code: u16, message: &str) {
        let status = command(snapshot, &path("p", subresource), &Query::parse(query)).unwrap_err();
        assert_eq!((status.code, status.message.as_str()), (code, message));
    }

    #[test]
    fn a_command_is_read_as_the_kubelet_reads_it() {
        let query = Query::parse("command=sh&command=-c&command=&stdin=true&stdout=1&stderr=true&tty=true");
        let snapshot = cluster("Running", json!({"running": {}}));
        let (node, request, _) = command(&snapshot, &path("p", "exec"), &query).unwrap();
        let command = ["sh", "-c", ""].map(str::to_owned).to_vec();
        let streams = Streams { stdin: true, stdout: true, stderr: false, tty: true };
        let pod = PodTarget { namespace: "default".to_owned(), name: "p".to_owned(), uid: "u".to_owned() };
        assert_eq!(node.name(), "n");
        assert_eq!(request, StreamRequest::Exec { pod, container: "c".to_owned(), command, streams });
    }

    #[test]
    fn what_cannot_run_says_why() {
        let running = cluster("Running", json!({"running": {}}));
        refused(&running, "exec", "command=a", 400, "you must specify at least 1 of stdin, stdout, stderr");
        refused(&running, "exec", "stdout=true", 400, "you must specify at least one command for the container");
        refused(&running, "exec", "container=x&stdout=true", 400, "container x is not valid for pod p");
        let waiting = cluster("Pending", json!({"waiting": {}}));
        refused(&waiting, "exec", "command=a&stdout=true", 500, "container not found (\"c\")");
        let done = cluster("Succeeded", json!({"terminated": {}}));
        let message = "cannot exec into a container in a completed pod; current phase is Succeeded";
        refused(&done, "exec", "command=a&stdout=true", 400, message);
    }

    #[test]
    fn ports_are_numbers() {
        let snapshot = cluster("Running", json!({"running": {}}));
        let ports = |query: &str| {
            let found = forward(&snapshot, &path("p", "portforward"), &Query::parse(query));
            found.map(|(_, _, ports)| ports).map_err(|status| status.message)
        };
        assert_eq!(ports("ports=80&ports=81,82"), Ok(vec![80, 81, 82]));
        assert_eq!(ports(""), Ok(vec![]));
        assert_eq!(ports("ports=http"), Err("unable to parse \"http\" as a port".to_owned()));
        assert_eq!(ports("ports=0"), Err("port \"0\" must be > 0".to_owned()));
    }

    #[test]
    fn only_running_pods_have_ports() {
        let status = forward(&cluster("Pending", json!({})), &path("p", "portforward"), &Query::parse("")).unwrap_err();
        assert_eq!(status.message, "unable to forward port because pod is not running. Current status=Pending");
        let missing =
            forward(&cluster("Running", json!({})), &path("q", "portforward"), &Query::parse("")).unwrap_err();
        assert_eq!(missing.code, 404);
    }
}
