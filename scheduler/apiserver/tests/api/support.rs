use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use wasmk_api::usage::{ContainerUsage, NodeUsage, PodUsage};
use wasmk_api::{Object, Status};
use wasmk_apiserver::pki::{CertificateAuthority, JoinToken};
use wasmk_apiserver::{
    AccountTokens, ApiServer, Identity, LogBody, LogRequest, NodeClient, NodeStream, Settings, StreamRequest,
};
use wasmk_store::{MemoryStore, Store};

use crate::fake_node;

/// A server over an empty memory store, and a client inside the process.
pub(crate) struct Server {
    pub(crate) router: Router,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) authority: Arc<CertificateAuthority>,
    pub(crate) join_token: Arc<JoinToken>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) streams: TaskTracker,
    pub(crate) identity: Option<Identity>,
    _directory: tempfile::TempDir,
}

pub(crate) struct Answer {
    pub(crate) code: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Server {
    /// With the namespace `default`.
    pub(crate) async fn start() -> Self {
        let server = Self::empty();
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}});
        server.post("/api/v1/namespaces", namespace).await.expect(201);
        server
    }

    pub(crate) fn empty() -> Self {
        Self::over(MemoryStore::new())
    }

    /// One whose oldest revisions are forgotten.
    pub(crate) async fn forgetful() -> Self {
        let server = Self::over(MemoryStore::with_history(2));
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}});
        server.post("/api/v1/namespaces", namespace).await.expect(201);
        for name in ["a", "b", "c", "d", "e"] {
            server.post(CONFIGMAPS, config_map(name, json!({}))).await.expect(201);
        }
        server
    }

    pub(crate) fn over(store: impl Store) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Arc::new(CertificateAuthority::load_or_create(directory.path(), Timestamp::now()).unwrap());
        let join_token = Arc::new(JoinToken::load_or_create(directory.path(), &authority).unwrap());
        let store: Arc<dyn Store> = Arc::new(store);
        let (shutdown, streams) = (CancellationToken::new(), TaskTracker::new());
        let settings = Settings {
            authority: authority.clone(),
            join_token: join_token.clone(),
            tokens: Arc::new(AccountTokens::load_or_create(directory.path()).unwrap()),
            shutdown: shutdown.clone(),
            write: Default::default(),
            streams: streams.clone(),
        };
        let registry = Router::new().fallback(|| async { "registry" });
        let router = ApiServer::router(store.clone(), settings, Arc::new(Echo), Some(registry));
        let identity = Some(Identity::control_plane());
        Self { router, store, authority, join_token, shutdown, streams, identity, _directory: directory }
    }

    /// The same server, asked by somebody else.
    pub(crate) fn as_user(&self, user: &str, groups: &[&str]) -> Client<'_> {
        Client { server: self, identity: Some(Identity::new(user, groups.iter().copied())) }
    }

    pub(crate) fn anonymous(&self) -> Client<'_> {
        Client { server: self, identity: None }
    }

    fn admin(&self) -> Client<'_> {
        Client { server: self, identity: self.identity.clone() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.admin().send(Method::GET, path, &[], "").await
    }

    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.admin().send(Method::GET, path, &[("accept", accept)], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.admin().json(Method::POST, path, body).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.admin().json(Method::PUT, path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.admin().send(Method::DELETE, path, &[], "").await
    }

    pub(crate) async fn delete_with(&self, path: &str, options: Value) -> Answer {
        self.admin().json(Method::DELETE, path, options).await
    }

    /// `form` is what comes before `+json` or `+yaml`, such as `application/merge-patch`.
    pub(crate) async fn patch(&self, path: &str, media_type: &str, body: Value) -> Answer {
        let headers = [("content-type", media_type)];
        self.admin().send(Method::PATCH, path, &headers, body.to_string()).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        self.admin().send(method, path, headers, body).await
    }
}

/// Nodes whose logs tell what was asked for.
struct Echo;

#[async_trait::async_trait]
impl NodeClient for Echo {
    async fn logs(&self, node: &Object, request: LogRequest) -> Result<LogBody, Status> {
        let text = format!("{} {} {} {}\n", node.name(), request.pod, request.container, request.query());
        Ok(Body::from(text).map_err(Into::into).boxed_unsync())
    }

    async fn open(&self, _: &Object, request: StreamRequest) -> Result<NodeStream, Status> {
        fake_node::open(request)
    }

    async fn usage(&self, node: &Object) -> Result<NodeUsage, Status> {
        let container = ContainerUsage { name: "c".to_owned(), cpu_nanos: 1_000_000, memory_bytes: 2048 };
        let uid = node.value()["metadata"]["annotations"]["pod-uid"].as_str().unwrap_or_default().to_owned();
        let (namespace, name) = ("default".to_owned(), "p".to_owned());
        Ok(NodeUsage { pods: vec![PodUsage { namespace, name, uid, containers: vec![container] }] })
    }
}

/// Somebody who asks a [`Server`].
pub(crate) struct Client<'a> {
    server: &'a Server,
    identity: Option<Identity>,
}

impl Client<'_> {
    pub(crate) async fn json(&self, method: Method, path: &str, body: Value) -> Answer {
        self.send(method, path, &[("content-type", "application/json")], body.to_string()).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let (parts, body) = self.open(method, path, headers, body).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { code: parts.status, headers: parts.headers, bytes }
    }

    /// An answer of which nothing has been read yet.
    pub(crate) async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(identity) = &self.identity {
            request = request.extension(identity.clone());
        }
        self.server.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap()
    }
}

impl Answer {
    /// The body, when the code is as expected.
    #[track_caller]
    pub(crate) fn expect(self, code: u16) -> Value {
        assert_eq!(self.code, code, "{}", String::from_utf8_lossy(&self.bytes));
        self.value()
    }

    /// The message of the failure, when the code and the reason are as expected.
    #[track_caller]
    pub(crate) fn expect_failure(self, code: u16, reason: &str) -> String {
        let status = self.expect(code);
        assert_eq!((&status["kind"], &status["status"]), (&json!("Status"), &json!("Failure")));
        assert_eq!(status["reason"], reason, "{status}");
        assert_eq!(status["code"], code);
        status["message"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| Value::String(self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.to_vec()).unwrap()
    }

    pub(crate) fn warnings(&self) -> Vec<&str> {
        self.headers.get_all("warning").iter().map(|value| value.to_str().unwrap()).collect()
    }
}

pub(crate) const CONFIGMAPS: &str = "/api/v1/namespaces/default/configmaps";
pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";
pub(crate) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

pub(crate) fn config_map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

pub(crate) fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "image": "hello:v1"}]},
    })
}

impl Server {
    /// A pod `web` that runs on a node `n`, with a container `c`.
    pub(crate) async fn run_pod(&self) {
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}});
        self.post("/api/v1/nodes", node).await.expect(201);
        let mut running = pod("web");
        running["spec"]["nodeName"] = json!("n");
        self.post(PODS, running).await.expect(201);
        let status = json!({"status": {"phase": "Running", "containerStatuses": [{
            "name": "c", "image": "hello:v1", "imageID": "", "ready": true, "restartCount": 0,
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        }]}});
        self.patch(&format!("{PODS}/web/status"), "application/merge-patch+json", status).await.expect(200);
    }
}

pub(crate) fn deployment(name: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "hello:v1"}]},
            },
        },
    })
}
