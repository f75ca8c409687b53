//! What is wrong with a request, in the words and with the headers of a kube-apiserver.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, CONFIGMAPS, DEPLOYMENTS, PODS, Server, config_map, deployment, pod};

const JSON: (&str, &str) = ("content-type", "application/json");
const YAML: (&str, &str) = ("content-type", "application/yaml");

async fn post(server: &Server, path: &str, header: (&str, &str), body: &str) -> Answer {
    server.send(Method::POST, path, &[header], body.to_owned()).await
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let server = Server::start().await;
    for path in [CONFIGMAPS, "/version", "/healthz", "/apis/nothing/v1", "/api/v1/things", "/openapi/v2"] {
        let answer = server.get(path).await;
        assert_eq!(answer.headers["cache-control"], "no-cache, private", "{path}");
        assert_eq!(answer.headers["audit-id"].len(), 36, "{path}");
    }
    let long = "x".repeat(100);
    let answer = server.send(Method::GET, CONFIGMAPS, &[("audit-id", &long)], "").await;
    assert_eq!(answer.headers["audit-id"], long[..64]);
    let missing = server.get("/apis/nothing/v1").await;
    assert_eq!(missing.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(missing.headers["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn bodies_that_cannot_be_read_say_why() {
    let server = Server::start().await;
    for (body, expected) in [
        ("", "unexpected end of JSON input (<empty>)"),
        (
            "{kind: ConfigMap, metadata: {name: a}}",
            "invalid character 'k' looking for beginning of object key string ({kind: ConfigMap, metadata: {n ...)",
        ),
        ("kind", "invalid character 'k' looking for beginning of value (6b696e64)"),
    ] {
        let message = post(&server, CONFIGMAPS, JSON, body).await.expect_failure(400, "BadRequest");
        let beginning = "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind";
        assert_eq!(message, format!("{beginning}; json parse error: {expected}"));
    }
    let yaml = post(&server, CONFIGMAPS, YAML, "a: b: c").await.expect_failure(400, "BadRequest");
    let expected =
        "the object provided is unrecognized (must be of type ConfigMap): error converting YAML to JSON: yaml: ";
    assert!(yaml.starts_with(expected), "{yaml}");
    let protobuf = ("content-type", "application/vnd.kubernetes.protobuf");
    post(&server, CONFIGMAPS, protobuf, "k8s").await.expect_failure(400, "BadRequest");
    for (media_type, accepted) in [
        ("application/xml", "application/json, application/yaml, application/vnd.kubernetes.protobuf"),
        ("application/merge-patch+json", "application/json, application/yaml, application/vnd.kubernetes.protobuf"),
    ] {
        let answer = post(&server, CONFIGMAPS, ("content-type", media_type), "{}").await;
        assert_eq!(
            answer.expect_failure(415, "UnsupportedMediaType"),
            format!("the body of the request was in an unknown format - accepted media types include: {accepted}")
        );
    }
}

#[tokio::test]
async fn a_field_that_is_there_twice_is_told() {
    let server = Server::start().await;
    let twice = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"data":{"k":"1","k":"2"},"foo":1}"#;
    let strict = post(&server, &format!("{CONFIGMAPS}?fieldValidation=Strict"), JSON, twice).await;
    assert_eq!(
        strict.expect_failure(400, "BadRequest"),
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: duplicate field \"data.k\", unknown field \"foo\""
    );
    let ignored = post(&server, &format!("{CONFIGMAPS}?fieldValidation=Ignore&dryRun=All"), JSON, twice).await;
    assert!(ignored.warnings().is_empty());
    let warned = post(&server, CONFIGMAPS, JSON, twice).await;
    let mut warnings = warned.warnings();
    warnings.sort_unstable();
    assert_eq!(warnings, ["299 - \"duplicate field \\\"data.k\\\"\"", "299 - \"unknown field \\\"foo\\\"\""]);
    assert_eq!(warned.expect(201)["data"]["k"], "2");
    let yaml = "kind: ConfigMap\nmetadata: {name: b}\ndata:\n  k: '1'\n  k: '2'\n";
    let warned = post(&server, CONFIGMAPS, YAML, yaml).await;
    assert_eq!(warned.warnings(), ["299 - \"duplicate field \\\"data.k\\\"\""]);
    let merge = [("content-type", "application/merge-patch+json")];
    let patch = r#"{"data":{"k":"3","k":"4"}}"#;
    let path = format!("{CONFIGMAPS}/a?fieldValidation=Strict");
    let strict = server.send(Method::PATCH, &path, &merge, patch).await;
    let message = strict.expect_failure(422, "Invalid");
    assert!(message.contains("patch: Invalid value: ") && message.contains("duplicate field \"data.k\""), "{message}");
}

#[tokio::test]
async fn a_new_object_has_no_version() {
    let server = Server::start().await;
    let mut object = config_map("a", json!({}));
    object["metadata"]["resourceVersion"] = json!("5");
    let message = server.post(CONFIGMAPS, object.clone()).await.expect_failure(400, "BadRequest");
    assert_eq!(message, "resourceVersion should not be set on objects to be created");
    object["metadata"]["resourceVersion"] = json!("");
    server.post(CONFIGMAPS, object).await.expect(201);
}

#[tokio::test]
async fn methods_that_a_path_does_not_have() {
    let server = Server::start().await;
    server.post(CONFIGMAPS, config_map("a", json!({}))).await.expect(201);
    let named = format!("{CONFIGMAPS}/a");
    let log = format!("{PODS}/p/log");
    for (method, path) in [
        (Method::PUT, CONFIGMAPS),
        (Method::PATCH, CONFIGMAPS),
        (Method::POST, named.as_str()),
        (Method::HEAD, named.as_str()),
        (Method::TRACE, named.as_str()),
        (Method::POST, log.as_str()),
        (Method::POST, "/api/v1/watch/pods"),
        (Method::POST, "/api/v1/pods"),
        (Method::DELETE, "/api/v1/pods"),
    ] {
        let answer = server.send(method.clone(), path, &[JSON], "{}").await;
        if method == Method::HEAD {
            assert_eq!(answer.code, 405, "{path}");
            continue;
        }
        let status = answer.expect(405);
        assert_eq!(status["message"], "the server does not allow this method on the requested resource");
        assert_eq!(
            (&status["reason"], &status["details"]),
            (&json!("MethodNotAllowed"), &json!({})),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn options_are_checked() {
    let server = Server::start().await;
    let get = |query: &'static str| {
        let server = &server;
        async move { server.get(&format!("{CONFIGMAPS}?{query}")).await }
    };
    let message = get("limit=x").await.expect_failure(400, "BadRequest");
    assert_eq!(message, "strconv.ParseInt: parsing \"x\": invalid syntax");
    let message = get("continue=e30&resourceVersion=5").await.expect_failure(400, "BadRequest");
    assert_eq!(
        message,
        "invalid continue token: continue key is not valid: server does not recognize this encoded version "
    );
    let message = get("watch=1&sendInitialEvents=true").await.expect_failure(422, "Invalid");
    assert_eq!(
        message,
        "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    );
    let manager = "x".repeat(129);
    let answer = server.post(&format!("{CONFIGMAPS}?fieldManager={manager}"), config_map("a", json!({}))).await;
    assert_eq!(
        answer.expect_failure(422, "Invalid"),
        "CreateOptions.meta.k8s.io \"\" is invalid: fieldManager: Too long: may not be more than 128 bytes"
    );
    let answer = server.delete_with(&format!("{CONFIGMAPS}/a"), json!({"propagationPolicy": "Sideways"})).await;
    assert!(answer.expect_failure(422, "Invalid").contains("propagationPolicy: Unsupported value: \"Sideways\""));
}

#[tokio::test]
async fn types_are_checked_in_every_part() {
    let server = Server::start().await;
    server.post(PODS, pod("p")).await.expect(201);
    server.post(DEPLOYMENTS, deployment("d", 1)).await.expect(201);
    let merge = "application/merge-patch+json";
    let path = format!("{DEPLOYMENTS}/d/status");
    let wrong = server.patch(&path, merge, json!({"status": {"replicas": "three"}})).await;
    let message = wrong.expect_failure(422, "Invalid");
    let words = "json: cannot unmarshal string into Go struct field DeploymentStatus.status.replicas of type int32";
    assert!(message.starts_with(" \"\" is invalid: patch: Invalid value: ") && message.ends_with(words), "{message}");
    let unknown = server.patch(&format!("{path}?fieldValidation=Strict"), merge, json!({"status": {"x": 1}})).await;
    assert!(unknown.expect_failure(422, "Invalid").contains("unknown field \"status.x\""));
    let before = server.get(&path).await.expect(200);
    let metadata = json!({"metadata": {"uid": before["metadata"]["uid"], "name": "d", "ownerReferences": [], "labels": {"x": "y"}}});
    let after = server.patch(&path, merge, metadata).await.expect(200);
    assert_eq!(after["metadata"]["labels"], before["metadata"]["labels"]);
    let wrong = server.patch(&path, merge, json!({"metadata": {"uid": "other"}})).await;
    wrong.expect_failure(409, "Conflict");
}

#[tokio::test]
async fn an_expired_token_is_replaced() {
    let server = Server::forgetful().await;
    let page = server.get(&format!("{CONFIGMAPS}?limit=1")).await.expect(200);
    let token = page["metadata"]["continue"].as_str().unwrap().to_owned();
    for name in ["f", "g", "h"] {
        server.post(CONFIGMAPS, config_map(name, json!({}))).await.expect(201);
    }
    let expired = server.get(&format!("{CONFIGMAPS}?limit=1&continue={token}")).await;
    let token = expired.value()["metadata"]["continue"].as_str().unwrap().to_owned();
    let message = expired.expect_failure(410, "Expired");
    assert!(message.contains("Continuing with the provided token results in an inconsistent list"), "{message}");
    let rest = server.get(&format!("{CONFIGMAPS}?continue={token}")).await.expect(200);
    let names: Vec<&Value> = rest["items"].as_array().unwrap().iter().map(|item| &item["metadata"]["name"]).collect();
    assert_eq!(names, ["b", "c", "d", "e", "f", "g", "h"]);
    assert_eq!(rest["metadata"]["continue"], Value::Null);
}
