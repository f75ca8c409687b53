use std::collections::BTreeSet;
use std::net::TcpListener;

use k8s_openapi::api::core::v1::{Namespace, Service, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Api, ResourceExt};
use tempfile::TempDir;
use wasmk_scheduler::{Server, ServerConfig, ServerError};

use crate::cluster::{Cluster, eventually};

#[tokio::test]
async fn a_new_cluster_has_what_clients_expect_in_every_cluster() {
    let directory = TempDir::new().unwrap();
    let cluster = Cluster::start(&directory).await;
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    let names: BTreeSet<String> =
        namespaces.list(&Default::default()).await.unwrap().iter().map(|one| one.name_any()).collect();
    assert!(names.is_superset(&["default", "kube-system", "kube-public", "kube-node-lease"].map(str::to_owned).into()));

    let service: Service = cluster.namespaced().get("kubernetes").await.unwrap();
    assert_eq!(service.spec.unwrap().cluster_ip.as_deref(), Some("10.43.0.1"));
    let slice: EndpointSlice = cluster.namespaced().get("kubernetes").await.unwrap();
    let port = slice.ports.unwrap()[0].port.unwrap();
    assert_eq!(port, i32::from(cluster.server.local_addr().port()));

    let accounts: Api<ServiceAccount> = Api::all(cluster.client.clone());
    let has_default = |accounts: &[ServiceAccount], namespace: &str| {
        accounts
            .iter()
            .any(|account| account.namespace().as_deref() == Some(namespace) && account.name_any() == "default")
    };
    eventually(&accounts, "default ServiceAccounts", |accounts| {
        ["default", "kube-system"].into_iter().all(|namespace| has_default(accounts, namespace))
    })
    .await;
    cluster.server.shutdown().await;
}

#[tokio::test]
async fn the_cluster_s_own_objects_come_back_when_they_are_deleted() {
    let directory = TempDir::new().unwrap();
    let cluster = Cluster::start(&directory).await;
    let services: Api<Service> = cluster.namespaced();
    let first = services.get("kubernetes").await.unwrap().uid().unwrap();
    services.delete("kubernetes", &Default::default()).await.unwrap();
    eventually(&services, "the Service is back", |services| {
        services.iter().any(|service| service.name_any() == "kubernetes" && service.uid() != Some(first.clone()))
    })
    .await;
    cluster.server.shutdown().await;
}

#[tokio::test]
async fn the_client_in_the_process_sees_the_same_cluster() {
    let directory = TempDir::new().unwrap();
    let cluster = Cluster::start(&directory).await;
    let inside: Api<Namespace> = Api::all(cluster.server.kube_client());
    let outside: Api<Namespace> = Api::all(cluster.client.clone());
    assert_eq!(inside.get("default").await.unwrap().uid(), outside.get("default").await.unwrap().uid());
    cluster.server.shutdown().await;
}

#[cfg(unix)]
#[tokio::test]
async fn secrets_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDir::new().unwrap();
    let cluster = Cluster::start(&directory).await;
    let mode = std::fs::metadata(cluster.server.kubeconfig_path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(cluster.server.kubeconfig_path()).unwrap(), cluster.server.kubeconfig());
    assert_eq!(std::fs::metadata(directory.path()).unwrap().permissions().mode() & 0o777, 0o700);
    cluster.server.shutdown().await;
}

#[tokio::test]
async fn a_taken_port_is_named_with_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let directory = TempDir::new().unwrap();
    let error = Server::start(ServerConfig::local(directory.path(), port)).await.err().unwrap();
    assert!(matches!(error, ServerError::PortTaken { .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.contains(&port.to_string()) && message.contains("choose another port"), "{message}");
}

#[tokio::test]
async fn a_data_directory_has_one_server_and_the_second_binds_no_port() {
    let directory = TempDir::new().unwrap();
    let cluster = Cluster::start(&directory).await;
    // A port that is taken would be reported, if it were tried: the one of the first server.
    let port = cluster.server.local_addr().port();
    let error = Server::start(ServerConfig::local(directory.path(), port)).await.err().unwrap();
    assert!(error.to_string().contains("another wasmk uses"), "{error}");
    cluster.server.shutdown().await;
}

#[tokio::test]
async fn a_configuration_that_cannot_work_touches_nothing() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("data");
    let mut config = ServerConfig::local(&path, 0);
    config.listen.clear();
    assert!(matches!(Server::start(config).await.err(), Some(ServerError::Config(_))));
    assert!(!path.exists());
}
