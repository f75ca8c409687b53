//! Over a real socket: certificates, kube's client, a drained shutdown.

use std::net::SocketAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig as ClientConfig};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use wasmk_apiserver::pki::Kubeconfig;
use wasmk_apiserver::serve;

use crate::support::{CONFIGMAPS, PODS, Server, config_map};

/// A server that listens, and the kubeconfig of its administrator.
pub(crate) struct Listening {
    pub(crate) server: Server,
    pub(crate) kubeconfig: String,
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Listening {
    pub(crate) async fn start() -> Self {
        Self::of(Server::start().await).await
    }

    async fn of(server: Server) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let local = listener.local_addr().unwrap();
        let address = format!("https://{local}");
        let now = Timestamp::now();
        let credentials = server.authority.issue_server(&[], now).unwrap();
        let tls = server.authority.server_config(&credentials).unwrap();
        let client = server.authority.issue_client("wasmk-admin", "system:masters", now).unwrap();
        let kubeconfig =
            Kubeconfig { name: "wasmk", server: &address, authority: &server.authority, client: &client }.to_yaml();
        let task = tokio::spawn(serve(listener, tls, server.router.clone(), server.shutdown.clone()));
        Self { server, kubeconfig, address: local, task }
    }

    async fn client(&self) -> kube::Client {
        let config = ClientConfig::from_yaml(&self.kubeconfig).unwrap();
        let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
        kube::Client::try_from(config).unwrap()
    }

    /// Ends the server; it must drain.
    pub(crate) async fn stop(self) {
        self.server.shutdown.cancel();
        self.task.await.unwrap();
        self.server.streams.close();
        self.server.streams.wait().await;
    }
}

#[tokio::test]
async fn kubes_client_writes_reads_and_watches() {
    let listening = Listening::start().await;
    let api: Api<ConfigMap> = Api::default_namespaced(listening.client().await);
    let object: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "a"}, "data": {"k": "1"}})).unwrap();
    let created = api.create(&PostParams::default(), &object).await.unwrap();
    let revision = created.metadata.resource_version.clone().unwrap();
    let patch = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "2"}});
    let params = PatchParams::apply("test").force();
    let applied = api.patch("a", &params, &Patch::Apply(patch)).await.unwrap();
    assert_eq!(applied.data.unwrap()["k"], "2");
    assert_eq!(api.list(&ListParams::default()).await.unwrap().items.len(), 1);
    let watch = api.watch(&Default::default(), &revision).await.unwrap();
    let mut watch = std::pin::pin!(watch);
    let event = futures::StreamExt::next(&mut watch).await.unwrap().unwrap();
    assert!(matches!(event, kube::api::WatchEvent::Modified(object) if object.data.clone().unwrap()["k"] == "2"));
    let missing = api.get("nothing").await.unwrap_err();
    assert!(matches!(missing, kube::Error::Api(status) if status.code == 404 && status.reason == "NotFound"));
    listening.stop().await;
}

#[tokio::test]
async fn a_pod_behind_a_proxy_learns_over_whom_a_request_came() {
    let listening = Listening::start().await;
    listening.server.run_pod().await;
    let path = format!("{PODS}/web:80/proxy/headers");
    let request = http::Request::get(path).header("x-forwarded-for", "192.0.2.1").body(Vec::new()).unwrap();
    let seen = listening.client().await.request_text(request).await.unwrap();
    assert!(seen.contains("x-forwarded-for: 192.0.2.1, 127.0.0.1\n"), "{seen}");
    listening.stop().await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_turned_away() {
    let listening = Listening::start().await;
    let stranger = Server::empty();
    let client = stranger.authority.issue_client("wasmk-admin", "system:masters", Timestamp::now()).unwrap();
    let mut config = ClientConfig::from_yaml(&listening.kubeconfig).unwrap();
    let forged = Kubeconfig { name: "x", server: "https://x", authority: &stranger.authority, client: &client };
    config.auth_infos = ClientConfig::from_yaml(&forged.to_yaml()).unwrap().auth_infos;
    config.auth_infos[0].name = "wasmk".to_owned();
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    let client = kube::Client::try_from(config).unwrap();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let error = api.list(&ListParams::default()).await.unwrap_err();
    assert!(!matches!(error, kube::Error::Api(_)), "{error}");
    listening.stop().await;
}

#[tokio::test]
async fn an_open_watch_does_not_hold_up_the_shutdown() {
    let listening = Listening::start().await;
    let api: Api<ConfigMap> = Api::default_namespaced(listening.client().await);
    let watch = api.watch(&Default::default(), "0").await.unwrap();
    listening.stop().await;
    let mut watch = std::pin::pin!(watch);
    let last = futures::StreamExt::next(&mut watch).await;
    assert!(matches!(last, Some(Ok(kube::api::WatchEvent::Bookmark(_)))), "{last:?}");
    assert!(futures::StreamExt::next(&mut watch).await.is_none());
}

#[tokio::test]
async fn a_token_opens_without_a_certificate() {
    let listening = Listening::start().await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    listening.server.post(accounts, json!({"metadata": {"name": "bot"}})).await.expect(201);
    let rbac = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    let role = json!({"metadata": {"name": "all"}, "rules": [{"apiGroups": [""], "resources": ["*"], "verbs": ["*"]}]});
    listening.server.post("/apis/rbac.authorization.k8s.io/v1/clusterroles", role).await.expect(201);
    let subjects = json!([{"kind": "ServiceAccount", "name": "bot", "namespace": "default"}]);
    let binding =
        json!({"metadata": {"name": "b"}, "subjects": subjects, "roleRef": {"kind": "ClusterRole", "name": "all"}});
    listening.server.post(rbac, binding).await.expect(201);
    let token = listening.server.post(&format!("{accounts}/bot/token"), json!({})).await.expect(201);

    let mut config = ClientConfig::from_yaml(&listening.kubeconfig).unwrap();
    let user = config.auth_infos[0].auth_info.as_mut().unwrap();
    (user.client_certificate_data, user.client_key_data) = (None, None);
    user.token = Some(token["status"]["token"].as_str().unwrap().to_owned().into());
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    let api: Api<ConfigMap> = Api::default_namespaced(kube::Client::try_from(config).unwrap());
    let watch = api.watch(&Default::default(), "0").await.unwrap();
    let mut watch = std::pin::pin!(watch);
    let object: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
    let event = futures::StreamExt::next(&mut watch).await.unwrap().unwrap();
    assert!(matches!(event, kube::api::WatchEvent::Added(object) if object.metadata.name.as_deref() == Some("a")));
    listening.stop().await;
}

#[tokio::test]
async fn a_client_that_stops_reading_costs_no_memory() {
    let listening = Listening::of(Server::forgetful().await).await;
    let api: Api<ConfigMap> = Api::default_namespaced(listening.client().await);
    let revision = listening.server.store.snapshot().revision().to_string();
    let watch = api.watch(&Default::default(), &revision).await.unwrap();
    // 30 MB of changes, of which nothing is read.
    let (changes, bytes) = (1500, 20_000);
    for number in 0..changes {
        let data = serde_json::json!({"n": number.to_string(), "k": "x".repeat(bytes)});
        listening.server.put(&format!("{CONFIGMAPS}/a"), config_map("a", data)).await.expect(200);
    }
    let mut watch = std::pin::pin!(watch);
    let mut told = 0;
    let status = loop {
        match futures::StreamExt::next(&mut watch).await.unwrap().unwrap() {
            kube::api::WatchEvent::Error(status) => break status,
            _ => told += 1,
        }
    };
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
    // Only what was on its way already: the windows of the connection, and one piece.
    assert!(told * bytes < 8_000_000, "{told} of {changes}");
    assert!(futures::StreamExt::next(&mut watch).await.is_none());
    listening.stop().await;
}
