mod cases;
mod properties;

use serde_json::{Value, json};
use wasmk_api::Key;

use crate::pod;
use crate::sim::{Sim, set_ready};

const ONLY: &[&str] = &["deployment", "replicaset"];

fn key() -> Key {
    Key::new("deployments.apps", "default", "web")
}

fn deployment(replicas: i64, strategy: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "annotations": {"kubernetes.io/change-cause": "first"}},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "strategy": strategy,
            "progressDeadlineSeconds": 600, "revisionHistoryLimit": 2,
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:v1"}]}},
        },
    })
}

fn rolling(surge: impl Into<Value>, unavailable: impl Into<Value>) -> Value {
    json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge.into(), "maxUnavailable": unavailable.into()}})
}

fn set_image(sim: &mut Sim, image: &str) {
    sim.edit(&key(), |value| value["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image));
}

fn active_pods(sim: &Sim) -> Vec<Key> {
    let pods = "pods".into();
    sim.snapshot.list(&pods, None).filter(|pod| pod::is_active(pod)).map(|pod| pod.key().clone()).collect()
}

fn ready_pods(sim: &Sim) -> usize {
    active_pods(sim).iter().filter(|key| pod::is_ready(sim.get(key))).count()
}

/// Every pod becomes ready as soon as it is there.
fn settle_ready(sim: &mut Sim) {
    for _ in 0..50 {
        sim.settle();
        let waiting: Vec<Key> = active_pods(sim).into_iter().filter(|key| !pod::is_ready(sim.get(key))).collect();
        if waiting.is_empty() {
            return;
        }
        let now = sim.now;
        waiting.iter().for_each(|key| sim.edit(key, |pod| set_ready(pod, true, now)));
    }
    panic!("pods keep coming");
}

/// Revision, image and size of each ReplicaSet, oldest revision first.
fn sets(sim: &Sim) -> Vec<String> {
    let mut lines: Vec<(i64, String)> = Vec::new();
    for set in sim.list("replicasets.apps") {
        let revision = set["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str().unwrap().to_owned();
        let image = set["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned();
        lines.push((revision.parse().unwrap(), format!("{revision} {image} x{}", set["spec"]["replicas"])));
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

fn progress(sim: &Sim) -> (String, String) {
    let status = &sim.get(&key()).value()["status"];
    let condition = crate::json::condition(status, "Progressing").expect("it estimates progress");
    let text = |field: &str| condition[field].as_str().unwrap().to_owned();
    (text("status"), text("reason"))
}
