//! Says on a Service that one of its ports could not be opened on this node.

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wasmk_network::ListenerProblem;

/// Reports each new problem once, until `stop`.
pub(crate) async fn run(
    client: Client,
    node_name: String,
    mut problems: watch::Receiver<std::sync::Arc<Vec<ListenerProblem>>>,
    stop: CancellationToken,
) {
    let mut known = Vec::new();
    loop {
        let now = problems.borrow_and_update().clone();
        for problem in now.iter().filter(|problem| !known.contains(*problem)) {
            let services = Api::<Service>::namespaced(client.clone(), &problem.service.namespace);
            // `describe` looks for events by uid.
            let service = stop.run_until_cancelled(services.get(&problem.service.name)).await;
            let uid = service.and_then(Result::ok).and_then(|service| service.metadata.uid);
            let event = event(&node_name, problem, uid);
            let api = Api::<Event>::namespaced(client.clone(), &problem.service.namespace);
            if let Some(Err(error)) = stop.run_until_cancelled(api.create(&PostParams::default(), &event)).await {
                tracing::warn!(%error, service = %problem.service.name, "report a port that is not open");
            }
        }
        known = now.to_vec();
        match stop.run_until_cancelled(problems.changed()).await {
            Some(Ok(())) => {}
            Some(Err(_)) | None => return,
        }
    }
}

fn event(node_name: &str, problem: &ListenerProblem, uid: Option<String>) -> Event {
    let (namespace, name) = (problem.service.namespace.to_string(), problem.service.name.to_string());
    let now = Time(jiff::Timestamp::now());
    Event {
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}.")),
            namespace: Some(namespace.clone()),
            ..Default::default()
        },
        involved_object: ObjectReference {
            kind: Some("Service".to_owned()),
            api_version: Some("v1".to_owned()),
            name: Some(name),
            namespace: Some(namespace),
            uid,
            ..Default::default()
        },
        type_: Some("Warning".to_owned()),
        reason: Some(problem.reason.as_str().to_owned()),
        message: Some(format!("node {node_name}: {problem}")),
        source: Some(EventSource { component: Some("wasmk-proxy".to_owned()), host: Some(node_name.to_owned()) }),
        reporting_component: Some("wasmk-proxy".to_owned()),
        reporting_instance: Some(node_name.to_owned()),
        first_timestamp: Some(now.clone()),
        last_timestamp: Some(now),
        count: Some(1),
        ..Default::default()
    }
}
