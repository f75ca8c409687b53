//! `pods/<name>/log`: which container is meant, and the way to the node that has its log.

use std::fmt;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use wasmk_api::{Cause, Key, Object, Snapshot, Status};

use crate::connect::Slot;
use crate::request::Query;
use crate::rest::Call;

/// Which log, and how much of it: Kubernetes' `PodLogOptions`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct LogRequest {
    pub namespace: String,
    pub pod: String,
    pub uid: String,
    pub container: String,
    /// Go on until the container ends.
    pub follow: bool,
    /// Of the container's last run, not the current one.
    pub previous: bool,
    pub timestamps: bool,
    pub since_seconds: Option<i64>,
    /// RFC 3339.
    pub since_time: Option<String>,
    pub tail_lines: Option<i64>,
    pub limit_bytes: Option<i64>,
    /// `Stdout`, `Stderr` or `All`.
    pub stream: Option<String>,
}

impl LogRequest {
    /// Of the node's API, which takes the same names in the query as Kubernetes' own.
    pub fn path_and_query(&self) -> String {
        let Self { namespace, pod, uid, container, .. } = self;
        format!("/wasmk/v1/logs/{namespace}/{pod}/{uid}/{container}?{}", self.query())
    }

    pub fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let flags = [("follow", self.follow), ("previous", self.previous), ("timestamps", self.timestamps)];
        for (name, _) in flags.into_iter().filter(|(_, set)| *set) {
            query.append_pair(name, "true");
        }
        let numbers =
            [("sinceSeconds", self.since_seconds), ("tailLines", self.tail_lines), ("limitBytes", self.limit_bytes)];
        for (name, number) in numbers {
            query.extend_pairs(number.map(|number| (name, number.to_string())));
        }
        for (name, text) in [("sinceTime", &self.since_time), ("stream", &self.stream)] {
            query.extend_pairs(text.iter().map(|text| (name, text)));
        }
        query.finish()
    }

    fn parse(query: &Query) -> Result<Self, Status> {
        let positive = |name: &str, least: i64| {
            let number = query.number(name)?;
            match number {
                Some(number) if number < least => {
                    let detail = format!("must be greater than or equal to {least}");
                    Err(invalid(Cause::invalid(name, &number.into(), &detail)))
                }
                number => Ok(number),
            }
        };
        let request = Self {
            follow: query.flag("follow"),
            previous: query.flag("previous"),
            timestamps: query.flag("timestamps"),
            since_seconds: positive("sinceSeconds", 1)?,
            since_time: query.text("sinceTime").map(str::to_owned),
            tail_lines: positive("tailLines", 0)?,
            limit_bytes: positive("limitBytes", 1)?,
            stream: query.text("stream").map(str::to_owned),
            ..Self::default()
        };
        match (&request.since_time, request.since_seconds) {
            (Some(_), Some(_)) => {
                let detail = "at most one of `sinceTime` or `sinceSeconds` may be specified";
                Err(invalid(Cause::forbidden("sinceSeconds", detail)))
            }
            (Some(time), None) if time.parse::<jiff::Timestamp>().is_err() => {
                Err(invalid(Cause::invalid("sinceTime", &time.as_str().into(), "must be a time as in RFC 3339")))
            }
            _ => Ok(request),
        }
    }
}

fn invalid(cause: Cause) -> Status {
    Status::invalid("PodLogOptions", "", "", vec![cause])
}

/// Answers `GET …/pods/<name>/log`.
pub(crate) async fn logs(call: &Call) -> Result<Response, Status> {
    let (server, path) = (&call.server, &call.path);
    let (node, request) = plan(&server.store.snapshot(), &path.namespace, &path.name, &call.query)?;
    let slot = Slot::take(call)?;
    let body = slot.hold(server, Body::new(server.nodes.logs(&node, request).await?));
    Ok((StatusCode::OK, [(CONTENT_TYPE, "text/plain")], body).into_response())
}

/// Which node to ask for what.
fn plan(
    snapshot: &Snapshot,
    namespace: &str,
    name: &str,
    query: &Query,
) -> Result<(std::sync::Arc<Object>, LogRequest), Status> {
    let mut request = LogRequest::parse(query)?;
    let pod = snapshot.get(&Key::new("pods", namespace, name)).ok_or_else(|| Status::not_found("pods", "", name))?;
    request.container = container_name(pod, query.text("container"))?;
    check_started(pod, &request)?;
    let node_name = pod.value()["spec"]["nodeName"].as_str().unwrap_or_default();
    let node = snapshot.get(&Key::new("nodes", "", node_name)).ok_or_else(|| {
        Status::bad_request(format!("pod {name} is on node {node_name:?}, which is no longer part of the cluster"))
    })?;
    request.namespace = namespace.to_owned();
    request.pod = name.to_owned();
    request.uid = pod.uid().to_owned();
    Ok((node.clone(), request))
}

/// The annotation that names the container which is meant when none is named.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// The container that is asked for, or meant.
pub(crate) fn container_name(pod: &Object, asked: Option<&str>) -> Result<String, Status> {
    let name = pod.name();
    let containers = Names::of(pod, "containers");
    let init_containers = Names::of(pod, "initContainers");
    if let Some(asked) = asked {
        if containers.0.contains(&asked) || init_containers.0.contains(&asked) {
            return Ok(asked.to_owned());
        }
        return Err(Status::bad_request(format!("container {asked} is not valid for pod {name}")));
    }
    let annotated = pod.annotation(DEFAULT_CONTAINER).filter(|annotated| containers.0.contains(annotated));
    match (annotated, containers.0.as_slice()) {
        (Some(one), _) => Ok(one.to_owned()),
        (None, [one]) => Ok((*one).to_owned()),
        _ if init_containers.0.is_empty() => Err(Status::bad_request(format!(
            "a container name must be specified for pod {name}, choose one of: {containers}"
        ))),
        _ => Err(Status::bad_request(format!(
            "a container name must be specified for pod {name}, choose one of: {containers} or one of the init containers: {init_containers}"
        ))),
    }
}

/// Names as Go prints a list: `[a b]`.
struct Names<'a>(Vec<&'a str>);

impl<'a> Names<'a> {
    fn of(pod: &'a Object, field: &str) -> Self {
        let containers = pod.value()["spec"][field].as_array().into_iter().flatten();
        Self(containers.filter_map(|container| container["name"].as_str()).collect())
    }
}

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.0.join(" "))
    }
}

/// There is a log only once the container has run; before that the reason for its waiting is the answer.
fn check_started(pod: &Object, request: &LogRequest) -> Result<(), Status> {
    let (name, container) = (pod.name(), &request.container);
    let status = &pod.value()["status"];
    if pod.value()["spec"]["nodeName"].as_str().unwrap_or_default().is_empty() {
        let message = format!("pod {name} does not have a host assigned");
        return Err(Status::bad_request(message));
    }
    let lists = ["containerStatuses", "initContainerStatuses"];
    let mut statuses = lists.iter().flat_map(|list| status[list].as_array()).flatten();
    let known = statuses.find(|status| status["name"] == container.as_str()).unwrap_or(&Value::Null);
    if request.previous {
        return match &known["lastState"]["terminated"] {
            Value::Null => Err(Status::bad_request(format!(
                "previous terminated container \"{container}\" in pod \"{name}\" not found"
            ))),
            _ => Ok(()),
        };
    }
    let waiting = &known["state"]["waiting"];
    let has_run = !known["lastState"]["terminated"].is_null();
    match waiting["reason"].as_str() {
        _ if has_run => Ok(()),
        Some(reason) => Err(Status::bad_request(match waiting["message"].as_str() {
            Some(message) if reason.contains("Image") || reason.contains("Config") || reason.contains("Error") => {
                format!("container \"{container}\" in pod \"{name}\" is waiting to start: {message}")
            }
            _ => format!("container \"{container}\" in pod \"{name}\" is waiting to start: {reason}"),
        })),
        None if known["state"]["running"].is_null() && known["state"]["terminated"].is_null() => {
            Err(Status::bad_request(format!(
                "container \"{container}\" in pod \"{name}\" is waiting to start: ContainerCreating"
            )))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(spec: Value, status: Value) -> Snapshot {
        let value =
            json!({"metadata": {"name": "p", "namespace": "default", "uid": "u"}, "spec": spec, "status": status});
        let pod = Object::new(Key::new("pods", "default", "p"), 1, value);
        let node = Object::new(Key::new("nodes", "", "n"), 1, json!({"metadata": {"name": "n"}}));
        Snapshot::from_objects(1, [pod, node])
    }

    fn ask(snapshot: &Snapshot, query: &str) -> Result<LogRequest, String> {
        plan(snapshot, "default", "p", &Query::parse(query))
            .map(|(_, request)| request)
            .map_err(|status| status.message)
    }

    fn running(name: &str) -> Value {
        json!({"name": name, "state": {"running": {}}})
    }

    #[test]
    fn options_reach_the_node() {
        let snapshot =
            pod(json!({"nodeName": "n", "containers": [{"name": "c"}]}), json!({"containerStatuses": [running("c")]}));
        let request = ask(&snapshot, "follow=true&tailLines=5&sinceSeconds=60&timestamps=true&limitBytes=10").unwrap();
        assert_eq!((request.container.as_str(), request.uid.as_str()), ("c", "u"));
        assert_eq!(request.query(), "follow=true&timestamps=true&sinceSeconds=60&tailLines=5&limitBytes=10");
    }

    #[test]
    fn a_container_must_be_named_unless_one_is_meant() {
        let spec =
            json!({"nodeName": "n", "containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}]});
        let snapshot = pod(spec, json!({"containerStatuses": [running("a"), running("b")]}));
        assert_eq!(
            ask(&snapshot, "").unwrap_err(),
            "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]"
        );
        assert_eq!(ask(&snapshot, "container=x").unwrap_err(), "container x is not valid for pod p");
        assert_eq!(ask(&snapshot, "container=b").unwrap().container, "b");
    }

    #[test]
    fn waiting_containers_say_why() {
        let waiting = |state: Value| {
            let status = json!({"containerStatuses": [{"name": "c", "state": {"waiting": state}}]});
            ask(&pod(json!({"nodeName": "n", "containers": [{"name": "c"}]}), status), "").unwrap_err()
        };
        assert_eq!(
            waiting(json!({"reason": "ContainerCreating"})),
            "container \"c\" in pod \"p\" is waiting to start: ContainerCreating"
        );
        assert_eq!(
            waiting(json!({"reason": "ImagePullBackOff", "message": "no such image"})),
            "container \"c\" in pod \"p\" is waiting to start: no such image"
        );
    }

    #[test]
    fn previous_needs_a_run_that_ended() {
        let spec = json!({"nodeName": "n", "containers": [{"name": "c"}]});
        let snapshot = pod(spec.clone(), json!({"containerStatuses": [running("c")]}));
        assert_eq!(
            ask(&snapshot, "previous=true").unwrap_err(),
            "previous terminated container \"c\" in pod \"p\" not found"
        );
        let crashed = json!({"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1}}});
        let snapshot = pod(spec, json!({"containerStatuses": [crashed]}));
        assert!(ask(&snapshot, "previous=true").unwrap().previous);
        assert!(ask(&snapshot, "").is_ok());
    }

    #[test]
    fn an_unscheduled_pod_has_no_log() {
        let snapshot = pod(json!({"containers": [{"name": "c"}]}), json!({}));
        assert_eq!(ask(&snapshot, "").unwrap_err(), "pod p does not have a host assigned");
        assert!(ask(&snapshot, "sinceSeconds=1&sinceTime=2020-01-01T00:00:00Z").unwrap_err().contains("at most one"));
    }
}
