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

async fn apply(server: &Server, query: &str, data: Value) -> Answer {
    let path = format!("{CONFIGMAPS}/ssa?{query}");
    server.patch(&path, APPLY, config_map("ssa", data)).await
}
