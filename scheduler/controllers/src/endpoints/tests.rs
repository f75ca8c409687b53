use std::sync::Arc;

use wasmk_api::Snapshot;

use super::*;
use crate::{Settings, Write};

const NOW: &str = "2026-01-01T00:00:00Z";

fn object(resource: &str, name: &str, mut value: Value) -> Arc<Object> {
    value["metadata"]["uid"] = json!("u");
    value["metadata"]["name"] = json!(name);
    Object::new(Key::new(resource, "default", name), 1, value)
}

fn service(spec: Value) -> Arc<Object> {
    object("services", "db", json!({"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": spec}))
}

fn slice(endpoints: Value) -> Arc<Object> {
    let metadata = json!({"labels": {SERVICE_LABEL: "db"}});
    let ports = json!([{"name": "", "port": 80, "protocol": "TCP"}]);
    object(SLICES, "db-x", json!({"metadata": metadata, "ports": ports, "endpoints": endpoints}))
}

fn plan_at(now: &str, objects: impl IntoIterator<Item = Arc<Object>>) -> Plan {
    let now: Timestamp = now.parse().unwrap();
    let mut view = View::new(now);
    let namespace = Object::new(Key::new("namespaces", "", "default"), 1, json!({"metadata": {"name": "default"}}));
    view.advance(Snapshot::from_objects(1, objects.into_iter().chain([namespace])), now);
    plan(&view, &Key::new("services", "default", "db"), &Clock { now, settings: &Settings::default() })
}

fn written(plan: &Plan) -> Vec<&Value> {
    let values = plan.actions.iter().filter_map(|action| match &action.write {
        Write::Create { value, .. } | Write::Update { value, .. } => Some(value),
        Write::Delete { .. } => None,
    });
    values.collect()
}

#[test]
fn endpoints_say_what_the_slices_say() {
    let endpoints = json!([
        {"addresses": ["10.64.0.2"], "conditions": {"ready": false}, "nodeName": "a"},
        {"addresses": ["10.64.0.1"], "conditions": {"ready": true}, "targetRef": {"kind": "Pod", "name": "p"}},
    ]);
    let plan = plan_at(NOW, [service(json!({"selector": {"app": "db"}})), slice(endpoints)]);
    assert_eq!(
        written(&plan)[0]["subsets"],
        json!([{
            "addresses": [{"ip": "10.64.0.1", "targetRef": {"kind": "Pod", "name": "p"}}],
            "notReadyAddresses": [{"ip": "10.64.0.2", "nodeName": "a"}],
            "ports": [{"port": 80, "protocol": "TCP"}],
        }])
    );
    let value = written(&plan)[0].clone();
    let again = [service(json!({"selector": {"app": "db"}})), slice(json!([])), object(ENDPOINTS, "db", value)];
    // Not before a second has passed.
    let early = plan_at(NOW, again.clone());
    assert!(early.is_empty() && early.wake_at.is_some());
    assert_eq!(written(&plan_at("2026-01-01T00:00:01Z", again))[0]["subsets"], json!([]));
}

/// Anybody may write the annotation: the last second of all once stopped every controller.
#[test]
fn a_time_of_change_in_the_future_holds_up_nothing() {
    for changed_at in ["9999-12-30T22:00:00Z", "2026-01-01T00:00:01Z", "soon"] {
        let metadata = json!({"labels": {MANAGED_LABEL: MANAGER}, "annotations": {CHANGED_AT: changed_at}});
        let old = object(ENDPOINTS, "db", json!({"metadata": metadata, "subsets": []}));
        let ready = json!([{"addresses": ["10.64.0.1"], "conditions": {"ready": true}}]);
        let plan = plan_at(NOW, [service(json!({"selector": {"app": "db"}})), slice(ready), old]);
        assert_eq!(written(&plan)[0]["subsets"][0]["addresses"][0]["ip"], "10.64.0.1", "{changed_at}");
    }
}

#[test]
fn what_somebody_wrote_for_a_service_without_selector_becomes_slices() {
    let subsets = json!([{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 5432, "protocol": "TCP"}]}]);
    let own =
        object(ENDPOINTS, "db", json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {}, "subsets": subsets}));
    let plan = plan_at(NOW, [service(json!({})), own.clone()]);
    let mirror = written(&plan)[0].clone();
    assert_eq!(mirror["endpoints"], json!([{"addresses": ["192.0.2.1"], "conditions": {"ready": true}}]));
    assert_eq!(mirror["ports"], json!([{"name": "", "port": 5432, "protocol": "TCP"}]));
    let mirror = object(SLICES, "db-mirrored-0", mirror);
    assert!(plan_at(NOW, [service(json!({})), own, mirror.clone()]).is_empty());
    // They go with what they mirror.
    assert_eq!(plan_at(NOW, [service(json!({})), mirror]).actions.len(), 1);
}
