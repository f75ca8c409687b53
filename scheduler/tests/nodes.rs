use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{LogParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wasmk_scheduler::NodeCredentials;

use crate::cluster::{Cluster, eventually};

fn on_node(pods: &[Pod], node: &str) -> usize {
    let alive = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    alive.filter(|pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.as_deref() == Some(node))).count()
}

#[tokio::test]
async fn the_pods_of_a_node_that_falls_silent_are_replaced_elsewhere() {
    let directory = TempDir::new().unwrap();
    let cluster = Cluster::start(&directory).await;
    let (silent, _living) = (cluster.add_node("a").await, cluster.add_node("b").await);
    cluster.create_deployment("web", 2).await;
    eventually(&cluster.pods(), "one pod on each node", |pods| on_node(pods, "a") == 1 && on_node(pods, "b") == 1)
        .await;
    drop(silent);
    eventually(&cluster.pods(), "both pods on the node that lives", |pods| on_node(pods, "b") == 2).await;
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let status = |node: &Node| {
        let conditions = node.status.clone().and_then(|status| status.conditions).unwrap_or_default();
        conditions.into_iter().find(|condition| condition.type_ == "Ready").map(|condition| condition.status)
    };
    let nodes = nodes.list(&Default::default()).await.unwrap().items;
    let ready: Vec<_> = nodes.iter().map(|node| (node.name_any(), status(node).unwrap())).collect();
    assert_eq!(ready, [("a".to_owned(), "Unknown".to_owned()), ("b".to_owned(), "True".to_owned())]);
    cluster.server.shutdown().await;
}

#[tokio::test]
async fn a_log_comes_from_the_pod_s_node_over_mutual_tls() {
    let directory = TempDir::new().unwrap();
    let cluster = Cluster::start(&directory).await;
    let credentials = cluster.server.issue_node("a", &[IpAddr::V4(Ipv4Addr::LOCALHOST)]).unwrap();
    let stop = CancellationToken::new();
    let port = serve_logs(&credentials, stop.clone()).await;
    let _node = cluster.add_node("a").await;
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let status = json!({"status": {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }});
    nodes.patch_status("a", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();

    cluster.create_deployment("web", 1).await;
    let pods = eventually(&cluster.pods(), "a bound pod", |pods| on_node(pods, "a") == 1).await;
    let (name, uid) = (pods[0].name_any(), pods[0].uid().unwrap());
    let running = json!({"status": {"phase": "Running", "containerStatuses": [{
        "name": "main", "image": "hello:v1", "imageID": "", "ready": true, "restartCount": 0,
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
    }]}});
    cluster.pods().patch_status(&name, &PatchParams::default(), &Patch::Merge(running)).await.unwrap();
    let log = cluster.pods().logs(&name, &LogParams { tail_lines: Some(5), ..LogParams::default() }).await.unwrap();
    assert_eq!(log, format!("default/{name}/{uid}/main tailLines=5\n"));

    stop.cancel();
    cluster.server.shutdown().await;
}

/// A node's own port, as far as logs go. It insists on a client certificate of the cluster.
async fn serve_logs(credentials: &NodeCredentials, stop: CancellationToken) -> u16 {
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&credentials.ca_pem)).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let key = PrivateKeyDer::from_pem_slice(credentials.key_pem.as_bytes()).unwrap();
    let chain = vec![certificate(&credentials.certificate_pem)];
    let mut tls = ServerConfig::builder().with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let answer = |Path(what): Path<String>, request: axum::extract::RawQuery| async move {
        format!("{what} {}\n", request.0.unwrap_or_default())
    };
    let router = Router::new().route("/wasmk/v1/logs/{*what}", get(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(wasmk_apiserver::serve(listener, Arc::new(tls), router, stop));
    port
}
