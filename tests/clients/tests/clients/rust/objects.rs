use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{DeleteParams, EvictParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::conditions::{is_deleted, is_deployment_completed};
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::json;

use super::{configmap, eventually, refused};

pub(super) async fn run(client: &Client) {
    lists_and_patches(&Api::default_namespaced(client.clone())).await;
    applies(&Api::default_namespaced(client.clone())).await;
    leads(&Api::default_namespaced(client.clone())).await;
    workloads(client).await;
}

async fn lists_and_patches(api: &Api<ConfigMap>) {
    let new = PostParams::default();
    for name in ["a", "b", "c"] {
        api.create(&new, &configmap(name, json!({"set": "rust"}), json!({"k": name}))).await.unwrap();
    }
    assert_eq!(refused(api.create(&new, &configmap("a", json!({}), json!({}))).await).0, 409);
    let page = ListParams::default().labels("set=rust").limit(2);
    let first = api.list(&page).await.unwrap();
    let rest = api.list(&page.continue_token(&first.metadata.continue_.clone().unwrap())).await.unwrap();
    assert_eq!((first.items.len(), rest.items.len()), (2, 1));
    assert_eq!(api.list_metadata(&ListParams::default().labels("set=rust")).await.unwrap().items.len(), 3);
    let merge = Patch::Merge(json!({"data": {"m": "1"}}));
    let strategic = Patch::Strategic(json!({"data": {"s": "1", "k": null}}));
    api.patch("a", &PatchParams::default(), &merge).await.unwrap();
    let patched = api.patch("a", &PatchParams::default(), &strategic).await.unwrap();
    assert_eq!(serde_json::to_value(&patched.data).unwrap(), json!({"m": "1", "s": "1"}));
    let json_patch = serde_json::from_value(json!([{"op": "remove", "path": "/data/m"}])).unwrap();
    let patched = api.patch("a", &PatchParams::default(), &Patch::Json::<()>(json_patch)).await.unwrap();
    assert_eq!(serde_json::to_value(&patched.data).unwrap(), json!({"s": "1"}));
    assert_eq!(refused(api.replace("nope", &new, &patched).await).0, 400, "the names differ");
    api.delete_collection(&DeleteParams::default(), &ListParams::default().labels("set=rust")).await.unwrap();
    assert!(api.list(&ListParams::default().labels("set=rust")).await.unwrap().items.is_empty());
}

async fn applies(api: &Api<ConfigMap>) {
    let body = |data| {
        Patch::Apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": data}))
    };
    let one = PatchParams::apply("one");
    let two = PatchParams::apply("two");
    api.patch("applied", &one, &body(json!({"a": "1", "b": "1"}))).await.unwrap();
    let (code, message) = refused(api.patch("applied", &two, &body(json!({"a": "2"}))).await);
    assert_eq!(code, 409);
    assert_eq!(message, "Apply failed with 1 conflict: conflict with \"one\": .data.a");
    let forced = api.patch("applied", &two.force(), &body(json!({"a": "2"}))).await.unwrap();
    assert_eq!(forced.data.unwrap()["a"], "2");
    let applied = api.patch("applied", &one, &body(json!({"b": "1"}))).await.unwrap();
    assert_eq!(serde_json::to_value(&applied.data).unwrap(), json!({"a": "2", "b": "1"}), "a belongs to two now");
}

/// Leader election as libraries do it: who writes the Lease first with the version that was read leads.
async fn leads(api: &Api<Lease>) {
    let lease: Lease = serde_json::from_value(json!({
        "metadata": {"name": "leader"},
        "spec": {"holderIdentity": "one", "renewTime": "2026-01-01T00:00:00.123456Z"},
    }))
    .unwrap();
    let seen = api.create(&PostParams::default(), &lease).await.unwrap();
    let mut takes = seen.clone();
    takes.spec.as_mut().unwrap().holder_identity = Some("two".to_owned());
    api.replace("leader", &PostParams::default(), &takes).await.unwrap();
    assert_eq!(refused(api.replace("leader", &PostParams::default(), &seen).await).0, 409);
}

async fn workloads(client: &Client) {
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let sets: Api<ReplicaSet> = Api::default_namespaced(client.clone());
    let ours = ListParams::default().labels("app=web");
    deployments.create(&PostParams::default(), &deployment()).await.unwrap();
    await_condition(deployments.clone(), "web", is_deployment_completed()).await.unwrap();
    assert_eq!(deployments.get_scale("web").await.unwrap().status.unwrap().replicas, 2);
    let scale = Patch::Merge(json!({"spec": {"replicas": 1}}));
    deployments.patch_scale("web", &PatchParams::default(), &scale).await.unwrap();
    let victim = eventually("one pod is left", async || {
        let mut list = pods.list(&ours).await.unwrap().items;
        if list.len() == 1 { list.pop() } else { None }
    })
    .await;
    let name = victim.metadata.name.unwrap();
    pods.evict(&name, &EvictParams::default()).await.unwrap();
    await_condition(pods.clone(), &name, is_deleted(&victim.metadata.uid.unwrap())).await.unwrap();
    await_condition(deployments.clone(), "web", is_deployment_completed()).await.unwrap();
    let gone = deployments.delete("web", &DeleteParams::foreground()).await.unwrap().left().expect("it is going");
    await_condition(deployments, "web", is_deleted(&gone.metadata.uid.unwrap())).await.unwrap();
    assert!(pods.list(&ours).await.unwrap().items.is_empty(), "foreground: nothing of it is left");
    assert!(sets.list(&ours).await.unwrap().items.is_empty());
}

fn deployment() -> Deployment {
    let container = json!({
        "name": "c",
        "image": "hello:v1",
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
    });
    serde_json::from_value(json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}},
        },
    }))
    .unwrap()
}
