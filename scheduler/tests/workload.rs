use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use tempfile::TempDir;

use crate::cluster::{Cluster, deployment, eventually};

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

fn condition<'a>(pod: &'a Pod, condition_type: &str) -> Option<(&'a str, &'a str)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|condition| condition.type_ == condition_type)?;
    Some((&found.status, found.message.as_deref().unwrap_or_default()))
}

#[tokio::test]
async fn a_deployment_s_pods_are_created_and_bound_to_a_node_with_a_pod_range() {
    let directory = TempDir::new().unwrap();
    let cluster = Cluster::start(&directory).await;
    let _node = cluster.add_node("a").await;
    cluster.create_deployment("web", 3).await;
    let pods = eventually(&cluster.pods(), "three bound pods", |pods| {
        pods.len() == 3 && pods.iter().all(|pod| node_of(pod) == Some("a"))
    })
    .await;
    assert!(pods.iter().all(|pod| condition(pod, "PodScheduled").is_some_and(|(status, _)| status == "True")));

    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let nodes = eventually(&nodes, "a pod range", |nodes| {
        nodes.iter().all(|node| node.spec.as_ref().is_some_and(|spec| spec.pod_cidr.is_some()))
    })
    .await;
    let range = nodes[0].spec.as_ref().unwrap().pod_cidr.clone().unwrap();
    assert!(range.starts_with("10.64.") && range.ends_with("/20"), "{range}");

    let events: Api<Event> = cluster.namespaced();
    let has = |events: &[Event], reason: &str, kind: &str| {
        let is = |event: &Event| {
            event.reason.as_deref() == Some(reason) && event.involved_object.kind.as_deref() == Some(kind)
        };
        events.iter().any(is)
    };
    eventually(&events, "what happened is told", |events| {
        has(events, "ScalingReplicaSet", "Deployment")
            && has(events, "SuccessfulCreate", "ReplicaSet")
            && has(events, "Scheduled", "Pod")
    })
    .await;
    cluster.server.shutdown().await;
}

#[tokio::test]
async fn replicas_follow_the_scale_and_spread_over_nodes() {
    let directory = TempDir::new().unwrap();
    let cluster = Cluster::start(&directory).await;
    let _nodes = [cluster.add_node("a").await, cluster.add_node("b").await];
    cluster.create_deployment("web", 4).await;
    let pods = eventually(&cluster.pods(), "four bound pods", |pods| {
        pods.len() == 4 && pods.iter().all(|pod| node_of(pod).is_some())
    })
    .await;
    assert_eq!(pods.iter().filter(|pod| node_of(pod) == Some("a")).count(), 2);
    let deployments: Api<Deployment> = cluster.namespaced();
    let scale = Patch::Merge(json!({"spec": {"replicas": 1}}));
    deployments.patch("web", &PatchParams::default(), &scale).await.unwrap();
    // Nothing runs on these nodes, so nobody ends the pods' grace period: they are going, not gone.
    eventually(&cluster.pods(), "one pod stays", |pods| {
        pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).count() == 1
    })
    .await;
    cluster.server.shutdown().await;
}

#[tokio::test]
async fn a_pod_that_fits_nowhere_says_so_and_is_placed_once_it_fits() {
    let directory = TempDir::new().unwrap();
    let cluster = Cluster::start(&directory).await;
    let pod: Pod = crate::cluster::object(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "lonely"},
        "spec": {"containers": [{"name": "main", "image": "hello:v1"}]},
    }));
    cluster.pods().create(&PostParams::default(), &pod).await.unwrap();
    eventually(&cluster.pods(), "the refusal", |pods| {
        pods.iter().all(|pod| {
            condition(pod, "PodScheduled").is_some_and(|(status, message)| status == "False" && !message.is_empty())
        })
    })
    .await;
    let events: Api<Event> = cluster.namespaced();
    eventually(&events, "the event", |events| {
        events.iter().any(|event| {
            event.reason.as_deref() == Some("FailedScheduling") && event.type_.as_deref() == Some("Warning")
        })
    })
    .await;
    let _node = cluster.add_node("a").await;
    eventually(&cluster.pods(), "the pod is bound", |pods| pods.iter().all(|pod| node_of(pod) == Some("a"))).await;
    cluster.server.shutdown().await;
}

#[tokio::test]
async fn what_a_deleted_deployment_owned_goes_with_it() {
    let directory = TempDir::new().unwrap();
    let cluster = Cluster::start(&directory).await;
    // No node: the pods are never bound, so nothing has to end them.
    cluster.create_deployment("web", 2).await;
    eventually(&cluster.pods(), "two pods", |pods| pods.len() == 2).await;
    let deployments: Api<Deployment> = cluster.namespaced();
    deployments.delete("web", &DeleteParams::background()).await.unwrap();
    eventually(&cluster.pods(), "no pods", |pods| pods.is_empty()).await;
    cluster.server.shutdown().await;
}

#[tokio::test]
async fn a_deleted_namespace_takes_everything_with_it() {
    let directory = TempDir::new().unwrap();
    let cluster = Cluster::start(&directory).await;
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(cluster.client.clone());
    let shop = crate::cluster::object(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}));
    namespaces.create(&PostParams::default(), &shop).await.unwrap();
    let deployments: Api<Deployment> = Api::namespaced(cluster.client.clone(), "shop");
    deployments.create(&PostParams::default(), &deployment("web", 2, json!({"cpu": "10m"}))).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), "shop");
    eventually(&pods, "two pods", |pods| pods.len() == 2).await;
    namespaces.delete("shop", &DeleteParams::default()).await.unwrap();
    eventually(&namespaces, "the namespace is gone", |namespaces| {
        namespaces.iter().all(|one| one.name_any() != "shop")
    })
    .await;
    assert!(pods.list(&Default::default()).await.unwrap().items.is_empty());
    cluster.server.shutdown().await;
}
