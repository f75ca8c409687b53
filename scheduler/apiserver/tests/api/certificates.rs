//! Certificates for users: asked for, approved, signed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};
use wasmk_apiserver::Identity;

use crate::support::Server;

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

fn request(name: &str, user: &str, group: &str, signer: &str) -> Value {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, user);
    params.distinguished_name.push(DnType::OrganizationName, group);
    let pem = params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap();
    let spec = json!({"request": STANDARD.encode(pem), "signerName": signer, "usages": ["client auth"]});
    json!({"metadata": {"name": name}, "spec": spec})
}

const CLIENTS: &str = "kubernetes.io/kube-apiserver-client";

async fn approve(server: &Server, name: &str) -> Value {
    let mut object = server.get(&format!("{REQUESTS}/{name}")).await.expect(200);
    let condition = json!({"type": "Approved", "status": "True", "reason": "KubectlApprove", "message": "yes"});
    object["status"]["conditions"] = json!([condition]);
    server.put(&format!("{REQUESTS}/{name}/approval"), object).await.expect(200)
}

#[tokio::test]
async fn an_approved_request_gets_a_certificate_by_which_the_user_comes_in() {
    let server = Server::start().await;
    let created = server.post(REQUESTS, request("ann", "ann", "devs", CLIENTS)).await.expect(201);
    assert_eq!(created["spec"]["username"], "wasmk-apiserver");
    assert_eq!(created["status"], json!({}));
    let approved = approve(&server, "ann").await;
    let pem = STANDARD.decode(approved["status"]["certificate"].as_str().unwrap()).unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).unwrap();
    let identity = Identity::from_certificate(&pem.contents).unwrap();
    assert_eq!((identity.user.as_str(), identity.groups.as_slice()), ("ann", &["devs".to_owned()][..]));
    let table = server.get_as(&format!("{REQUESTS}/ann"), "application/json;as=Table;v=v1;g=meta.k8s.io").await;
    assert_eq!(table.expect(200)["rows"][0]["cells"][5], "Approved,Issued");
}

#[tokio::test]
async fn nobody_becomes_an_administrator_that_way_or_approves_without_the_right() {
    let server = Server::start().await;
    let refused = server.post(REQUESTS, request("x", "x", "system:masters", CLIENTS)).await;
    assert!(refused.expect_failure(403, "Forbidden").contains("with system:masters group is not allowed"));
    let mut nonsense = request("x", "x", "y", CLIENTS);
    nonsense["spec"]["request"] = json!(STANDARD.encode("nonsense"));
    server.post(REQUESTS, nonsense).await.expect_failure(422, "Invalid");
    server.post(REQUESTS, request("ann", "ann", "devs", CLIENTS)).await.expect(201);
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let rule = json!({"apiGroups": ["certificates.k8s.io"], "resources": ["*"], "verbs": ["get", "update", "patch"]});
    server.post(&format!("{rbac}/clusterroles"), json!({"metadata": {"name": "r"}, "rules": [rule]})).await.expect(201);
    let subjects = json!([{"kind": "User", "name": "eve"}]);
    let binding =
        json!({"metadata": {"name": "r"}, "subjects": subjects, "roleRef": {"kind": "ClusterRole", "name": "r"}});
    server.post(&format!("{rbac}/clusterrolebindings"), binding).await.expect(201);
    let patch = json!({"status": {"conditions": [{"type": "Approved", "status": "True"}]}}).to_string();
    for (part, why) in [("approval", "not permitted to approve"), ("status", "through the approval subresource")] {
        let headers = [("content-type", "application/merge-patch+json")];
        let path = format!("{REQUESTS}/ann/{part}");
        let answer = server.as_user("eve", &[]).send(Method::PATCH, &path, &headers, patch.clone()).await;
        let message = answer.expect_failure(403, "Forbidden");
        assert!(message.contains(why), "{message}");
    }
}

#[tokio::test]
async fn what_nobody_signs_is_stored_with_a_warning() {
    let server = Server::start().await;
    let answer = server.post(REQUESTS, request("x", "x", "y", "example.com/signer")).await;
    assert_eq!(answer.warnings().len(), 1);
    answer.expect(201);
    assert!(approve(&server, "x").await["status"]["certificate"].is_null());
}
