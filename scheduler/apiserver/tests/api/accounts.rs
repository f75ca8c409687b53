//! Tokens of ServiceAccounts, roles, reviews, and acting as somebody else.

use http::Method;
use serde_json::{Value, json};

use crate::support::{CONFIGMAPS, PODS, Server, pod};

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const REVIEWS: &str = "/apis/authorization.k8s.io/v1";

async fn account(server: &Server, name: &str) {
    let object = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
    server.post(ACCOUNTS, object).await.expect(201);
}

/// Binds a new Role to the subject.
async fn allow(server: &Server, subject: Value, rule: Value) {
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let role = json!({"metadata": {"name": "r"}, "rules": [rule]});
    server.post(&format!("{rbac}/roles"), role).await.expect(201);
    let binding = json!({"metadata": {"name": "r"}, "subjects": [subject], "roleRef": {"kind": "Role", "name": "r"}});
    server.post(&format!("{rbac}/rolebindings"), binding).await.expect(201);
}

async fn token(server: &Server, name: &str, spec: Value) -> String {
    let answer = server.post(&format!("{ACCOUNTS}/{name}/token"), json!({"spec": spec})).await.expect(201);
    answer["status"]["token"].as_str().unwrap().to_owned()
}

/// What `system:basic-user` does in a cluster.
async fn let_everybody_ask(server: &Server) {
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let groups = ["authorization.k8s.io", "authentication.k8s.io"];
    let rule = json!({"apiGroups": groups, "resources": ["*"], "verbs": ["create"]});
    let role = json!({"metadata": {"name": "basic"}, "rules": [rule]});
    server.post(&format!("{rbac}/clusterroles"), role).await.expect(201);
    let subjects = json!([{"kind": "Group", "name": "system:authenticated"}]);
    let reference = json!({"kind": "ClusterRole", "name": "basic"});
    let binding = json!({"metadata": {"name": "basic"}, "subjects": subjects, "roleRef": reference});
    server.post(&format!("{rbac}/clusterrolebindings"), binding).await.expect(201);
}

fn pods_read() -> Value {
    json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]})
}

fn bot() -> Value {
    json!({"kind": "ServiceAccount", "name": "bot", "namespace": "default"})
}

async fn get_with(server: &Server, token: &str, path: &str) -> crate::support::Answer {
    let bearer = format!("Bearer {token}");
    server.anonymous().send(Method::GET, path, &[("authorization", &bearer)], "").await
}

#[tokio::test]
async fn a_token_opens_what_the_accounts_roles_allow() {
    let server = Server::start().await;
    account(&server, "bot").await;
    allow(&server, bot(), pods_read()).await;
    let token = token(&server, "bot", json!({})).await;
    get_with(&server, &token, PODS).await.expect(200);
    let refused = get_with(&server, &token, CONFIGMAPS).await.expect_failure(403, "Forbidden");
    assert!(
        refused.contains("User \"system:serviceaccount:default:bot\" cannot list resource \"configmaps\""),
        "{refused}"
    );
    get_with(&server, "nonsense", PODS).await.expect_failure(401, "Unauthorized");
    server.delete(&format!("{ACCOUNTS}/bot")).await.expect(200);
    account(&server, "bot").await;
    // The new account has the name, not the identity.
    get_with(&server, &token, PODS).await.expect_failure(401, "Unauthorized");
}

#[tokio::test]
async fn a_token_request_is_answered_as_kubernetes_answers_it() {
    let server = Server::start().await;
    account(&server, "bot").await;
    let path = format!("{ACCOUNTS}/bot/token");
    let answer = server.post(&path, json!({"spec": {"expirationSeconds": 7200}})).await.expect(201);
    assert_eq!(answer["kind"], "TokenRequest");
    assert_eq!(answer["spec"]["audiences"], json!(["https://kubernetes.default.svc.cluster.local"]));
    assert!(answer["status"]["expirationTimestamp"].is_string(), "{answer}");
    let short = server.post(&path, json!({"spec": {"expirationSeconds": 60}})).await.expect_failure(422, "Invalid");
    assert!(short.ends_with("may not specify a duration less than 10 minutes"), "{short}");
    let long = server.post(&path, json!({"spec": {"expirationSeconds": 99_999_999}})).await;
    assert_eq!(long.warnings(), ["299 - \"requested expiration of 99999999 seconds shortened to 31536000 seconds\""]);
    server.post(&format!("{ACCOUNTS}/none/token"), json!({})).await.expect_failure(404, "NotFound");
}

#[tokio::test]
async fn a_token_for_a_pod_goes_with_the_pod() {
    let server = Server::start().await;
    account(&server, "bot").await;
    allow(&server, bot(), pods_read()).await;
    let mut object = pod("p");
    object["spec"]["serviceAccountName"] = json!("bot");
    object["spec"]["nodeName"] = json!("a");
    let created = server.post(PODS, object).await.expect(201);
    let reference = json!({"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": created["metadata"]["uid"]});
    let path = format!("{ACCOUNTS}/bot/token");
    let body = json!({"spec": {"boundObjectRef": reference}});
    let node = |name: &'static str| server.as_user(name, &["system:nodes"]);
    let other = node("system:node:b").json(Method::POST, &path, body.clone()).await;
    let refused = other.expect_failure(403, "Forbidden");
    assert_eq!(
        refused,
        "serviceaccounts \"bot\" is forbidden: node requested token bound to a pod scheduled on a different node"
    );
    node("system:node:a").json(Method::POST, &path, json!({})).await.expect_failure(403, "Forbidden");
    let own = node("system:node:a").json(Method::POST, &path, body).await.expect(201);
    let token = own["status"]["token"].as_str().unwrap();
    get_with(&server, token, PODS).await.expect(200);
    server.delete_with(&format!("{PODS}/p"), json!({"gracePeriodSeconds": 0})).await.expect(200);
    get_with(&server, token, PODS).await.expect_failure(401, "Unauthorized");
}

#[tokio::test]
async fn a_secret_for_a_token_is_filled() {
    let server = Server::start().await;
    account(&server, "bot").await;
    allow(&server, bot(), pods_read()).await;
    let secret = |account: &str| {
        let annotations = json!({"kubernetes.io/service-account.name": account});
        json!({"metadata": {"name": format!("{account}-token"), "annotations": annotations}, "type": "kubernetes.io/service-account-token"})
    };
    let secrets = "/api/v1/namespaces/default/secrets";
    let filled = server.post(secrets, secret("bot")).await.expect(201);
    let decode = |key: &str| {
        use base64::Engine;
        let bytes = base64::engine::general_purpose::STANDARD.decode(filled["data"][key].as_str().unwrap()).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(
        (decode("namespace").as_str(), decode("ca.crt").as_str()),
        ("default", server.authority.certificate_pem())
    );
    get_with(&server, &decode("token"), PODS).await.expect(200);
    assert_eq!(server.post(secrets, secret("none")).await.warnings().len(), 1);
    server.delete(&format!("{secrets}/bot-token")).await.expect(200);
    get_with(&server, &decode("token"), PODS).await.expect_failure(401, "Unauthorized");
}

#[tokio::test]
async fn others_can_verify_tokens_themselves() {
    let server = Server::start().await;
    let configuration = server.get("/.well-known/openid-configuration").await.expect(200);
    assert_eq!(configuration["issuer"], "https://kubernetes.default.svc.cluster.local");
    let keys = server.get("/openid/v1/jwks").await;
    assert_eq!(keys.headers["content-type"], "application/jwk-set+json");
    assert_eq!(keys.value()["keys"][0]["alg"], "ES256");
}

#[tokio::test]
async fn reviews_are_answered_and_never_stored() {
    let server = Server::start().await;
    account(&server, "bot").await;
    allow(&server, bot(), pods_read()).await;
    let pods = json!({"namespace": "default", "verb": "list", "resource": "pods"});
    let review = json!({"spec": {"user": "system:serviceaccount:default:bot", "resourceAttributes": pods}});
    let answer = server.post(&format!("{REVIEWS}/subjectaccessreviews"), review).await.expect(201);
    assert_eq!(
        answer["status"],
        json!({"allowed": true, "reason": "RBAC: allowed by RoleBinding \"r/default\" of Role \"r\" to ServiceAccount \"bot/default\""})
    );
    let nobody = json!({"spec": {"resourceAttributes": pods}});
    let refused = server.post(&format!("{REVIEWS}/subjectaccessreviews"), nobody).await.expect_failure(422, "Invalid");
    assert!(refused.ends_with("at least one of user or group must be specified"), "{refused}");
    let local = json!({"spec": {"user": "eve", "resourceAttributes": pods}});
    let local =
        server.post(&format!("{REVIEWS}/namespaces/default/localsubjectaccessreviews"), local).await.expect(201);
    assert_eq!(local["status"]["allowed"], false);
    let own = json!({"spec": {"resourceAttributes": pods}});
    let own = server.post(&format!("{REVIEWS}/selfsubjectaccessreviews"), own).await.expect(201);
    assert_eq!(own["status"], json!({"allowed": true}));
    server.get(&format!("{REVIEWS}/subjectaccessreviews")).await.expect_failure(405, "MethodNotAllowed");
}

#[tokio::test]
async fn a_token_review_says_whose_a_token_is() {
    let server = Server::start().await;
    account(&server, "bot").await;
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let vault = token(&server, "bot", json!({"audiences": ["vault"]})).await;
    let review = |spec: Value| server.post(path, json!({"spec": spec}));
    let known = review(json!({"token": vault, "audiences": ["vault", "x"]})).await.expect(201);
    assert_eq!(known["status"]["authenticated"], true);
    assert_eq!(known["status"]["audiences"], json!(["vault"]));
    assert_eq!(known["status"]["user"]["username"], "system:serviceaccount:default:bot");
    let foreign = review(json!({"token": vault})).await.expect(201);
    assert!(foreign["status"]["error"].as_str().unwrap().contains("audience"), "{foreign}");
    get_with(&server, &vault, PODS).await.expect_failure(401, "Unauthorized");
}

#[tokio::test]
async fn who_may_impersonate_acts_as_another() {
    let server = Server::start().await;
    let rule = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]});
    allow(&server, json!({"kind": "Group", "name": "devs"}), rule).await;
    let headers = [("impersonate-user", "ann"), ("impersonate-group", "devs")];
    server.send(Method::GET, PODS, &headers, "").await.expect(200);
    server.send(Method::GET, PODS, &headers[..1], "").await.expect_failure(403, "Forbidden");
    server.send(Method::GET, PODS, &headers[1..], "").await.expect_failure(400, "BadRequest");
    let refused = server.as_user("eve", &[]).send(Method::GET, PODS, &headers, "").await;
    assert_eq!(
        refused.expect_failure(403, "Forbidden"),
        "users \"ann\" is forbidden: User \"eve\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"
    );
    let_everybody_ask(&server).await;
    let whoami = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let headers = [("impersonate-user", "system:serviceaccount:a:b"), ("impersonate-extra-x%2fy", "1")];
    let answer = server.send(Method::POST, whoami, &headers, "{}").await.expect(201);
    assert_eq!(
        answer["status"]["userInfo"],
        json!({
            "username": "system:serviceaccount:a:b", "extra": {"x/y": ["1"]},
            "groups": ["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"],
        })
    );
}

#[tokio::test]
async fn what_one_may_do_can_be_listed() {
    let server = Server::start().await;
    allow(&server, json!({"kind": "User", "name": "ann"}), pods_read()).await;
    let headers = [("impersonate-user", "ann")];
    let body = json!({"spec": {"namespace": "default"}}).to_string();
    // Nobody is bound to a role like `system:basic-user` here.
    let path = format!("{REVIEWS}/selfsubjectrulesreviews");
    server.send(Method::POST, &path, &headers, body.clone()).await.expect_failure(403, "Forbidden");
    let_everybody_ask(&server).await;
    let answer = server.send(Method::POST, &path, &headers, body).await.expect(201);
    let rules = answer["status"]["resourceRules"].as_array().unwrap();
    assert!(rules.contains(&pods_read()), "{answer}");
}

#[tokio::test]
async fn roles_and_bindings_are_checked() {
    let server = Server::start().await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let role = json!({"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": []}]});
    let refused = server.post(&format!("{rbac}/roles"), role).await.expect_failure(422, "Invalid");
    assert_eq!(
        refused,
        "Role.rbac.authorization.k8s.io \"r\" is invalid: rules[0].verbs: Required value: verbs must contain at least one value"
    );
    let binding = |role: &str| {
        let subjects = json!([{"kind": "User", "name": "ann"}]);
        json!({"metadata": {"name": "b"}, "subjects": subjects, "roleRef": {"kind": "Role", "name": role}})
    };
    let created = server.post(&format!("{rbac}/rolebindings"), binding("r")).await.expect(201);
    assert_eq!(created["subjects"][0]["apiGroup"], "rbac.authorization.k8s.io");
    let refused = server.put(&format!("{rbac}/rolebindings/b"), binding("s")).await.expect_failure(422, "Invalid");
    assert!(refused.ends_with("cannot change roleRef"), "{refused}");
    let escalated = server.as_user("eve", &[]).json(Method::POST, &format!("{rbac}/roles"), json!({})).await;
    escalated.expect_failure(403, "Forbidden");
}
