//! The agent and the server, each without the other.

use std::time::Duration;

use serde_json::{Value, json};
use wasmk_agent::Exit;

use crate::world::{World, condition, container};

fn one() -> Value {
    json!({"containers": [{"name": "c", "image": "app:v1", "env": [
        {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "config", "key": "a"}}}]}]})
}

fn world() -> World {
    let world = World::new();
    world.api.put("configmaps", json!({"metadata": {"name": "config", "namespace": "default"}, "data": {"a": "1"}}));
    world
}

#[tokio::test]
async fn a_restarted_agent_takes_its_pods_up_again() {
    let world = world();
    let agent = world.agent().await;
    world.pod("web", one());
    world.pod("gone", one());
    let before = world.ready("web").await;
    let gone = world.ready("gone").await;
    agent.shutdown(Duration::from_secs(5)).await;
    let stopped = world.api.get("pods", "web").unwrap();
    assert_eq!(condition(&stopped, "Ready"), "False");
    assert!(world.runtime.started(0).await.has_ended() && world.runtime.started(1).await.has_ended());
    world.api.remove("pods", "gone");

    let agent = world.agent().await;
    let after = world.pod_until("web", "runs again", |pod| condition(pod, "Ready") == "True").await;
    assert_eq!(container(&after)["restartCount"], 1);
    assert_eq!(after["status"]["podIP"], before["status"]["podIP"]);
    assert_eq!(world.runtime.count(), 3);
    let orphan = world.data.path().join("pods").join(gone["metadata"]["uid"].as_str().unwrap());
    let wait = async {
        while orphan.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("what it left is removed");
    agent.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn with_the_server_away_pods_run_on_and_restart() {
    let world = world();
    let agent = world.agent().await;
    world.pod("web", one());
    world.ready("web").await;
    world.api.set_down(true);
    for crash in 0..3 {
        world.runtime.started(crash).await.exit(Exit::Exited(1));
    }
    assert_eq!(world.runtime.started(3).await.env()["A"], "1");
    world.api.set_down(false);
    world
        .pod_until("web", "is reported", |pod| container(pod)["restartCount"] == 3 && condition(pod, "Ready") == "True")
        .await;
    world.pod("new", one());
    world.ready("new").await;
    agent.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn an_agent_that_starts_without_the_server_runs_what_it_had() {
    let world = world();
    let agent = world.agent().await;
    world.pod("web", one());
    let before = world.ready("web").await;
    agent.shutdown(Duration::from_secs(5)).await;
    world.api.set_down(true);

    let agent = world.agent_with(world.config());
    let started = world.runtime.started(1).await;
    assert_eq!(started.env()["A"], "1");
    assert_eq!(json!(started.spec.pod.ip), before["status"]["podIP"]);
    world.api.set_down(false);
    agent.synced().await;
    world
        .pod_until("web", "is reported", |pod| container(pod)["restartCount"] == 1 && condition(pod, "Ready") == "True")
        .await;
    assert_eq!(world.runtime.count(), 2);
    agent.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn a_pod_of_the_same_name_is_another_pod() {
    let world = world();
    let agent = world.agent().await;
    world.pod("web", one());
    let first = world.ready("web").await;
    world.api.remove("pods", "web");
    world.pod("web", one());
    let second = world.ready("web").await;
    assert_ne!(first["metadata"]["uid"], second["metadata"]["uid"]);
    assert_eq!(container(&second)["restartCount"], 0);
    assert!(world.runtime.started(0).await.has_ended());
    agent.shutdown(Duration::ZERO).await;
}
