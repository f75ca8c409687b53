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
async fn openapi_v2_is_protobuf_for_those_who_ask_for_it() {
    let server = Server::start().await;
    let answer = server.get_as("/openapi/v2", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf").await;
    assert_eq!(
        (answer.code.as_u16(), &answer.headers["content-type"]),
        (200, &"application/octet-stream".parse().unwrap())
    );
    let has = |text: &str| answer.bytes.windows(text.len()).any(|window| window == text.as_bytes());
    for text in ["2.0", "dryRun", "x-kubernetes-patch-merge-key", "io.k8s.api.core.v1.PodSpec"] {
        assert!(has(text), "{text}");
    }
}

#[tokio::test]
async fn openapi_v2_is_json_for_others() {
    let server = Server::start().await;
    let document = server.get_as("/openapi/v2", "application/json").await.expect(200);
    let definitions = &document["definitions"];
    let pod = &definitions["io.k8s.api.core.v1.Pod"];
    assert!(pod["description"].as_str().unwrap().starts_with("Pod is a collection of containers"));
    let gvk = json!([{"group": "", "version": "v1", "kind": "Pod"}]);
    assert_eq!(pod["x-kubernetes-group-version-kind"], gvk);
    assert_eq!(pod["properties"]["spec"]["$ref"], "#/definitions/io.k8s.api.core.v1.PodSpec");
    assert_eq!(definitions["io.k8s.api.core.v1.PodList"]["required"], json!(["items"]));
    let either = &definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"];
    assert_eq!((&either["type"], &either["format"]), (&json!("string"), &json!("int-or-string")));
    let paths = &document["paths"];
    let log = &paths["/api/v1/namespaces/{namespace}/pods/{name}/log"]["get"];
    assert_eq!(log["operationId"], "readCoreV1NamespacedPodLog");
    assert!(log["parameters"].as_array().unwrap().iter().any(|parameter| parameter["name"] == "tailLines"));
    let scale = &paths["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"]["put"];
    assert_eq!(scale["parameters"][0]["schema"]["$ref"], "#/definitions/io.k8s.api.autoscaling.v1.Scale");
    assert_eq!(scale["tags"], json!(["apps_v1"]));
    let all = &paths["/api/v1/pods"]["get"];
    assert_eq!(all["operationId"], "listCoreV1PodForAllNamespaces");
    let gone = &paths["/api/v1/namespaces/{namespace}/pods"]["delete"];
    assert_eq!(gone["operationId"], "deleteCoreV1CollectionNamespacedPod");
    let text = document.to_string();
    for part in text.split("\"#/definitions/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(definitions[name].is_object(), "{name}");
    }
}

#[tokio::test]
async fn openapi_documents_are_kept_by_their_hash() {
    let server = Server::start().await;
    let index = server.get("/openapi/v3").await.expect(200);
    let address = index["paths"]["api/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    let document = server.get(&address).await;
    assert_eq!(document.headers["cache-control"], "public, immutable");
    let tag = document.headers["etag"].to_str().unwrap().to_owned();
    let headers = [("if-none-match", tag.as_str())];
    let again = server.send(http::Method::GET, &address, &headers, "").await;
    assert_eq!((again.code.as_u16(), again.bytes.len()), (304, 0));
    let moved = server.get("/openapi/v3/api/v1?hash=OLD").await;
    assert_eq!((moved.code.as_u16(), &moved.headers["location"]), (301, &address.parse().unwrap()));
    let v2 = server.get_as("/openapi/v2", "application/json").await;
    let tag = v2.headers["etag"].to_str().unwrap().to_owned();
    let headers = [("if-none-match", tag.as_str()), ("accept", "application/json")];
    assert_eq!(server.send(http::Method::GET, "/openapi/v2", &headers, "").await.code, 304);
    assert_eq!(server.get("/openapi/v3/apis/nothing/v1").await.code, 404);
}

#[tokio::test]
async fn fields_are_explained() {
    let server = Server::start().await;
    let document = server.get("/openapi/v3/apis/apps/v1").await.expect(200);
    let schemas = &document["components"]["schemas"];
    let replicas = &schemas["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["replicas"];
    assert!(replicas["description"].as_str().unwrap().starts_with("Number of desired pods."));
    let strategy = &schemas["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["strategy"];
    assert_eq!(strategy["x-kubernetes-patch-strategy"], "retainKeys");
    assert_eq!(strategy["allOf"][0]["$ref"], "#/components/schemas/io.k8s.api.apps.v1.DeploymentStrategy");
    let kinds = schemas.as_object().unwrap().iter().filter(|(name, _)| name.starts_with("io.k8s.api."));
    let undescribed: Vec<&String> =
        kinds.filter(|(_, schema)| schema["description"].is_null()).map(|(name, _)| name).collect();
    assert!(undescribed.is_empty(), "{undescribed:?}");
    assert!(schemas["io.k8s.api.apps.v1.DeploymentList"]["properties"]["items"].is_object());
    assert!(schemas["io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"].is_object());
}

#[tokio::test]
async fn the_version_is_kubernetes_1_34() {
    let server = Server::start().await;
    let version = server.get("/version").await.expect(200);
    assert_eq!((&version["major"], &version["minor"]), (&json!("1"), &json!("34")));
    assert!(version["gitVersion"].as_str().unwrap().starts_with("v1.34."));
}

#[tokio::test]
async fn a_slash_at_the_end_makes_no_difference() {
    let server = Server::start().await;
    for path in ["/version", "/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1"] {
        let with = server.get(&format!("{path}/")).await.expect(200);
        assert_eq!(with, server.get(path).await.expect(200), "{path}");
    }
}
