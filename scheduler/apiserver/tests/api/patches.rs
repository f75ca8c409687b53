//! The four ways to patch, and who owns which field.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, CONFIGMAPS, DEPLOYMENTS, Server, config_map, deployment};

const APPLY: &str = "application/apply-patch+yaml";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

#[tokio::test]
async fn strategic_merge_keeps_what_it_does_not_name() {
    let server = Server::start().await;
    server.post(DEPLOYMENTS, deployment("d", 1)).await.expect(201);
    let patch = json!({"spec": {"template": {"spec": {
        "$setElementOrder/containers": [{"name": "c"}],
        "containers": [{"name": "c", "env": [{"name": "A", "value": "1"}]}],
    }}}});
    let patched = server.patch(&format!("{DEPLOYMENTS}/d"), STRATEGIC, patch).await.expect(200);
    let container = &patched["spec"]["template"]["spec"]["containers"][0];
    assert_eq!((&container["image"], &container["env"][0]["value"]), (&json!("hello:v1"), &json!("1")));
}

#[tokio::test]
async fn a_json_patch_is_tested_and_applied() {
    let server = Server::start().await;
    server.post(CONFIGMAPS, config_map("a", json!({"z": "1"}))).await.expect(201);
    let path = format!("{CONFIGMAPS}/a");
    let media_type = "application/json-patch+json";
    let patch =
        json!([{"op": "test", "path": "/data/z", "value": "1"}, {"op": "replace", "path": "/data/z", "value": "2"}]);
    assert_eq!(server.patch(&path, media_type, patch.clone()).await.expect(200)["data"]["z"], "2");
    server.patch(&path, media_type, patch).await.expect_failure(422, "Invalid");
}

#[tokio::test]
async fn a_patch_that_changes_nothing_writes_nothing() {
    let server = Server::start().await;
    server.post(CONFIGMAPS, config_map("a", json!({"k": "v"}))).await.expect(201);
    let before = server.store.snapshot().revision();
    for media_type in ["application/merge-patch+json", STRATEGIC] {
        server.patch(&format!("{CONFIGMAPS}/a"), media_type, json!({"data": {"k": "v"}})).await.expect(200);
    }
    assert_eq!(server.store.snapshot().revision(), before);
}

#[tokio::test]
async fn patches_at_once_all_land() {
    let server = Server::start().await;
    server.post(CONFIGMAPS, config_map("a", json!({}))).await.expect(201);
    let path = format!("{CONFIGMAPS}/a");
    let patches = (0..50).map(|number| {
        let patch = json!({"data": {format!("k{number}"): "v"}});
        server.patch(&path, "application/merge-patch+json", patch)
    });
    for answer in futures::future::join_all(patches).await {
        answer.expect(200);
    }
    assert_eq!(server.get(&path).await.expect(200)["data"].as_object().unwrap().len(), 50);
}

#[tokio::test]
async fn an_unknown_form_is_refused() {
    let server = Server::start().await;
    server.post(CONFIGMAPS, config_map("a", json!({}))).await.expect(201);
    let answer = server.patch(&format!("{CONFIGMAPS}/a"), "application/json", json!({})).await;
    answer.expect_failure(415, "UnsupportedMediaType");
    let answer = server.patch(&format!("{CONFIGMAPS}/a?force=true"), STRATEGIC, json!({})).await;
    answer.expect_failure(422, "Invalid");
}

#[tokio::test]
async fn server_side_apply_owns_what_it_sends() {
    let server = Server::start().await;
    let created = apply(&server, "fieldManager=m1", json!({"a": "1"})).await.expect(201);
    let entry = &created["metadata"]["managedFields"][0];
    assert_eq!((&entry["manager"], &entry["operation"]), (&json!("m1"), &json!("Apply")));
    assert_eq!(entry["fieldsV1"], json!({"f:data": {"f:a": {}}}));
    let conflict = apply(&server, "fieldManager=m2", json!({"a": "2"})).await;
    let causes = conflict.value()["details"]["causes"].clone();
    assert_eq!(conflict.expect_failure(409, "Conflict"), "Apply failed with 1 conflict: conflict with \"m1\": .data.a");
    assert_eq!(
        causes,
        json!([{"reason": "FieldManagerConflict", "message": "conflict with \"m1\"", "field": ".data.a"}])
    );
    let forced = apply(&server, "fieldManager=m2&force=true", json!({"a": "2"})).await.expect(200);
    assert_eq!(forced["data"], json!({"a": "2"}));
    let replaced = apply(&server, "fieldManager=m2", json!({"b": "2"})).await.expect(200);
    assert_eq!(replaced["data"], json!({"b": "2"}));
    let again = apply(&server, "fieldManager=m2", json!({"b": "2"})).await.expect(200);
    assert_eq!(again["metadata"]["resourceVersion"], replaced["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn applying_again_what_was_defaulted_writes_nothing() {
    let server = Server::start().await;
    let mut object = deployment("d", 1);
    let env = json!([{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]);
    object["spec"]["template"]["spec"]["containers"][0]["env"] = env;
    let path = format!("{DEPLOYMENTS}/d?fieldManager=m1");
    let created = server.patch(&path, APPLY, object.clone()).await.expect(201);
    let container = &created["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["env"][0]["valueFrom"]["fieldRef"]["apiVersion"], "v1");
    let again = server.patch(&path, APPLY, object).await.expect(200);
    assert_eq!(again["metadata"]["resourceVersion"], created["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn server_side_apply_needs_a_manager() {
    let server = Server::start().await;
    assert_eq!(
        apply(&server, "", json!({})).await.expect_failure(422, "Invalid"),
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
    );
}

#[tokio::test]
async fn other_writes_are_recorded_with_the_clients_name() {
    let server = Server::start().await;
    let headers = [("content-type", "application/json"), ("user-agent", "kubectl/v1.32.0 (linux/amd64)")];
    let body = config_map("a", json!({"k": "v"})).to_string();
    let created = server.send(Method::POST, CONFIGMAPS, &headers, body).await.expect(201);
    let entry = &created["metadata"]["managedFields"][0];
    assert_eq!((&entry["manager"], &entry["operation"]), (&json!("kubectl"), &json!("Update")));
}

#[tokio::test]
async fn a_patch_that_does_not_fit_is_refused_in_kubernetes_words() {
    let server = Server::start().await;
    server.post(DEPLOYMENTS, deployment("d", 1)).await.expect(201);
    let path = format!("{DEPLOYMENTS}/d");
    let (json, merge) = ("application/json-patch+json", "application/merge-patch+json");
    let failing = server.patch(&path, json, json!([{"op": "test", "path": "/kind", "value": "Pod"}])).await;
    let words = "the server rejected our request due to an error in our request";
    assert_eq!(failing.expect_failure(422, "Invalid"), words);
    let no_patch = server.patch(&path, json, json!({"spec": {}})).await.expect_failure(400, "BadRequest");
    assert!(no_patch.starts_with("error decoding patch: json: cannot unmarshal object"), "{no_patch}");
    for media_type in [merge, STRATEGIC] {
        let wrong = server.patch(&path, media_type, json!({"spec": {"replicas": "two"}})).await;
        let causes = wrong.value()["details"]["causes"].clone();
        let message = wrong.expect_failure(422, "Invalid");
        assert!(message.starts_with(" \"\" is invalid: patch: Invalid value: \""), "{message}");
        let words = "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32";
        assert!(message.ends_with(words), "{message}");
        assert_eq!(causes[0]["field"], "patch");
        let strict = format!("{path}?fieldValidation=Strict");
        let unknown = server.patch(&strict, media_type, json!({"spec": {"foo": 1}})).await;
        let message = unknown.expect_failure(422, "Invalid");
        assert!(message.ends_with("strict decoding error: unknown field \"spec.foo\""), "{message}");
    }
    let missing = server.patch(&format!("{DEPLOYMENTS}/x"), merge, json!({})).await;
    missing.expect_failure(404, "NotFound");
}

#[tokio::test]
async fn managers_have_names_of_a_certain_form() {
    let server = Server::start().await;
    let named = |name: &str| format!("fieldManager={name}");
    let long = apply(&server, &named(&"x".repeat(129)), json!({})).await.expect_failure(422, "Invalid");
    let words = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Too long: may not be more than 128 bytes";
    assert_eq!(long, words);
    let bell = apply(&server, &named("a%07"), json!({})).await.expect_failure(422, "Invalid");
    assert!(bell.ends_with("invalid character U+0007 (at position 1)"), "{bell}");
    apply(&server, &named(&"x".repeat(128)), json!({})).await.expect(201);
    let path = format!("{CONFIGMAPS}/ssa?force=false");
    server.patch(&path, STRATEGIC, json!({})).await.expect_failure(422, "Invalid");
}

#[tokio::test]
async fn an_apply_configuration_says_what_it_is_about() {
    let server = Server::start().await;
    let path = format!("{CONFIGMAPS}/ssa?fieldManager=m");
    let refused = async |config: Value| server.patch(&path, APPLY, config).await;
    let untyped = refused(json!({"metadata": {"name": "ssa"}})).await.expect_failure(400, "BadRequest");
    assert_eq!(untyped, "invalid object type: /, Kind=");
    let mut other = config_map("ssa", json!({}));
    other["kind"] = json!("Secret");
    assert_eq!(refused(other).await.expect_failure(400, "BadRequest"), "invalid object type: /v1, Kind=Secret");
    let nameless = refused(json!({"apiVersion": "v1", "kind": "ConfigMap"})).await.expect_failure(400, "BadRequest");
    assert!(nameless.ends_with("was undeterminable: Internal error occurred: name must be provided"), "{nameless}");
    let mut identified = config_map("ssa", json!({}));
    identified["metadata"]["uid"] = json!("u");
    let words = "Operation cannot be fulfilled on configmaps \"ssa\": uid mismatch: the provided object specified uid u, and no existing object was found";
    assert_eq!(refused(identified).await.expect_failure(409, "Conflict"), words);
    let mut managed = config_map("ssa", json!({}));
    managed["metadata"]["managedFields"] = json!([]);
    assert_eq!(refused(managed).await.expect_failure(400, "BadRequest"), "metadata.managedFields must be nil");
    let mut locked = apply(&server, "fieldManager=m", json!({"a": "1"})).await.expect(201);
    locked["metadata"]["resourceVersion"] = json!("1");
    locked["metadata"]["managedFields"] = Value::Null;
    refused(locked).await.expect_failure(409, "Conflict");
}

#[tokio::test]
async fn scaling_owns_the_replicas() {
    let server = Server::start().await;
    let path = format!("{DEPLOYMENTS}/d");
    let created = server.patch(&format!("{path}?fieldManager=m"), APPLY, deployment("d", 1)).await.expect(201);
    assert_eq!(created["metadata"]["managedFields"].as_array().unwrap().len(), 1);
    let merge = "application/merge-patch+json";
    let scale = format!("{path}/scale?fieldManager=kubectl");
    server.patch(&scale, merge, json!({"spec": {"replicas": 3}})).await.expect(200);
    let scaled = server.get(&path).await.expect(200);
    let entry = &scaled["metadata"]["managedFields"][1];
    assert_eq!(entry["fieldsV1"], json!({"f:spec": {"f:replicas": {}}}));
    assert_eq!(
        (&entry["manager"], &entry["subresource"], &entry["apiVersion"]),
        (&json!("kubectl"), &json!("scale"), &json!("apps/v1"))
    );
    let refused = server.patch(&format!("{path}?fieldManager=m"), APPLY, deployment("d", 1)).await;
    assert_eq!(
        refused.expect_failure(409, "Conflict"),
        "Apply failed with 1 conflict: conflict with \"kubectl\" with subresource \"scale\" using apps/v1: .spec.replicas"
    );
    let config =
        json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": 5}});
    let applied = format!("{path}/scale?fieldManager=hpa");
    server.patch(&applied, APPLY, config.clone()).await.expect_failure(409, "Conflict");
    let answer = server.patch(&format!("{applied}&force=true"), APPLY, config.clone()).await.expect(200);
    assert_eq!((&answer["kind"], &answer["spec"]["replicas"]), (&json!("Scale"), &json!(5)));
    let owned = server.get(&path).await.expect(200);
    let hpa = owned["metadata"]["managedFields"].as_array().unwrap().iter().find(|entry| entry["manager"] == "hpa");
    assert_eq!(hpa.unwrap()["fieldsV1"], json!({"f:spec": {"f:replicas": {}}}));
    let again = server.patch(&applied, APPLY, config).await.expect(200);
    assert_eq!(again["metadata"]["resourceVersion"], owned["metadata"]["resourceVersion"]);
}

/// As `kubectl apply --server-side` does before it applies to what it has applied client-side.
#[tokio::test]
async fn managed_fields_can_be_rewritten_by_a_patch() {
    let server = Server::start().await;
    let path = format!("{CONFIGMAPS}/a?fieldManager=kubectl-client-side-apply");
    server.post(&path.replace("/a?", "?"), config_map("a", json!({"k": "v"}))).await.expect(201);
    let live = server.get(&path).await.expect(200);
    let mut fields = live["metadata"]["managedFields"].clone();
    fields[0]["manager"] = json!("kubectl");
    fields[0]["operation"] = json!("Apply");
    let patch = json!([
        {"op": "replace", "path": "/metadata/managedFields", "value": fields},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
    ]);
    let patched = server.patch(&path, "application/json-patch+json", patch.clone()).await.expect(200);
    assert_eq!(patched["metadata"]["managedFields"], fields);
    server.patch(&path, "application/json-patch+json", patch).await.expect_failure(409, "Conflict");
    let path = format!("{CONFIGMAPS}/a?fieldManager=kubectl");
    let applied = server.patch(&path, APPLY, config_map("a", json!({"l": "v"}))).await.expect(200);
    assert_eq!(applied["data"], json!({"l": "v"}), "what client-side apply owned is kubectl's to remove");
}

async fn apply(server: &Server, query: &str, data: Value) -> Answer {
    let path = format!("{CONFIGMAPS}/ssa?{query}");
    server.patch(&path, APPLY, config_map("ssa", data)).await
}
