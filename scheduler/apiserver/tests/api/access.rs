//! Who gets in, and how a machine joins.

use http::Method;
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;

use crate::support::{CONFIGMAPS, PODS, Server, pod};

#[tokio::test]
async fn without_a_certificate_only_health_and_version_answer() {
    let server = Server::start().await;
    for path in ["/healthz", "/livez", "/readyz", "/version", "/version/", "/cacerts"] {
        assert_eq!(server.anonymous().send(Method::GET, path, &[], "").await.code, 200, "{path}");
    }
    for path in ["/api", "/apis", "/openapi/v2", "/openapi/v3", CONFIGMAPS, "/v2/", "/metrics", "/", "/healthz/"] {
        let answer = server.anonymous().send(Method::GET, path, &[], "").await;
        assert_eq!(answer.expect_failure(401, "Unauthorized"), "Unauthorized", "{path}");
    }
}

#[tokio::test]
async fn a_stranger_is_forbidden() {
    let server = Server::start().await;
    let answer = server.as_user("eve", &[]).send(Method::GET, CONFIGMAPS, &[], "").await;
    assert_eq!(
        answer.expect_failure(403, "Forbidden"),
        "configmaps is forbidden: User \"eve\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\""
    );
}

#[tokio::test]
async fn a_node_registers_only_itself() {
    let server = Server::start().await;
    let node = server.as_user("system:node:a", &["system:nodes"]);
    let object = |name: &str| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
    node.json(Method::POST, "/api/v1/nodes", object("a")).await.expect(201);
    node.json(Method::POST, "/api/v1/nodes", object("b")).await.expect_failure(403, "Forbidden");
    let status = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    let headers = [("content-type", "application/merge-patch+json")];
    node.send(Method::PATCH, "/api/v1/nodes/a/status", &headers, status.to_string()).await.expect(200);
}

#[tokio::test]
async fn a_node_changes_nothing_but_annotations_of_its_pods() {
    let server = Server::start().await;
    let mut bound = pod("p");
    bound["spec"]["nodeName"] = json!("a");
    server.post(PODS, bound).await.expect(201);
    let headers = [("content-type", "application/merge-patch+json")];
    let path = format!("{PODS}/p");
    let patch = |user: &'static str, patch: serde_json::Value| {
        let (server, path) = (&server, path.clone());
        async move {
            let node = server.as_user(user, &["system:nodes"]);
            node.send(Method::PATCH, &path, &headers, patch.to_string()).await
        }
    };
    let annotate = json!({"metadata": {"annotations": {"wasmk.dev/app-protocol": "http"}}});
    patch("system:node:a", annotate.clone()).await.expect(200);
    patch("system:node:b", annotate).await.expect_failure(403, "Forbidden");
    let relabel = json!({"metadata": {"labels": {"app": "stolen"}}});
    patch("system:node:a", relabel.clone()).await.expect_failure(403, "Forbidden");
    let node = server.as_user("system:node:a", &["system:nodes"]);
    let path = format!("{path}/status");
    let status = |body: serde_json::Value| {
        let (node, path) = (&node, &path);
        async move { node.send(Method::PATCH, path, &headers, body.to_string()).await }
    };
    status(json!({"status": {"message": "well"}})).await.expect(200);
    status(relabel).await.expect_failure(403, "Forbidden");
    status(json!({"metadata": {"finalizers": ["a.b/c"]}})).await.expect_failure(403, "Forbidden");
}

#[tokio::test]
async fn a_node_says_of_itself_what_is_its_own_to_say() {
    let server = Server::start().await;
    let node = server.as_user("system:node:a", &["system:nodes"]);
    let object = |labels: serde_json::Value, spec: serde_json::Value| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", "labels": labels}, "spec": spec});
    for (labels, spec) in [
        (json!({"node-restriction.kubernetes.io/secure": "yes"}), json!({})),
        (json!({}), json!({"podCIDR": "10.64.0.0/20"})),
    ] {
        node.json(Method::POST, "/api/v1/nodes", object(labels, spec)).await.expect_failure(403, "Forbidden");
    }
    let labels = json!({"kubernetes.io/hostname": "a", "topology.kubernetes.io/zone": "z", "example.com/disk": "ssd"});
    let taint = json!({"key": "own", "effect": "NoSchedule"});
    node.json(Method::POST, "/api/v1/nodes", object(labels, json!({"taints": [taint]}))).await.expect(201);
    let headers = [("content-type", "application/merge-patch+json")];
    for (path, patch, code) in [
        ("/api/v1/nodes/a", json!({"metadata": {"labels": {"example.com/disk": null}}}), 200),
        ("/api/v1/nodes/a", json!({"metadata": {"labels": {"node-role.kubernetes.io/admin": ""}}}), 403),
        ("/api/v1/nodes/a/status", json!({"metadata": {"labels": {"node-role.kubernetes.io/admin": ""}}}), 403),
        ("/api/v1/nodes/a", json!({"spec": {"taints": null}}), 403),
        ("/api/v1/nodes/a", json!({"spec": {"unschedulable": true}}), 403),
    ] {
        assert_eq!(node.send(Method::PATCH, path, &headers, patch.to_string()).await.code, code, "{path} {patch}");
    }
}

#[tokio::test]
async fn applying_what_is_not_there_needs_the_right_to_create() {
    let server = Server::start().await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let grant = |name: &'static str, verbs: serde_json::Value| {
        let server = &server;
        async move {
            let rule = json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs});
            let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                "metadata": {"name": name}, "rules": [rule]});
            server.post(&format!("{rbac}/roles"), role).await.expect(201);
            let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": {"name": name},
                "subjects": [{"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}],
                "roleRef": {"kind": "Role", "name": name, "apiGroup": "rbac.authorization.k8s.io"}});
            server.post(&format!("{rbac}/rolebindings"), binding).await.expect(201);
        }
    };
    grant("patcher", json!(["patch"])).await;
    grant("maker", json!(["patch", "create"])).await;
    let apply = |user: &'static str| {
        let server = &server;
        async move {
            let config =
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}, "data": {"a": user}});
            let headers = [("content-type", "application/apply-patch+yaml")];
            let path = format!("{CONFIGMAPS}/new?fieldManager=x");
            server.as_user(user, &[]).send(Method::PATCH, &path, &headers, config.to_string()).await
        }
    };
    assert_eq!(
        apply("patcher").await.expect_failure(403, "Forbidden"),
        "configmaps \"new\" is forbidden: User \"patcher\" cannot create resource \"configmaps\" in API group \"\" in the namespace \"default\""
    );
    apply("maker").await.expect(201);
    apply("patcher").await.expect(200);
}

#[tokio::test]
async fn a_role_too_large_to_check_is_refused() {
    let server = Server::start().await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let rule = json!({"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["create"]});
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "maker"}, "rules": [rule]});
    server.post(&format!("{rbac}/roles"), role.clone()).await.expect(201);
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "maker"},
        "subjects": [{"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "Role", "name": "maker", "apiGroup": "rbac.authorization.k8s.io"}});
    server.post(&format!("{rbac}/rolebindings"), binding).await.expect(201);
    let many: Vec<String> = (0..300).map(|nth| format!("x{nth}")).collect();
    let mut huge = role;
    huge["metadata"]["name"] = json!("huge");
    huge["rules"] = json!([{"apiGroups": many, "resources": many, "verbs": many}]);
    let answer = server.as_user("eve", &[]).json(Method::POST, &format!("{rbac}/roles"), huge).await;
    let message = answer.expect_failure(403, "Forbidden");
    assert!(message.contains("27000000 combinations"), "{message}");
}

#[tokio::test]
async fn a_node_lists_and_watches_only_what_its_pods_name() {
    let server = Server::start().await;
    for name in ["used", "unused"] {
        let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        server.post(CONFIGMAPS, config).await.expect(201);
    }
    let mut bound = pod("p");
    bound["spec"]["nodeName"] = json!("a");
    bound["spec"]["volumes"] = json!([{"name": "v", "configMap": {"name": "used"}}]);
    server.post(PODS, bound).await.expect(201);
    let list = |user: &'static str, query: &'static str| {
        let server = &server;
        async move {
            let node = server.as_user(user, &["system:nodes"]);
            node.send(Method::GET, &format!("{CONFIGMAPS}{query}"), &[], "").await
        }
    };
    let found = list("system:node:a", "?fieldSelector=metadata.name%3Dused").await.expect(200);
    assert_eq!(found["items"][0]["metadata"]["name"], "used");
    let watch = list("system:node:a", "?fieldSelector=metadata.name%3Dused&watch=1&timeoutSeconds=1").await;
    assert_eq!(watch.code, 200);
    for (user, query) in [
        ("system:node:b", "?fieldSelector=metadata.name%3Dused"),
        ("system:node:a", "?fieldSelector=metadata.name%3Dunused"),
        ("system:node:a", "?fieldSelector=metadata.name!%3Dunused"),
        ("system:node:a", "?fieldSelector=&fieldSelector=metadata.name%3Dused"),
        ("system:node:a", ""),
    ] {
        assert_eq!(list(user, query).await.code, 403, "{user} {query}");
    }
}

#[tokio::test]
async fn the_registry_gets_its_own_paths() {
    let server = Server::start().await;
    assert_eq!(server.get("/v2/hello/manifests/v1").await.text(), "registry");
    let node = server.as_user("system:node:a", &["system:nodes"]);
    assert_eq!(node.send(Method::GET, "/v2/hello/manifests/v1", &[], "").await.text(), "registry");
    assert_eq!(node.send(Method::PUT, "/v2/hello/manifests/v1", &[], "").await.code, 403);
}

#[tokio::test]
async fn a_machine_joins_with_the_secret_and_its_own_key() {
    let server = Server::start().await;
    let token = server.join_token.to_string();
    let secret = token.rsplit('.').next().unwrap();
    let csr = CertificateParams::default().serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap();
    let request = json!({"nodeName": "node-a", "addresses": ["127.0.0.2"], "csr": csr});
    let join = |secret: String, body: serde_json::Value| {
        let client = server.anonymous();
        async move {
            let bearer = format!("Bearer {secret}");
            client.send(Method::POST, "/wasmk/v1/join", &[("authorization", &bearer)], body.to_string()).await
        }
    };
    let answer = join(secret.to_owned(), request.clone()).await.expect(200);
    assert!(answer["certificate"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(answer["ca"], server.authority.certificate_pem());
    join("wrong".to_owned(), request.clone()).await.expect_failure(401, "Unauthorized");
    let mut bad = request;
    bad["nodeName"] = json!("Not A Name");
    join(secret.to_owned(), bad).await.expect_failure(400, "BadRequest");
}
