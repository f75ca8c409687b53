use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tempfile::TempDir;

use crate::cluster::{Cluster, eventually};

fn identities(pods: &[Pod]) -> BTreeMap<String, (String, Option<String>)> {
    let identity = |pod: &Pod| (pod.uid().unwrap(), pod.spec.as_ref().and_then(|spec| spec.node_name.clone()));
    pods.iter().map(|pod| (pod.name_any(), identity(pod))).collect()
}

#[tokio::test]
async fn a_restarted_server_finds_everything_as_it_was() {
    let directory = TempDir::new().unwrap();
    let cluster = Cluster::start(&directory).await;
    let node = cluster.add_node("a").await;
    cluster.create_deployment("web", 3).await;
    let bound = |pods: &[Pod]| pods.len() == 3 && pods.iter().all(|pod| pod.spec.as_ref().unwrap().node_name.is_some());
    let before = identities(&eventually(&cluster.pods(), "three bound pods", bound).await);
    let token = cluster.server.join_token();
    drop(node);
    cluster.server.shutdown().await;

    let cluster = Cluster::start(&directory).await;
    assert_eq!(cluster.server.join_token(), token, "the authority and the secret are the same");
    let deployment: Deployment = cluster.namespaced().get("web").await.unwrap();
    assert_eq!(deployment.spec.unwrap().replicas, Some(3));
    let after = identities(&cluster.pods().list(&Default::default()).await.unwrap().items);
    assert_eq!(after, before);
    cluster.server.shutdown().await;
}

#[tokio::test]
async fn a_kubeconfig_from_before_a_restart_still_works() {
    let directory = TempDir::new().unwrap();
    let mut config = wasmk_scheduler::ServerConfig::local(directory.path(), 0);
    let server = wasmk_scheduler::Server::start(config).await.unwrap();
    let (kubeconfig, address) = (directory.path().join("old"), server.local_addr());
    std::fs::write(&kubeconfig, server.kubeconfig()).unwrap();
    server.shutdown().await;

    config = wasmk_scheduler::ServerConfig::local(directory.path(), address.port());
    let server = wasmk_scheduler::Server::start(config).await.unwrap();
    let client = crate::cluster::client(&kubeconfig).await;
    assert!(client.apiserver_version().await.is_ok());
    server.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_ends_watches_and_frees_the_port() {
    let directory = TempDir::new().unwrap();
    let cluster = Cluster::start(&directory).await;
    let address = cluster.server.local_addr();
    let watch = cluster.pods().watch(&Default::default(), "0").await.unwrap();
    let ended = tokio::spawn(async move { futures::StreamExt::count(watch).await });
    let done = tokio::time::timeout(std::time::Duration::from_secs(10), cluster.server.shutdown()).await;
    assert!(done.is_ok(), "an open watch does not hold up the shutdown");
    tokio::time::timeout(std::time::Duration::from_secs(10), ended).await.expect("the watch has ended").unwrap();
    assert!(std::net::TcpListener::bind(address).is_ok());
}
