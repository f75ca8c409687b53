//! From creation to deletion: what only the server writes, what may not change, what a dry run leaves alone.

use http::Method;
use serde_json::{Value, json};

use crate::support::{CONFIGMAPS, DEPLOYMENTS, PODS, Server, config_map, deployment, pod};

const MERGE: &str = "application/merge-patch+json";

#[tokio::test]
async fn a_deletion_can_be_about_one_version_only() {
    let server = Server::start().await;
    let created = server.post(CONFIGMAPS, config_map("a", json!({}))).await.expect(201);
    let path = format!("{CONFIGMAPS}/a");
    server.put(&path, config_map("a", json!({"k": "v"}))).await.expect(200);
    let stale = created["metadata"]["resourceVersion"].as_str().unwrap();
    let options = json!({"preconditions": {"resourceVersion": stale}});
    let message = server.delete_with(&path, options).await.expect_failure(409, "Conflict");
    assert!(
        message.starts_with(&format!(
            "Operation cannot be fulfilled on ConfigMap \"a\": the ResourceVersion in the precondition ({stale}) does not match the ResourceVersion in record ("
        )),
        "{message}"
    );
    let uid = created["metadata"]["uid"].as_str().unwrap();
    server.delete_with(&path, json!({"preconditions": {"uid": uid}})).await.expect(200);
}

#[tokio::test]
async fn options_of_a_deletion_are_checked() {
    let server = Server::start().await;
    server.post(CONFIGMAPS, config_map("a", json!({}))).await.expect(201);
    let path = format!("{CONFIGMAPS}/a");
    let both = json!({"orphanDependents": true, "propagationPolicy": "Orphan"});
    let message = server.delete_with(&path, both).await.expect_failure(422, "Invalid");
    assert!(message.ends_with("orphanDependents and deletionPropagation cannot be both set"), "{message}");
    let wrong = server.delete_with(&path, json!({"gracePeriodSeconds": "x"})).await;
    wrong.expect_failure(400, "BadRequest");
    server.get(&path).await.expect(200);
}

#[tokio::test]
async fn a_collection_is_deleted_as_its_objects_are() {
    let server = Server::start().await;
    for name in ["a", "b", "c"] {
        server.post(DEPLOYMENTS, deployment(name, 0)).await.expect(201);
    }
    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    let imagined = server.delete(&format!("{DEPLOYMENTS}?dryRun=All")).await.expect(200);
    assert_eq!(names(&imagined), ["a", "b", "c"]);
    let first = server.delete(&format!("{DEPLOYMENTS}?limit=1")).await.expect(200);
    assert_eq!(names(&first), ["a"]);
    assert!(first["metadata"]["continue"].is_string());
    let held = server.delete_with(DEPLOYMENTS, json!({"propagationPolicy": "Orphan"})).await.expect(200);
    assert_eq!(held["items"][0]["metadata"]["finalizers"], json!(["orphan"]));
    let left = server.get(DEPLOYMENTS).await.expect(200);
    assert_eq!(names(&left), ["b", "c"]);
    assert!(left["items"][1]["metadata"]["deletionTimestamp"].is_string());
}

#[tokio::test]
async fn names_are_made_up_and_cut() {
    let server = Server::start().await;
    let object = |prefix: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": prefix}});
    let created = server.post(CONFIGMAPS, object("web-")).await.expect(201);
    let name = created["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("web-") && name.len() == 9, "{name}");
    assert_eq!(created["metadata"]["generateName"], "web-");
    let long = server.post(CONFIGMAPS, object(&"a".repeat(100))).await.expect(201);
    assert_eq!(long["metadata"]["name"].as_str().unwrap().len(), 63);
    let neither = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}});
    let message = server.post(CONFIGMAPS, neither).await.expect_failure(422, "Invalid");
    assert_eq!(message, "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required");
}

#[tokio::test]
async fn a_dry_run_leaves_everything_as_it_is() {
    let server = Server::start().await;
    server.post(PODS, pod("p")).await.expect(201);
    server.post(DEPLOYMENTS, deployment("d", 1)).await.expect(201);
    let before = server.store.snapshot().revision();
    let deployment_path = format!("{DEPLOYMENTS}/d");
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}});
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}});
    let apply =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"replicas": 7}});
    let json_type = "application/json";
    for (method, path, media_type, body, code) in [
        (Method::DELETE, format!("{PODS}/p"), json_type, json!({}), 200),
        (Method::POST, format!("{PODS}/p/binding"), json_type, binding, 201),
        (Method::POST, format!("{PODS}/p/eviction"), json_type, eviction, 201),
        (Method::PATCH, format!("{deployment_path}/scale"), MERGE, json!({"spec": {"replicas": 5}}), 200),
        (Method::PATCH, format!("{deployment_path}/status"), MERGE, json!({"status": {"replicas": 5}}), 200),
        (Method::PATCH, deployment_path.clone(), MERGE, json!({"spec": {"replicas": 5}}), 200),
        (Method::PUT, deployment_path.clone(), json_type, deployment("d", 9), 200),
        (Method::PATCH, deployment_path.clone(), "application/apply-patch+yaml", apply, 200),
    ] {
        let path = format!("{path}?dryRun=All&fieldManager=m&force={}", media_type.contains("apply"));
        let path = path.replace("&force=false", "");
        let answer = server.send(method.clone(), &path, &[("content-type", media_type)], body.to_string()).await;
        assert_eq!(answer.code, code, "{method} {path}: {}", answer.text());
        assert_eq!(server.store.snapshot().revision(), before, "{method} {path}");
    }
    // What is not to be is not imagined either.
    let absent = server.delete(&format!("{PODS}/nothing?dryRun=All")).await;
    absent.expect_failure(404, "NotFound");
}

#[tokio::test]
async fn what_the_server_writes_is_not_the_clients_to_change() {
    let server = Server::start().await;
    let created = server.post(CONFIGMAPS, config_map("a", json!({}))).await.expect(201);
    let path = format!("{CONFIGMAPS}/a");
    let patch = |metadata: Value| {
        let (server, path) = (&server, &path);
        async move { server.patch(path, MERGE, json!({"metadata": metadata})).await }
    };
    let message = patch(json!({"creationTimestamp": "2020-01-01T00:00:00Z"})).await.expect_failure(422, "Invalid");
    assert_eq!(
        message,
        "ConfigMap \"a\" is invalid: metadata.creationTimestamp: Invalid value: \"2020-01-01T00:00:00Z\": field is immutable"
    );
    patch(json!({"uid": "other"})).await.expect_failure(409, "Conflict");
    let kept = patch(json!({"creationTimestamp": null, "uid": null, "generation": 9, "resourceVersion": null})).await;
    assert_eq!(kept.expect(200), created);
    let time = created["metadata"]["creationTimestamp"].as_str().unwrap().replace('Z', "+00:00");
    assert_eq!(patch(json!({"creationTimestamp": time})).await.expect(200), created);
}

#[tokio::test]
async fn metadata_has_bounds() {
    let server = Server::start().await;
    let refused = |metadata: Value| {
        let server = &server;
        async move {
            let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
            server.post(CONFIGMAPS, object).await.expect_failure(422, "Invalid")
        }
    };
    let large = refused(json!({"name": "a", "annotations": {"k": "x".repeat(256 * 1024)}})).await;
    assert!(large.contains("metadata.annotations: Too long: may not be more than 262144 bytes"), "{large}");
    let label = refused(json!({"name": "a", "labels": {"k": "x".repeat(64)}})).await;
    assert!(label.contains("metadata.labels: Invalid value: ") && label.contains("63"), "{label}");
    let name = refused(json!({"name": "A_b"})).await;
    assert!(name.contains("metadata.name: Invalid value: \"A_b\": a lowercase RFC 1123 subdomain"), "{name}");
    let finalizer = refused(json!({"name": "a", "finalizers": ["x"]})).await;
    assert!(finalizer.contains("name is neither a standard finalizer name nor is it fully qualified"), "{finalizer}");
    let owner = |kind: &str, controller: bool| json!({"apiVersion": "v1", "kind": kind, "name": "o", "uid": "u", "controller": controller});
    let two = refused(json!({"name": "a", "ownerReferences": [owner("Pod", true), owner("Pod", true)]})).await;
    assert!(two.contains("Only one reference can have Controller set to true"), "{two}");
    let event = refused(json!({"name": "a", "ownerReferences": [owner("Event", false)]})).await;
    assert!(event.contains("is disallowed from being an owner"), "{event}");
}

#[tokio::test]
async fn a_write_that_changes_nothing_is_none() {
    let server = Server::start().await;
    server.post(DEPLOYMENTS, deployment("d", 1)).await.expect(201);
    let path = format!("{DEPLOYMENTS}/d");
    let apply =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"replicas": 1}});
    let applied = format!("{path}?fieldManager=m");
    server.patch(&applied, "application/apply-patch+yaml", apply.clone()).await.expect(200);
    let before = server.get(&path).await.expect(200);
    server.put(&path, before.clone()).await.expect(200);
    server.patch(&path, MERGE, json!({"spec": {"replicas": 1}})).await.expect(200);
    server
        .patch(&path, "application/strategic-merge-patch+json", json!({"metadata": {"labels": {}}}))
        .await
        .expect(200);
    server.patch(&applied, "application/apply-patch+yaml", apply).await.expect(200);
    server.patch(&format!("{path}/scale"), MERGE, json!({"spec": {"replicas": 1}})).await.expect(200);
    server.put(&format!("{path}/status"), before.clone()).await.expect(200);
    assert_eq!(server.get(&path).await.expect(200), before);
}
