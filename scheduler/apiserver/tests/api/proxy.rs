//! `proxy` to pods and services.

use http::Method;
use serde_json::json;

use crate::support::{PODS, Server};

#[tokio::test]
async fn any_method_reaches_the_pod_and_comes_back() {
    let server = Server::start().await;
    server.run_pod().await;
    let path = format!("{PODS}/web:80/proxy/a%20b/?watch=1");
    let answer = server.get(&path).await;
    assert_eq!(answer.headers["x-pod"], "web");
    let forwarded = format!("Some(\"{PODS}/web:80/proxy/a%20b/\")");
    assert_eq!(answer.text(), format!("GET /a%20b/?watch=1 [{forwarded}, None, None, None]\n"));
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
        let headers = [("authorization", "Bearer x"), ("connection", "x-own"), ("x-own", "1")];
        let answer = server.send(method.clone(), &format!("{PODS}/http:web:80/proxy/"), &headers, "body").await;
        let text = answer.text();
        assert!(text.starts_with(&format!("{method} / [Some")), "{text}");
        assert!(text.ends_with(", None, None, None]\nbody"), "{text}");
    }
}

#[tokio::test]
async fn a_pod_does_not_learn_as_whom_the_client_acts() {
    let server = Server::start().await;
    server.run_pod().await;
    let headers = [
        ("impersonate-user", "jane"),
        ("impersonate-group", "system:masters"),
        ("impersonate-uid", "1"),
        ("impersonate-extra-team", "a"),
        ("x-remote-user", "admin"),
        ("x-remote-group", "system:masters"),
        ("x-other", "stays"),
    ];
    let answer = server.send(Method::GET, &format!("{PODS}/web:80/proxy/headers"), &headers, "").await;
    let text = answer.text();
    assert!(text.contains("x-other: stays\n"), "{text}");
    assert!(!text.contains("impersonate-") && !text.contains("x-remote-"), "{text}");
}

#[tokio::test]
async fn redirects_stay_below_the_proxy() {
    let server = Server::start().await;
    server.run_pod().await;
    let location = |answer: crate::support::Answer, code: u16| {
        assert_eq!(answer.code, code);
        answer.headers["location"].to_str().unwrap().to_owned()
    };
    let answer = server.get(&format!("{PODS}/web:80/proxy/redirect")).await;
    assert_eq!(location(answer, 302), format!("{PODS}/web:80/proxy/there"));
    let answer = server.get(&format!("{PODS}/web:80/proxy?a=b")).await;
    assert_eq!(location(answer, 301), format!("{PODS}/web:80/proxy/?a=b"));
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_unavailable() {
    let server = Server::start().await;
    server.run_pod().await;
    assert_eq!(
        server.get(&format!("{PODS}/web:9/proxy/")).await.expect_failure(503, "ServiceUnavailable"),
        "error trying to reach service: nothing listens on port 9"
    );
    server.get(&format!("{PODS}/none/proxy/")).await.expect_failure(404, "NotFound");
    server.get("/api/v1/nodes/n/proxy/logs").await.expect_failure(400, "BadRequest");
}

#[tokio::test]
async fn a_service_leads_to_a_ready_replica() {
    let server = Server::start().await;
    server.run_pod().await;
    let services = "/api/v1/namespaces/default/services";
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
        "spec": {"ports": [{"name": "http", "port": 8000}]},
    });
    server.post(services, service).await.expect(201);
    let path = format!("{services}/s:8000/proxy/x");
    assert_eq!(
        server.get(&path).await.expect_failure(503, "ServiceUnavailable"),
        "no endpoints available for service \"s\""
    );
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "s-1", "labels": {"kubernetes.io/service-name": "s"}},
        "ports": [{"name": "http", "port": 80}],
        "endpoints": [{
            "addresses": ["10.64.0.1"], "conditions": {"ready": true}, "targetRef": {"kind": "Pod", "name": "web"},
        }],
    });
    server.post("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice).await.expect(201);
    assert!(server.get(&path).await.text().starts_with("GET /x "));
}
