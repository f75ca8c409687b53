//! One stored kind, served in several groups or versions.

use http::Method;
use serde_json::{Value, json};

use crate::support::{PODS, Server, pod};
use crate::watches::Events;

const CORE: &str = "/api/v1/namespaces/default/events";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events";

fn core_event(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": name}, "type": "Normal", "reason": "Started",
        "message": "It runs", "count": 2, "lastTimestamp": "2026-01-01T00:00:00Z",
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": "p", "namespace": "default"},
    })
}

fn new_event(name: &str) -> Value {
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name}, "type": "Normal",
        "reason": "Started", "action": "Start", "note": "It runs", "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "example.com/test", "reportingInstance": "test-1",
        "regarding": {"apiVersion": "v1", "kind": "Pod", "name": "q", "namespace": "default"},
    })
}

#[tokio::test]
async fn an_object_is_read_and_written_in_either_form() {
    let server = Server::start().await;
    server.post(CORE, core_event("a")).await.expect(201);
    let shown = server.get(&format!("{EVENTS}/a")).await.expect(200);
    assert_eq!((&shown["apiVersion"], &shown["note"]), (&json!("events.k8s.io/v1"), &json!("It runs")));
    assert_eq!((&shown["regarding"]["name"], &shown["deprecatedCount"]), (&json!("p"), &json!(2)));
    let created = server.post(EVENTS, new_event("b")).await.expect(201);
    assert_eq!((&created["apiVersion"], &created["note"]), (&json!("events.k8s.io/v1"), &json!("It runs")));
    let stored = server.get(&format!("{CORE}/b")).await.expect(200);
    assert_eq!((&stored["apiVersion"], &stored["message"]), (&json!("v1"), &json!("It runs")));
    assert_eq!(stored["reportingComponent"], "example.com/test");
    let list = server.get(EVENTS).await.expect(200);
    assert_eq!((&list["apiVersion"], &list["kind"]), (&json!("events.k8s.io/v1"), &json!("EventList")));
    assert!(list["items"].as_array().unwrap().iter().all(|item| item["note"] == "It runs"));
    let gone = server.delete(&format!("{EVENTS}/b")).await.expect(200);
    assert_eq!((&gone["kind"], &gone["details"]["group"]), (&json!("Status"), &json!("events.k8s.io")));
    server.get(&format!("{CORE}/b")).await.expect_failure(404, "NotFound");
}

#[tokio::test]
async fn each_form_is_selected_by_its_own_fields() {
    let server = Server::start().await;
    server.post(CORE, core_event("a")).await.expect(201);
    server.post(EVENTS, new_event("b")).await.expect(201);
    let names = async |path: &str, selector: &str| {
        let list = server.get(&format!("{path}?fieldSelector={selector}")).await.expect(200);
        let items = list["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(EVENTS, "regarding.name=p").await, ["a"]);
    assert_eq!(names(CORE, "involvedObject.name=q").await, ["b"]);
    assert_eq!(names(EVENTS, "reportingController=example.com/test").await, ["b"]);
    let refused = server.get(&format!("{EVENTS}?fieldSelector=involvedObject.name=p")).await;
    assert_eq!(refused.expect_failure(400, "BadRequest"), "field label not supported: involvedObject.name");
}

#[tokio::test]
async fn watches_tables_and_metadata_show_the_form_that_was_asked_for() {
    let server = Server::start().await;
    let mut events = Events::open_at(&server, EVENTS, "fieldSelector=regarding.name=p", "application/json").await;
    server.post(EVENTS, new_event("b")).await.expect(201);
    server.post(CORE, core_event("a")).await.expect(201);
    let event = events.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["note"]), (&json!("ADDED"), &json!("It runs")));
    assert_eq!(event["object"]["apiVersion"], "events.k8s.io/v1");
    let as_table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let table = server.get_as(&format!("{EVENTS}?includeObject=Object"), as_table).await.expect(200);
    assert_eq!(table["columnDefinitions"][0]["name"], "Last Seen");
    assert_eq!(
        (&table["rows"][0]["cells"][3], &table["rows"][0]["object"]["note"]),
        (&json!("pod/p"), &json!("It runs"))
    );
    let metadata = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
    let one = server.get_as(&format!("{EVENTS}/a"), metadata).await.expect(200);
    assert_eq!((&one["kind"], &one["metadata"]["name"]), (&json!("PartialObjectMetadata"), &json!("a")));
}

#[tokio::test]
async fn patches_apply_to_the_form_that_they_are_sent_to() {
    let server = Server::start().await;
    server.post(CORE, core_event("a")).await.expect(201);
    let path = format!("{EVENTS}/a");
    let series = json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}});
    let patched = server.patch(&path, "application/merge-patch+json", series.clone()).await.expect(200);
    assert_eq!(patched["series"]["count"], 2);
    let series = json!([{"op": "replace", "path": "/series/count", "value": 3}, {"op": "test", "path": "/note", "value": "It runs"}]);
    assert_eq!(server.patch(&path, "application/json-patch+json", series).await.expect(200)["series"]["count"], 3);
    let strategic = "application/strategic-merge-patch+json";
    let patched = server.patch(&path, strategic, json!({"series": {"count": 4}})).await.expect(200);
    assert_eq!((&patched["series"]["count"], &patched["note"]), (&json!(4), &json!("It runs")));
    let refused = server.patch(&path, strategic, json!({"note": "else"})).await.expect_failure(422, "Invalid");
    assert!(refused.contains("field is immutable"), "{refused}");
    let revision = |object: &Value| object["metadata"]["resourceVersion"].clone();
    let same = server.patch(&path, strategic, json!({"note": "It runs"})).await.expect(200);
    assert_eq!(revision(&same), revision(&patched), "nothing changed");
    // The other form has no such restriction.
    let core = server.patch(&format!("{CORE}/a"), strategic, json!({"message": "else"})).await.expect(200);
    assert_eq!((&core["message"], &core["series"]["count"]), (&json!("else"), &json!(4)));
}

#[tokio::test]
async fn fields_are_owned_in_the_version_of_the_request() {
    let server = Server::start().await;
    let apply = "application/apply-patch+yaml";
    let path = format!("{EVENTS}/a");
    let applied = server.patch(&format!("{path}?fieldManager=one"), apply, new_event("a")).await.expect(201);
    let entry = &applied["metadata"]["managedFields"][0];
    assert_eq!((&entry["apiVersion"], &entry["operation"]), (&json!("events.k8s.io/v1"), &json!("Apply")));
    assert!(entry["fieldsV1"]["f:note"].is_object());
    let again = server.patch(&format!("{path}?fieldManager=one"), apply, new_event("a")).await.expect(200);
    assert_eq!(again["metadata"]["resourceVersion"], applied["metadata"]["resourceVersion"]);
    // In the other form the same field is another's still.
    let config = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "a"}, "message": "else",
        "involvedObject": {"namespace": "default"},
    });
    let core = format!("{CORE}/a?fieldManager=two");
    let conflict = server.patch(&core, apply, config.clone()).await.expect(409);
    assert_eq!(conflict["details"]["causes"][0]["reason"], "FieldManagerConflict");
    let forced = server.patch(&format!("{core}&force=true"), apply, config).await.expect(200);
    let entries = forced["metadata"]["managedFields"].as_array().unwrap();
    let of = |manager: &str| entries.iter().find(|entry| entry["manager"] == manager).unwrap();
    assert_eq!(of("two")["apiVersion"], "v1");
    assert!(of("one")["fieldsV1"]["f:note"].is_null(), "{entries:?}");
}

#[tokio::test]
async fn the_newer_form_asks_for_more() {
    let server = Server::start().await;
    let mut event = new_event("a");
    for field in ["eventTime", "reportingInstance"] {
        event[field] = Value::Null;
    }
    event["deprecatedCount"] = json!(1);
    let message = server.post(EVENTS, event).await.expect_failure(422, "Invalid");
    assert_eq!(
        message,
        "Event.events.k8s.io \"a\" is invalid: [eventTime: Required value, count: Invalid value: \"\": needs to be unset]"
    );
    let unknown = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "a"}, "message": "x"});
    let path = format!("{EVENTS}?fieldValidation=Strict");
    let message = server.post(&path, unknown).await.expect_failure(400, "BadRequest");
    assert!(message.contains("unknown field \"message\""), "{message}");
}

#[tokio::test]
async fn evictions_come_in_two_versions() {
    let server = Server::start().await;
    for version in ["policy/v1", "policy/v1beta1"] {
        server.post(PODS, pod("a")).await.expect(201);
        let eviction = json!({"apiVersion": version, "kind": "Eviction", "metadata": {"name": "a"}});
        server.post(&format!("{PODS}/a/eviction"), eviction).await.expect(201);
        server.get(&format!("{PODS}/a")).await.expect_failure(404, "NotFound");
    }
    let eviction = json!({"apiVersion": "policy/v2", "kind": "Eviction", "metadata": {"name": "a"}});
    server
        .send(Method::POST, &format!("{PODS}/a/eviction"), &[], eviction.to_string())
        .await
        .expect_failure(400, "BadRequest");
}

const AUTOSCALERS_V1: &str = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers";
const AUTOSCALERS_V2: &str = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";

#[tokio::test]
async fn an_autoscaler_keeps_what_the_older_version_has_no_fields_for() {
    let server = Server::start().await;
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"});
    let old = json!({
        "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"},
        "spec": {"maxReplicas": 3, "scaleTargetRef": target, "targetCPUUtilizationPercentage": 50},
    });
    let created = server.post(AUTOSCALERS_V1, old).await;
    assert!(created.warnings()[0].contains("no controller of wasmk runs HorizontalPodAutoscalers yet"));
    assert_eq!(created.expect(201)["spec"]["targetCPUUtilizationPercentage"], 50);
    let mut new = server.get(&format!("{AUTOSCALERS_V2}/a")).await.expect(200);
    assert_eq!(new["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 50);
    let memory = json!({"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}});
    new["spec"]["metrics"].as_array_mut().unwrap().push(json!({"type": "Resource", "resource": memory}));
    server.put(&format!("{AUTOSCALERS_V2}/a"), new).await.expect(200);
    let patch = json!({"spec": {"maxReplicas": 5}});
    let old = server.patch(&format!("{AUTOSCALERS_V1}/a"), "application/merge-patch+json", patch).await.expect(200);
    assert!(
        old["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/metrics"].as_str().unwrap().contains("1Gi")
    );
    let new = server.get(&format!("{AUTOSCALERS_V2}/a")).await.expect(200);
    assert_eq!((&new["spec"]["maxReplicas"], new["spec"]["metrics"].as_array().unwrap().len()), (&json!(5), 2));
    assert_eq!(new["metadata"]["annotations"], Value::Null);
    let table = server.get_as(AUTOSCALERS_V1, "application/json;as=Table;v=v1;g=meta.k8s.io").await.expect(200);
    assert_eq!(table["rows"][0]["cells"][2], "cpu: <unknown>/50%, memory: <unknown>/1Gi");
    let nonsense = json!({"metadata": {"annotations": {"autoscaling.alpha.kubernetes.io/behavior": "7"}}});
    let refused = server.patch(&format!("{AUTOSCALERS_V1}/a"), "application/merge-patch+json", nonsense).await;
    refused.expect_failure(400, "BadRequest");
}

#[tokio::test]
async fn the_newest_version_is_preferred_and_the_older_ones_are_there() {
    let server = Server::start().await;
    let groups = server.get("/apis").await.expect(200);
    for (group, preferred, versions) in
        [("autoscaling", "v2", ["v2", "v1"]), ("batch", "v1", ["v1", "v1beta1"]), ("policy", "v1", ["v1", "v1beta1"])]
    {
        let found = groups["groups"].as_array().unwrap().iter().find(|one| one["name"] == group).unwrap();
        assert_eq!(found["preferredVersion"]["version"], preferred);
        let listed: Vec<&Value> = found["versions"].as_array().unwrap().iter().map(|one| &one["version"]).collect();
        assert_eq!(listed, versions);
    }
    let resources = server.get("/apis/batch/v1beta1").await.expect(200);
    let names: Vec<&Value> = resources["resources"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["cronjobs", "cronjobs/status"]);
}
