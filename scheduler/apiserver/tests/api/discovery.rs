//! What clients learn about the API.

use serde_json::json;

use crate::support::Server;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

#[tokio::test]
async fn old_clients_walk_the_groups() {
    let server = Server::start().await;
    assert_eq!(server.get("/api").await.expect(200)["versions"], json!(["v1"]));
    let groups = server.get("/apis").await.expect(200);
    let apps = groups["groups"].as_array().unwrap().iter().find(|group| group["name"] == "apps").unwrap();
    assert_eq!(apps["preferredVersion"]["groupVersion"], "apps/v1");
    assert_eq!(server.get("/apis/apps").await.expect(200)["kind"], "APIGroup");
    let core = server.get("/api/v1").await.expect(200);
    let find =
        |name: &str| core["resources"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    let pods = find("pods");
    assert_eq!((&pods["singularName"], &pods["shortNames"]), (&json!("pod"), &json!(["po"])));
    assert_eq!(pods["categories"], json!(["all"]));
    assert_eq!(find("pods/eviction")["group"], "policy");
    assert_eq!(find("pods/log")["verbs"], json!(["get"]));
    let apps = server.get("/apis/apps/v1").await.expect(200);
    let scale = apps["resources"].as_array().unwrap().iter().find(|one| one["name"] == "deployments/scale").unwrap();
    assert_eq!((&scale["group"], &scale["kind"]), (&json!("autoscaling"), &json!("Scale")));
    assert_eq!(server.get("/apis/nothing/v1").await.code, 404);
}

#[tokio::test]
async fn new_clients_ask_once() {
    let server = Server::start().await;
    let answer = server.get_as("/apis", AGGREGATED).await;
    assert_eq!(answer.headers["content-type"], "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    let list = answer.expect(200);
    assert_eq!(list["apiVersion"], "apidiscovery.k8s.io/v2");
    let apps = list["items"].as_array().unwrap().iter().find(|item| item["metadata"]["name"] == "apps").unwrap();
    let resources = apps["versions"][0]["resources"].as_array().unwrap();
    let deployments = resources.iter().find(|one| one["resource"] == "deployments").unwrap();
    assert_eq!((&deployments["scope"], &deployments["singularResource"]), (&json!("Namespaced"), &json!("deployment")));
    assert_eq!(deployments["subresources"][0]["subresource"], "status");
    let older = AGGREGATED.split_once(',').unwrap().1;
    let list = server.get_as("/api", older).await.expect(200);
    assert_eq!(list["apiVersion"], "apidiscovery.k8s.io/v2beta1");
}

#[tokio::test]
async fn openapi_says_that_the_server_validates() {
    let server = Server::start().await;
    let index = server.get("/openapi/v3").await.expect(200);
    let path = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    let document = server.get(&path).await.expect(200);
    let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Deployment");
    let parameters = patch["parameters"].as_array().unwrap();
    assert!(parameters.iter().any(|parameter| parameter["name"] == "fieldValidation"));
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"][0]["kind"], "Deployment");
    assert!(schemas["io.k8s.api.core.v1.PodSpec"].is_object());
}

#[tokio::test]
async fn every_openapi_document_is_whole() {
    let server = Server::start().await;
    let index = server.get("/openapi/v3").await.expect(200);
    for entry in index["paths"].as_object().unwrap().values() {
        let text = server.get(entry["serverRelativeURL"].as_str().unwrap()).await.text();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        for part in text.split("\"#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }
}

#[tokio::test]
async fn openapi_v2_is_protobuf_without_schemas() {
    let server = Server::start().await;
    let answer = server.get_as("/openapi/v2", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf").await;
    assert_eq!(
        (answer.code.as_u16(), &answer.headers["content-type"]),
        (200, &"application/octet-stream".parse().unwrap())
    );
    assert!(answer.bytes.starts_with(b"\x0a\x032.0"));
    assert!(answer.bytes.windows(6).any(|window| window == b"dryRun"));
}

#[tokio::test]
async fn the_version_is_kubernetes_1_34() {
    let server = Server::start().await;
    let version = server.get("/version").await.expect(200);
    assert_eq!((&version["major"], &version["minor"]), (&json!("1"), &json!("34")));
    assert!(version["gitVersion"].as_str().unwrap().starts_with("v1.34."));
}
