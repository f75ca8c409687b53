//! Create, read, update, delete, list. Codes, reasons and messages as a kube-apiserver gave them.

use http::Method;
use serde_json::{Value, json};
use wasmk_api::kind;
use wasmk_store::MemoryStore;

use crate::support::{CONFIGMAPS, DEPLOYMENTS, PODS, Server, config_map, deployment, pod};

#[tokio::test]
async fn an_object_comes_back_as_it_was_accepted() {
    let server = Server::start().await;
    let created = server.post(CONFIGMAPS, config_map("a", json!({"k": "v"}))).await.expect(201);
    assert_eq!((&created["kind"], &created["data"]["k"]), (&json!("ConfigMap"), &json!("v")));
    assert!(created["metadata"]["uid"].is_string() && created["metadata"]["creationTimestamp"].is_string());
    assert_eq!(server.get(&format!("{CONFIGMAPS}/a")).await.expect(200), created);
    let message = server.post(CONFIGMAPS, config_map("a", json!({}))).await.expect_failure(409, "AlreadyExists");
    assert_eq!(message, "configmaps \"a\" already exists");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = Server::start().await;
    let message = server.get(&format!("{DEPLOYMENTS}/x")).await.expect_failure(404, "NotFound");
    assert_eq!(message, "deployments.apps \"x\" not found");
    let message = server.put(&format!("{CONFIGMAPS}/nonex"), config_map("nonex", json!({}))).await;
    assert_eq!(message.expect_failure(404, "NotFound"), "configmaps \"nonex\" not found");
    let missing = server.post("/api/v1/namespaces/nowhere/configmaps", config_map("a", json!({}))).await;
    assert_eq!(missing.expect_failure(404, "NotFound"), "namespaces \"nowhere\" not found");
    assert_eq!(server.get("/apis/nothing/v1/things").await.value(), "404 page not found\n");
    let message = server.get("/api/v1/things").await.expect_failure(404, "NotFound");
    assert_eq!(message, "the server could not find the requested resource");
    server.get(&format!("{CONFIGMAPS}/a/scale")).await.expect_failure(404, "NotFound");
}

#[tokio::test]
async fn bad_requests_are_worded_as_kubernetes_words_them() {
    let server = Server::start().await;
    server.post(CONFIGMAPS, config_map("cas", json!({}))).await.expect(201);
    let answer = server.post(&format!("{CONFIGMAPS}/cas"), config_map("cas", json!({}))).await;
    assert_eq!(
        answer.expect_failure(405, "MethodNotAllowed"),
        "the server does not allow this method on the requested resource"
    );
    let answer = server.put(&format!("{CONFIGMAPS}/cas"), config_map("other", json!({}))).await;
    assert_eq!(
        answer.expect_failure(400, "BadRequest"),
        "the name of the object (other) does not match the name on the URL (cas)"
    );
    let nowhere = server.put(&format!("{CONFIGMAPS}/nope"), config_map("other", json!({}))).await;
    nowhere.expect_failure(400, "BadRequest");
    let mut elsewhere = config_map("b", json!({}));
    elsewhere["metadata"]["namespace"] = json!("other");
    assert_eq!(
        server.post(CONFIGMAPS, elsewhere).await.expect_failure(400, "BadRequest"),
        "the namespace of the provided object does not match the namespace sent on the request"
    );
    assert_eq!(
        server.post(CONFIGMAPS, pod("p")).await.expect_failure(400, "BadRequest"),
        "Pod in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Pod) to (core.ConfigMap): unknown conversion"
    );
    let answer = server.post(DEPLOYMENTS, pod("p")).await;
    assert_eq!(
        answer.expect_failure(400, "BadRequest"),
        "the API version in the data (v1) does not match the expected API version (apps/v1)"
    );
    let answer = server.post(&format!("{CONFIGMAPS}?dryRun=foo"), config_map("b", json!({}))).await;
    assert_eq!(
        answer.expect_failure(422, "Invalid"),
        "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: []string{\"foo\"}: supported values: \"All\""
    );
    for body in ["", "{", "[]", "null", "\"x\""] {
        let answer = server.send(Method::POST, CONFIGMAPS, &[("content-type", "application/json")], body).await;
        answer.expect_failure(400, "BadRequest");
    }
    let answer = server.send(Method::POST, CONFIGMAPS, &[("content-type", "text/plain")], "x").await;
    answer.expect_failure(415, "UnsupportedMediaType");
    let large = "x".repeat(3 * 1024 * 1024 + 1);
    let answer = server.send(Method::POST, CONFIGMAPS, &[("content-type", "application/json")], large).await;
    answer.expect_failure(413, "RequestEntityTooLarge");
    server.get_as(CONFIGMAPS, "application/vnd.kubernetes.protobuf").await.expect_failure(406, "NotAcceptable");
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let server = Server::start().await;
    let before = server.store.snapshot().revision();
    let dry = server.post(&format!("{CONFIGMAPS}?dryRun=All"), config_map("dry", json!({}))).await.expect(201);
    assert!(dry["metadata"]["uid"].is_string());
    assert_eq!(dry["metadata"]["resourceVersion"], Value::Null);
    server.get(&format!("{CONFIGMAPS}/dry")).await.expect_failure(404, "NotFound");
    assert_eq!(server.store.snapshot().revision(), before);
}

#[tokio::test]
async fn unknown_fields_warn_or_fail_as_asked() {
    let server = Server::start().await;
    let mut object = deployment("d", 1);
    object["spec"]["replica"] = json!(2);
    let strict = server.post(&format!("{DEPLOYMENTS}?fieldValidation=Strict"), object.clone()).await;
    assert_eq!(
        strict.expect_failure(400, "BadRequest"),
        "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: unknown field \"spec.replica\""
    );
    let ignored = server.post(&format!("{DEPLOYMENTS}?fieldValidation=Ignore&dryRun=All"), object.clone()).await;
    assert!(ignored.warnings().is_empty());
    let warned = server.post(DEPLOYMENTS, object).await;
    assert_eq!(warned.warnings(), ["299 - \"unknown field \\\"spec.replica\\\"\""]);
    assert_eq!(warned.expect(201)["spec"]["replica"], Value::Null);
}

#[tokio::test]
async fn updates_need_the_latest_version_when_they_name_one() {
    let server = Server::start().await;
    let path = format!("{CONFIGMAPS}/a");
    let first = server.post(CONFIGMAPS, config_map("a", json!({"k": "1"}))).await.expect(201);
    let second = server.put(&path, config_map("a", json!({"k": "2"}))).await.expect(200);
    assert_ne!(first["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"]);
    assert_eq!(first["metadata"]["uid"], second["metadata"]["uid"]);
    assert_eq!(
        server.put(&path, first.clone()).await.expect_failure(409, "Conflict"),
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again"
    );
    let stale = json!({"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}, "data": {"k": "3"}});
    server.patch(&path, "application/merge-patch+json", stale).await.expect_failure(409, "Conflict");
    let unchanged = server.put(&path, second.clone()).await.expect(200);
    assert_eq!(unchanged["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn generation_counts_changes_of_the_spec_only() {
    let server = Server::start().await;
    let path = format!("{DEPLOYMENTS}/d");
    assert_eq!(server.post(DEPLOYMENTS, deployment("d", 1)).await.expect(201)["metadata"]["generation"], 1);
    let merge = "application/merge-patch+json";
    let labelled = server.patch(&path, merge, json!({"metadata": {"labels": {"x": "y"}}})).await.expect(200);
    assert_eq!(labelled["metadata"]["generation"], 1);
    let scaled = server.patch(&path, merge, json!({"spec": {"replicas": 3}})).await.expect(200);
    assert_eq!(scaled["metadata"]["generation"], 2);
    let status = json!({"spec": {"replicas": 9}, "status": {"replicas": 3}});
    let reported = server.patch(&format!("{path}/status"), merge, status).await.expect(200);
    assert_eq!((&reported["spec"]["replicas"], &reported["status"]["replicas"]), (&json!(3), &json!(3)));
    assert_eq!(reported["metadata"]["generation"], 2);
    let ignored = server.patch(&path, merge, json!({"status": {"replicas": 7}})).await.expect(200);
    assert_eq!(ignored["status"]["replicas"], 3);
}

#[tokio::test]
async fn scale_is_a_view_of_the_deployment() {
    let server = Server::start().await;
    server.post(DEPLOYMENTS, deployment("d", 1)).await.expect(201);
    let path = format!("{DEPLOYMENTS}/d/scale");
    let scale = server.get(&path).await.expect(200);
    assert_eq!((&scale["kind"], &scale["apiVersion"]), (&json!("Scale"), &json!("autoscaling/v1")));
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]["selector"]), (&json!(1), &json!("app=d")));
    let merge = "application/merge-patch+json";
    let scaled = server.patch(&path, merge, json!({"spec": {"replicas": 4}})).await.expect(200);
    assert_eq!(scaled["spec"]["replicas"], 4);
    let mut put = scaled;
    put["spec"]["replicas"] = json!(2);
    server.put(&path, put).await.expect(200);
    assert_eq!(server.get(&format!("{DEPLOYMENTS}/d")).await.expect(200)["spec"]["replicas"], 2);
    server.patch(&path, merge, json!({"spec": {"replicas": -1}})).await.expect_failure(422, "Invalid");
}

#[tokio::test]
async fn deletion_answers_with_a_status_or_the_object() {
    let server = Server::start().await;
    server.post(CONFIGMAPS, config_map("a", json!({}))).await.expect(201);
    let status = server.delete(&format!("{CONFIGMAPS}/a")).await.expect(200);
    assert_eq!((&status["kind"], &status["status"]), (&json!("Status"), &json!("Success")));
    assert_eq!((&status["details"]["name"], &status["details"]["kind"]), (&json!("a"), &json!("configmaps")));
    server.delete(&format!("{CONFIGMAPS}/a")).await.expect_failure(404, "NotFound");
    server.post(PODS, pod("p")).await.expect(201);
    let deleted = server.delete(&format!("{PODS}/p")).await.expect(200);
    assert_eq!((&deleted["kind"], &deleted["metadata"]["name"]), (&json!("Pod"), &json!("p")));
    // Nobody runs it, so nothing has to be waited for.
    server.get(&format!("{PODS}/p")).await.expect_failure(404, "NotFound");
}

#[tokio::test]
async fn a_running_pod_gets_its_grace() {
    let server = Server::start().await;
    let mut bound = pod("p");
    bound["spec"]["nodeName"] = json!("a");
    server.post(PODS, bound).await.expect(201);
    let path = format!("{PODS}/p");
    let deleted = server.delete(&path).await.expect(200);
    assert_eq!(deleted["metadata"]["deletionGracePeriodSeconds"], 30);
    assert!(deleted["metadata"]["deletionTimestamp"].is_string());
    server.get(&path).await.expect(200);
    let shorter = server.delete_with(&path, json!({"gracePeriodSeconds": 5})).await.expect(200);
    assert_eq!(shorter["metadata"]["deletionGracePeriodSeconds"], 5);
    server.delete_with(&path, json!({"kind": "DeleteOptions", "gracePeriodSeconds": 0})).await.expect(200);
    server.get(&path).await.expect_failure(404, "NotFound");
}

#[tokio::test]
async fn finalizers_hold_an_object_until_they_are_gone() {
    let server = Server::start().await;
    let path = format!("{CONFIGMAPS}/fin");
    let mut object = config_map("fin", json!({}));
    object["metadata"]["finalizers"] = json!(["x/y"]);
    server.post(CONFIGMAPS, object).await.expect(201);
    let deleting = server.delete(&path).await.expect(200);
    assert!(deleting["metadata"]["deletionTimestamp"].is_string());
    let merge = "application/merge-patch+json";
    let add = server.patch(&path, merge, json!({"metadata": {"finalizers": ["x/y", "z/z"]}})).await;
    assert!(
        add.expect_failure(422, "Invalid").starts_with(
            "ConfigMap \"fin\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted"
        )
    );
    server.patch(&path, merge, json!({"metadata": {"finalizers": null}})).await.expect(200);
    server.get(&path).await.expect_failure(404, "NotFound");
}

#[tokio::test]
async fn propagation_is_left_to_the_garbage_collector() {
    let server = Server::start().await;
    let path = format!("{DEPLOYMENTS}/d");
    for (policy, finalizer) in [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")] {
        server.post(DEPLOYMENTS, deployment("d", 1)).await.expect(201);
        let deleting = server.delete_with(&path, json!({"propagationPolicy": policy})).await.expect(200);
        assert_eq!(deleting["metadata"]["finalizers"], json!([finalizer]));
        let done = json!({"metadata": {"finalizers": null}});
        server.patch(&path, "application/merge-patch+json", done).await.expect(200);
        server.get(&path).await.expect_failure(404, "NotFound");
    }
}

#[tokio::test]
async fn a_deletion_can_be_about_one_uid_only() {
    let server = Server::start().await;
    server.post(CONFIGMAPS, config_map("a", json!({}))).await.expect(201);
    let options = json!({"preconditions": {"uid": "other"}});
    let message = server.delete_with(&format!("{CONFIGMAPS}/a"), options).await.expect_failure(409, "Conflict");
    assert!(message.contains("the UID in the precondition (other) does not match the UID in record ("), "{message}");
}

#[tokio::test]
async fn a_collection_is_deleted_by_selector() {
    let server = Server::start().await;
    for name in ["a", "b", "c"] {
        let mut object = config_map(name, json!({}));
        object["metadata"]["labels"] = json!({"keep": (name == "c").to_string()});
        server.post(CONFIGMAPS, object).await.expect(201);
    }
    let deleted = server.delete(&format!("{CONFIGMAPS}?labelSelector=keep%3Dfalse")).await.expect(200);
    assert_eq!(deleted["kind"], "ConfigMapList");
    assert_eq!(names(&deleted), ["a", "b"]);
    assert_eq!(names(&server.get(CONFIGMAPS).await.expect(200)), ["c"]);
}

#[tokio::test]
async fn a_list_in_chunks_is_of_one_revision() {
    let server = Server::start().await;
    for name in ["a", "b", "c", "d", "e"] {
        server.post(CONFIGMAPS, config_map(name, json!({}))).await.expect(201);
    }
    let first = server.get(&format!("{CONFIGMAPS}?limit=2")).await.expect(200);
    assert_eq!((names(&first), &first["metadata"]["remainingItemCount"]), (vec!["a", "b"], &json!(3)));
    server.delete(&format!("{CONFIGMAPS}/d")).await.expect(200);
    let selected = server.get(&format!("{CONFIGMAPS}?limit=2&labelSelector=!x")).await.expect(200);
    assert!(selected["metadata"]["continue"].is_string() && selected["metadata"]["remainingItemCount"].is_null());
    let exact = first["metadata"]["resourceVersion"].as_str().unwrap();
    let query = format!("resourceVersion={exact}&resourceVersionMatch=Exact");
    assert_eq!(names(&server.get(&format!("{CONFIGMAPS}?{query}")).await.expect(200)), ["a", "b", "c", "d", "e"]);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = server.get(&format!("{CONFIGMAPS}?limit=2&continue={token}")).await.expect(200);
    assert_eq!(names(&second), ["c", "d"]);
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    let token = second["metadata"]["continue"].as_str().unwrap();
    let third = server.get(&format!("{CONFIGMAPS}?limit=2&continue={token}")).await.expect(200);
    assert_eq!((names(&third), &third["metadata"]["continue"]), (vec!["e"], &Value::Null));
    let message = server.get(&format!("{CONFIGMAPS}?continue=%21")).await.expect_failure(400, "BadRequest");
    assert!(message.contains("continue key is not valid"), "{message}");
}

#[tokio::test]
async fn revisions_of_the_future_are_told_so() {
    let server = Server::start().await;
    for path in [
        format!("{CONFIGMAPS}?resourceVersion=99999&resourceVersionMatch=NotOlderThan"),
        format!("{CONFIGMAPS}?watch=1&resourceVersion=99999"),
    ] {
        let status = server.get(&path).await;
        let value = status.value();
        assert!(
            status.expect_failure(504, "Timeout").starts_with("Timeout: Too large resource version: 99999, current: ")
        );
        assert_eq!(value["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
        assert_eq!(value["details"]["retryAfterSeconds"], 1);
    }
}

#[tokio::test]
async fn selectors_select() {
    let server = Server::start().await;
    for name in ["a", "b"] {
        server.post(PODS, pod(name)).await.expect(201);
    }
    let list = |query: &'static str| {
        let path = format!("{PODS}?{query}");
        let server = &server;
        async move { server.get(&path).await }
    };
    assert_eq!(names(&list("labelSelector=app%3Da").await.expect(200)), ["a"]);
    assert_eq!(names(&list("labelSelector=app+in+(a,b),app!%3Da").await.expect(200)), ["b"]);
    assert_eq!(names(&list("fieldSelector=metadata.name%3Db").await.expect(200)), ["b"]);
    assert_eq!(names(&list("fieldSelector=spec.nodeName%3D").await.expect(200)), ["a", "b"]);
    let message = list("fieldSelector=spec.nothing%3D1").await.expect_failure(400, "BadRequest");
    assert_eq!(message, "field label not supported: spec.nothing");
    list("labelSelector=a+b").await.expect_failure(400, "BadRequest");
}

#[tokio::test]
async fn tables_and_metadata_on_request() {
    let server = Server::start().await;
    server.post(PODS, pod("p")).await.expect(201);
    let table = server.get_as(PODS, "application/json;as=Table;v=v1;g=meta.k8s.io,application/json").await.expect(200);
    assert_eq!((&table["kind"], &table["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
    let columns: Vec<&str> =
        table["columnDefinitions"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(columns[..5], ["Name", "Ready", "Status", "Restarts", "Age"]);
    assert_eq!(table["rows"][0]["cells"][0], "p");
    assert_eq!(table["rows"][0]["object"]["metadata"]["name"], "p");
    let metadata = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let list = server.get_as(PODS, metadata).await.expect(200);
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!((&list["items"][0]["kind"], &list["items"][0]["spec"]), (&json!("PartialObjectMetadata"), &Value::Null));
}

#[tokio::test]
async fn yaml_in_and_out() {
    let server = Server::start().await;
    let yaml = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers: [{name: c, image: x}]\n  volumes: [{name: v, configMap: {name: m, defaultMode: 0644}}]\n";
    let created = server.send(Method::POST, PODS, &[("content-type", "application/yaml")], yaml).await.expect(201);
    assert_eq!(created["spec"]["volumes"][0]["configMap"]["defaultMode"], 420);
    let answer = server.get_as(&format!("{PODS}/p"), "application/yaml").await;
    assert_eq!(answer.headers["content-type"], "application/yaml");
    assert!(answer.text().contains("kind: Pod\n"), "{}", answer.text());
}

#[tokio::test]
async fn protobuf_bodies_are_read() {
    let server = Server::start().await;
    // `kubectl create configmap c2 --from-literal=a=b`, as kubectl 1.32 sends it.
    let type_meta = b"\x0a\x02v1\x12\x09ConfigMap";
    let raw = b"\x0a\x04\x0a\x02c2\x12\x06\x0a\x01a\x12\x01b";
    let mut body = b"k8s\0\x0a".to_vec();
    body.push(type_meta.len() as u8);
    body.extend_from_slice(type_meta);
    body.extend_from_slice(&[0x12, raw.len() as u8]);
    body.extend_from_slice(raw);
    let headers = [("content-type", "application/vnd.kubernetes.protobuf")];
    let created = server.send(Method::POST, CONFIGMAPS, &headers, body).await.expect(201);
    assert_eq!((&created["metadata"]["name"], &created["data"]), (&json!("c2"), &json!({"a": "b"})));
}

#[tokio::test]
async fn a_namespace_that_ends_takes_no_more() {
    let server = Server::start().await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}});
    let created = server.post("/api/v1/namespaces", namespace).await.expect(201);
    assert_eq!(created["spec"]["finalizers"], json!(["kubernetes"]));
    let deleting = server.delete("/api/v1/namespaces/n").await.expect(200);
    assert_eq!(deleting["status"]["phase"], "Terminating");
    let answer = server.post("/api/v1/namespaces/n/configmaps", config_map("a", json!({}))).await;
    assert_eq!(
        answer.expect_failure(403, "Forbidden"),
        "configmaps \"a\" is forbidden: unable to create new content in namespace n because it is being terminated"
    );
    let mut finalized = deleting;
    finalized["spec"]["finalizers"] = json!([]);
    server.put("/api/v1/namespaces/n/finalize", finalized).await.expect(200);
    server.get("/api/v1/namespaces/n").await.expect_failure(404, "NotFound");
}

#[tokio::test]
async fn a_pod_is_bound_once() {
    let server = Server::start().await;
    server.post(PODS, pod("p")).await.expect(201);
    let binding = |name: &str| json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"kind": "Node", "name": "a"}});
    let path = format!("{PODS}/p/binding");
    server.post(&path, binding("p")).await.expect(201);
    let bound = server.get(&format!("{PODS}/p")).await.expect(200);
    assert_eq!(bound["spec"]["nodeName"], "a");
    let scheduled = &bound["status"]["conditions"][0];
    assert_eq!((&scheduled["type"], &scheduled["status"]), (&json!("PodScheduled"), &json!("True")));
    assert_eq!(
        server.post(&path, binding("p")).await.expect_failure(409, "Conflict"),
        "Operation cannot be fulfilled on pods/binding \"p\": pod p is already assigned to node \"a\""
    );
    server.post(&path, binding("other")).await.expect_failure(400, "BadRequest");
}

#[tokio::test]
async fn an_eviction_deletes() {
    let server = Server::start().await;
    server.post(PODS, pod("p")).await.expect(201);
    let eviction =
        json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p", "namespace": "default"}});
    let status = server.post(&format!("{PODS}/p/eviction"), eviction).await.expect(201);
    assert_eq!(status["status"], "Success");
    server.get(&format!("{PODS}/p")).await.expect_failure(404, "NotFound");
}

#[tokio::test]
async fn services_get_addresses_of_their_own() {
    let server = Server::start().await;
    let services = "/api/v1/namespaces/default/services";
    let service = |name: &str, kind: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"type": kind, "selector": {"app": name}, "ports": [{"port": 80}]},
        })
    };
    let first = server.post(services, service("a", "ClusterIP")).await.expect(201);
    let second = server.post(services, service("b", "NodePort")).await.expect(201);
    let (one, two) = (first["spec"]["clusterIP"].as_str().unwrap(), second["spec"]["clusterIP"].as_str().unwrap());
    assert!(one.starts_with("10.43.") && two.starts_with("10.43.") && one != two, "{one} {two}");
    let port = second["spec"]["ports"][0]["nodePort"].as_u64().unwrap();
    assert!((30000..=32767).contains(&port), "{port}");
    let mut taken = service("c", "NodePort");
    taken["spec"]["ports"][0]["nodePort"] = json!(port);
    server.post(services, taken).await.expect_failure(422, "Invalid");
}

#[tokio::test]
async fn revisions_of_the_past_have_expired() {
    let server = Server::over(MemoryStore::with_history(2));
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}});
    server.post("/api/v1/namespaces", namespace).await.expect(201);
    for name in ["a", "b"] {
        server.post(CONFIGMAPS, config_map(name, json!({}))).await.expect(201);
    }
    let page = server.get(&format!("{CONFIGMAPS}?limit=1")).await.expect(200);
    let token = page["metadata"]["continue"].as_str().unwrap();
    for name in ["c", "d", "e"] {
        server.post(CONFIGMAPS, config_map(name, json!({}))).await.expect(201);
    }
    server.get(&format!("{CONFIGMAPS}?limit=1&continue={token}")).await.expect_failure(410, "Expired");
    let exact = server.get(&format!("{CONFIGMAPS}?resourceVersion=2&resourceVersionMatch=Exact")).await;
    assert_eq!(exact.expect_failure(410, "Expired"), "The resourceVersion for the provided list is too old.");
    let watch = server.get(&format!("{CONFIGMAPS}?watch=1&resourceVersion=2")).await.expect(200);
    assert_eq!((&watch["type"], &watch["object"]["code"]), (&json!("ERROR"), &json!(410)));
    let message = watch["object"]["message"].as_str().unwrap();
    assert!(message.starts_with("too old resource version: 2 ("), "{message}");
}

#[tokio::test]
async fn nonsense_is_refused_by_every_kind() {
    let server = Server::start().await;
    let wrong = [json!("x"), json!(1), json!([]), json!([1]), json!({"a": []}), json!(true)];
    // What is asked and not stored makes do with less.
    for kind in kind::all().iter().filter(|kind| kind.verbs.contains(&"get")) {
        let root = if kind.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", kind.group) };
        let namespace = if kind.namespaced { "/namespaces/default" } else { "" };
        let path = format!("{root}/{}{namespace}/{}", kind.version, kind.plural);
        for field in ["metadata", "spec", "status", "data", "kind", "apiVersion", "subsets", "ports", "endpoints"] {
            for value in &wrong {
                let answer = server.post(&path, json!({field: value})).await;
                assert!((400..500).contains(&answer.code.as_u16()), "{path} {field} {value}: {}", answer.text());
            }
        }
        for value in &wrong {
            let patch = json!({"metadata": {"name": value}, "spec": value});
            let answer = server.patch(&format!("{path}/x"), "application/apply-patch+yaml", patch).await;
            assert!((400..500).contains(&answer.code.as_u16()), "{path} {value}: {}", answer.text());
        }
    }
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}
