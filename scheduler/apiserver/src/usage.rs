//! `metrics.k8s.io`: what nodes and pods use, asked of the nodes when somebody wants to know.

mod sample;

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use futures::future::join_all;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use wasmk_api::usage::{ContainerUsage, PodUsage};
use wasmk_api::{Key, Kind, Object, Snapshot, Status};

use sample::Measured;
pub(crate) use sample::Samples;

use crate::request::{ListOptions, Verb};
use crate::rest::{Call, Page, Presenter, Selection};

/// A node that has not answered by then is left out: others' figures do not wait for it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Whether objects of `kind` are measured, not stored.
pub(crate) fn is_measured(kind: &Kind) -> bool {
    kind.group == "metrics.k8s.io"
}

/// Answers GET of one or of all.
pub(crate) async fn answer(call: &Call, verb: Verb) -> Result<Response, Status> {
    let options = ListOptions::parse(&call.query)?;
    let selection = Selection::parse(call.kind, &options)?;
    let presenter = Presenter::of(call)?;
    let snapshot = call.server.store.snapshot();
    let measured = measure(call, asked_nodes(call, &snapshot)).await;
    let mut objects: Vec<Arc<Object>> = match call.kind.namespaced {
        true => measured.iter().flat_map(|one| pods(call, one, &snapshot)).collect(),
        false => measured.iter().map(|one| node(call, one)).collect(),
    };
    if verb == Verb::Get {
        let found = objects.into_iter().find(|object| object.name() == call.path.name);
        return Ok(presenter.one(StatusCode::OK, &found.ok_or_else(|| call.not_found())?, call.pretty()));
    }
    objects.retain(|object| selection.matches(object));
    objects.sort_by(|a, b| a.key().cmp(b.key()));
    let page = Page { revision: snapshot.revision(), objects, continue_token: None, remaining: None };
    Ok(presenter.list(page, call.pretty()))
}

/// All of them, or the one that knows what the path names.
fn asked_nodes(call: &Call, snapshot: &Snapshot) -> Vec<Arc<Object>> {
    let name = match (call.path.name.as_str(), call.kind.namespaced) {
        ("", _) => None,
        (name, false) => Some(name.to_owned()),
        (name, true) => {
            let pod = snapshot.get(&Key::new("pods", &call.path.namespace, name));
            let node = pod.and_then(|pod| pod.value()["spec"]["nodeName"].as_str());
            Some(node.unwrap_or_default().to_owned())
        }
    };
    match name {
        Some(name) => snapshot.get(&Key::new("nodes", "", &name)).cloned().into_iter().collect(),
        None => snapshot.list(&"nodes".into(), None).cloned().collect(),
    }
}

async fn measure(call: &Call, nodes: Vec<Arc<Object>>) -> Vec<Measured> {
    let (samples, client) = (&call.server.samples, &*call.server.nodes);
    let answers = nodes.into_iter().map(|node| async move {
        let measured = tokio::time::timeout(ANSWER_TIMEOUT, samples.measure(client, &node)).await;
        match measured {
            Ok(Ok(measured)) => Some(measured),
            Ok(Err(status)) => {
                tracing::debug!(node = node.name(), %status, "a node does not say what it uses");
                None
            }
            Err(_) => None,
        }
    });
    join_all(answers).await.into_iter().flatten().collect()
}

fn node(call: &Call, measured: &Measured) -> Arc<Object> {
    let containers = measured.now.pods.iter().flat_map(|pod| pod.containers.iter().map(move |one| (pod, one)));
    let (cpu, memory) = containers.fold((0, 0), |(cpu, memory): (u64, u64), (pod, one)| {
        let rate = measured.cpu_rate(pod, one);
        (cpu.saturating_add(rate), memory.saturating_add(one.memory_bytes))
    });
    object(call, &measured.node, measured, json!({"usage": usage(cpu, memory)}))
}

fn pods(call: &Call, measured: &Measured, snapshot: &Snapshot) -> Vec<Arc<Object>> {
    let here = |pod: &&PodUsage| call.path.namespace.is_empty() || pod.namespace == call.path.namespace;
    let known = measured.now.pods.iter().filter(here).filter_map(|usage| {
        let pod = snapshot.get(&Key::new("pods", &usage.namespace, &usage.name))?;
        (pod.uid() == usage.uid && !usage.containers.is_empty()).then(|| {
            let container = |one: &ContainerUsage| {
                json!({"name": one.name, "usage": self::usage(measured.cpu_rate(usage, one), one.memory_bytes)})
            };
            let containers: Vec<Value> = usage.containers.iter().map(container).collect();
            object(call, pod, measured, json!({"containers": containers}))
        })
    });
    known.collect()
}

/// Metrics of `about`, with what both kinds have.
fn object(call: &Call, about: &Object, measured: &Measured, mut value: Value) -> Arc<Object> {
    let mut metadata = json!({"name": about.name(), "creationTimestamp": whole_seconds(measured.at)});
    if !about.namespace().is_empty() {
        metadata["namespace"] = json!(about.namespace());
    }
    if about.metadata()["labels"].is_object() {
        metadata["labels"] = about.metadata()["labels"].clone();
    }
    value["kind"] = json!(call.kind.kind);
    value["apiVersion"] = json!(call.kind.api_version());
    value["metadata"] = metadata;
    value["timestamp"] = json!(whole_seconds(measured.at));
    value["window"] = json!(format!("{:.3}s", measured.window.as_secs_f64()));
    Object::new(Key::new(call.kind.resource_name(), about.namespace(), about.name()), 0, value)
}

fn usage(cpu_nanos: u64, memory_bytes: u64) -> Value {
    json!({"cpu": format!("{cpu_nanos}n"), "memory": format!("{}Ki", memory_bytes / 1024)})
}

fn whole_seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}
