use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};
use wasmk_agent::{Container, Exit, LogOptions};

use crate::world::{World, condition, container, logs};

fn one(image: &str) -> Value {
    json!({"containers": [{"name": "c", "image": image}]})
}

#[tokio::test]
async fn a_pod_runs_with_all_it_was_given() {
    let world = World::new();
    let agent = world.agent().await;
    world.api.put(
        "configmaps",
        json!({"metadata": {"name": "config", "namespace": "default"}, "data": {"greeting": "Hello"}}),
    );
    let secret = json!({"metadata": {"name": "login", "namespace": "default"}, "data": {"token": "c2VjcmV0"}});
    world.api.put("secrets", secret);
    let service = json!({"metadata": {"name": "db", "namespace": "default"}, "spec": {"clusterIP": "10.43.0.9", "ports": [{"port": 5432}]}});
    world.api.put("services", service);
    world.pod(
        "web",
        json!({
            "containers": [{
                "name": "c", "image": "app-http:v1", "args": ["--ip=$(IP)"],
                "ports": [{"name": "http", "containerPort": 8080}],
                "env": [
                    {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                    {"name": "GREETING", "valueFrom": {"configMapKeyRef": {"name": "config", "key": "greeting"}}}],
                "resources": {"limits": {"memory": "64Mi", "cpu": "250m"}},
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}},
                "volumeMounts": [{"name": "secret", "mountPath": "/secret"}, {"name": "data", "mountPath": "/data"}]}],
            "volumes": [{"name": "secret", "secret": {"secretName": "login"}}, {"name": "data", "emptyDir": {}}]}),
    );
    let pod = world.ready("web").await;
    let started = world.runtime.started(0).await;
    assert_eq!(started.spec.argv, ["app", "--ip=10.64.16.2"]);
    assert_eq!((started.spec.memory_bytes_max, started.spec.cpu_millis_max), (Some(64 << 20), Some(250)));
    assert_eq!(started.spec.ports, [8080]);
    let env = started.env();
    assert_eq!((env["GREETING"].as_str(), env["HOSTNAME"].as_str()), ("Hello", "web"));
    assert!(!started.mount("/data").read_only && started.mount("/secret").read_only);
    assert_eq!(std::fs::read_to_string(started.mount("/secret").host.join("token")).unwrap(), "secret");
    assert_eq!(pod["status"]["podIP"], "10.64.16.2");
    assert_eq!(pod["status"]["hostIP"], "127.0.0.2");
    assert_eq!(pod["metadata"]["annotations"]["wasmk.dev/app-protocol"], "http");
    assert_eq!(container(&pod)["imageID"], "app-http@sha256:app-http:v1");
    for (reason, part) in [("Pulling", "app-http:v1"), ("Pulled", "Successfully"), ("Created", "c"), ("Started", "c")] {
        world.event(reason, part).await;
    }
    assert_eq!(agent.usage().total().memory_bytes, 1 << 16);
    agent.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn readiness_and_liveness_follow_the_guest() {
    let world = World::new();
    let agent = world.agent().await;
    world.network.code.send_replace(503);
    let probe = json!({"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1});
    world.pod("web", json!({"containers": [{"name": "c", "image": "app:v1", "readinessProbe": probe}]}));
    world.pod_until("web", "runs", |pod| pod["status"]["phase"] == "Running").await;
    world.event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503").await;
    world.network.code.send_replace(200);
    world.ready("web").await;
    world.network.code.send_replace(500);
    world.pod_until("web", "is unready", |pod| condition(pod, "Ready") == "False").await;
    world.pod("live", json!({"containers": [{"name": "c", "image": "app:v1", "livenessProbe": probe}]}));
    let pod = world.pod_until("live", "was restarted", |pod| container(pod)["restartCount"] == 1).await;
    assert_eq!(container(&pod)["lastState"]["terminated"]["exitCode"], 137);
    agent.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn what_is_missing_is_named_and_awaited() {
    let world = World::new();
    let agent = world.agent().await;
    let mut spec = one("app:v1");
    spec["volumes"] = json!([{"name": "v", "configMap": {"name": "late"}}]);
    spec["containers"][0]["env"] = json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "later", "key": "a"}}}]);
    world.pod("web", spec);
    world.event("FailedMount", "MountVolume.SetUp failed for volume \"v\" : configmap \"late\" not found").await;
    world.api.put("configmaps", json!({"metadata": {"name": "late", "namespace": "default"}}));
    let reason = |pod: &Value| container(pod)["state"]["waiting"]["reason"].clone();
    let pod = world.pod_until("web", "waits", |pod| reason(pod) == "CreateContainerConfigError").await;
    assert_eq!(container(&pod)["state"]["waiting"]["message"], "secret \"later\" not found");
    world.event("Failed", "Error: secret \"later\" not found").await;
    world.api.put("secrets", json!({"metadata": {"name": "later", "namespace": "default"}, "data": {"b": ""}}));
    world.event("Failed", "couldn't find key a in Secret default/later").await;
    world.api.put("secrets", json!({"metadata": {"name": "later", "namespace": "default"}, "data": {"a": "MQ=="}}));
    world.ready("web").await;
    assert_eq!(world.runtime.started(0).await.env()["A"], "1");
    agent.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn images_that_cannot_run_say_why() {
    let world = World::new();
    let agent = world.agent().await;
    for image in ["missing:v1", "broken:v1", "bad name"] {
        world.pod(image.split([':', ' ']).next().unwrap(), one(image));
    }
    let waits = |reason: &'static str| move |pod: &Value| container(pod)["state"]["waiting"]["reason"] == reason;
    world.pod_until("missing", "is not pulled", waits("ErrImagePull")).await;
    world.event("Failed", "Failed to pull image \"missing:v1\": missing:v1 is in no registry").await;
    world.event("BackOff", "Back-off pulling image").await;
    let pod = world.pod_until("broken", "is broken", waits("CreateContainerError")).await;
    assert_eq!(
        container(&pod)["state"]["waiting"]["message"],
        "app.wasm is not a wasm file: it starts with 7f 45 4c 46"
    );
    world.pod_until("bad", "has no image name", waits("InvalidImageName")).await;
    let never = json!({"containers": [{"name": "c", "image": "never:v1", "imagePullPolicy": "Never"}]});
    world.pod("never", never);
    world.pod_until("never", "is not here", waits("ErrImageNeverPull")).await;
    agent.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn volumes_follow_their_sources_while_the_guest_runs() {
    let world = World::new();
    let agent = world.agent().await;
    let config = |text: &str| json!({"metadata": {"name": "site", "namespace": "default"}, "data": {"index": text}});
    world.api.put("configmaps", config("one"));
    let mut spec = one("app:v1");
    spec["volumes"] = json!([{"name": "v", "configMap": {"name": "site"}}]);
    spec["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/www"}]);
    world.pod("web", spec);
    world.ready("web").await;
    let file = world.runtime.started(0).await.mount("/www").host.join("index");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "one");
    world.api.put("configmaps", config("two"));
    let wait = async {
        while std::fs::read_to_string(&file).unwrap() != "two" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the volume is brought up to date");
    assert_eq!(world.runtime.count(), 1);
    agent.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn crashes_restart_with_their_message_and_logs_kept() {
    let world = World::new();
    let agent = world.agent().await;
    let mut spec = one("app:v1");
    spec["containers"][0]["terminationMessagePolicy"] = json!("FallbackToLogsOnError");
    world.pod("web", spec);
    let first = world.runtime.started(0).await;
    first.print("about to fail").await;
    first.exit(Exit::Exited(3));
    let second = world.runtime.started(1).await;
    let pod = world.pod_until("web", "was restarted", |pod| container(pod)["restartCount"] == 1).await;
    let last = &container(&pod)["lastState"]["terminated"];
    assert_eq!(
        (&last["exitCode"], &last["reason"], &last["message"]),
        (&json!(3), &json!("Error"), &json!("about to fail"))
    );
    second.print("second run").await;
    second.exit(Exit::Trapped { message: "wasm `unreachable`".into(), backtrace: "0: main".into() });
    let pod = world
        .pod_until("web", "backs off", |pod| container(pod)["state"]["waiting"]["reason"] == "CrashLoopBackOff")
        .await;
    assert_eq!(container(&pod)["lastState"]["terminated"]["message"], "wasm `unreachable`\n0: main");
    world.event("BackOff", "Back-off restarting failed container c in pod web_default").await;
    let third = world.runtime.started(2).await;
    world.pod_until("web", "runs again", |pod| container(pod)["restartCount"] == 2).await;
    let previous = LogOptions { previous: true, ..LogOptions::default() };
    assert_eq!(logs(&agent, "web", previous).await.unwrap(), "second run\n");
    third.exit(Exit::OutOfMemory { message: "limit of 64Mi reached".into() });
    let oom = |pod: &Value| container(pod)["lastState"]["terminated"]["reason"] == "OOMKilled";
    world.pod_until("web", "was out of memory", oom).await;
    agent.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn logs_are_followed_to_the_end_of_the_container() {
    let world = World::new();
    let agent = world.agent().await;
    assert!(logs(&agent, "web", LogOptions::default()).await.is_err());
    world.pod("web", json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "app:v1"}]}));
    let started = world.runtime.started(0).await;
    started.print("one").await;
    let query = wasmk_agent::LogQuery {
        namespace: "default".into(),
        pod: "web".into(),
        uid: None,
        container: "c".into(),
        options: LogOptions { follow: true, ..LogOptions::default() },
    };
    let mut follow = agent.logs(query).unwrap();
    assert_eq!(follow.next().await.unwrap().unwrap(), "one\n");
    started.print("two").await;
    assert_eq!(follow.next().await.unwrap().unwrap(), "two\n");
    started.exit(Exit::Exited(0));
    assert!(follow.next().await.is_none());
    let pod = world.pod_until("web", "is over", |pod| pod["status"]["phase"] == "Succeeded").await;
    assert_eq!(container(&pod)["state"]["terminated"]["reason"], "Completed");
    assert_eq!(logs(&agent, "web", LogOptions::default()).await.unwrap(), "one\ntwo\n");
    agent.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn deletion_is_orderly_and_leaves_nothing() {
    let world = World::new();
    let agent = world.agent().await;
    world.pod("web", one("app-http:v1"));
    let pod = world.ready("web").await;
    let uid = pod["metadata"]["uid"].as_str().unwrap().to_owned();
    world.network.calls.send_modify(Vec::clear);
    world.api.delete_gracefully("web", 30);
    world.api.until("the pod is removed", |api| api.get("pods", "web").is_none().then_some(())).await;
    assert_eq!(*world.network.calls.borrow(), ["route false", "drain", "detach"]);
    assert!(world.runtime.started(0).await.has_ended());
    assert!(!world.data.path().join("pods").join(uid).exists());
    assert_eq!(std::fs::read_dir(world.data.path().join("logs")).unwrap().count(), 0);
    agent.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn a_program_with_an_input_is_told_of_its_end_by_the_end_of_it() {
    let world = World::new();
    let agent = world.agent().await;
    let mut spec = one("app:v1");
    world.pod("deaf", spec.clone());
    world.ready("deaf").await;
    spec["containers"][0]["stdin"] = true.into();
    world.pod("told", spec);
    world.ready("told").await;
    for pod in ["deaf", "told"] {
        world.api.delete_gracefully(pod, 30);
        world.api.until("the pod is removed", |api| api.get("pods", pod).is_none().then_some(())).await;
    }
    let (deaf, told) = (world.runtime.started(0).await, world.runtime.started(1).await);
    assert_eq!((deaf.wait().await, told.wait().await), (Exit::Killed, Exit::Exited(0)));
    agent.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn a_pod_that_fills_its_volume_past_the_limit_is_evicted() {
    let world = World::new();
    let agent = world.agent().await;
    let mut spec = one("app:v1");
    spec["volumes"] = json!([{"name": "data", "emptyDir": {"sizeLimit": "1Ki"}}]);
    spec["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    world.pod("web", spec);
    world.ready("web").await;
    let started = world.runtime.started(0).await;
    std::fs::write(started.mount("/data").host.join("file"), [0; 1025]).unwrap();
    let pod = world.pod_until("web", "has failed", |pod| pod["status"]["phase"] == "Failed").await;
    assert_eq!(pod["status"]["reason"], "Evicted");
    assert_eq!(pod["status"]["message"], "Usage of EmptyDir volume \"data\" exceeds the limit \"1Ki\".");
    assert!(started.has_ended());
    agent.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn hundreds_of_pods_come_up_with_one_pull_and_go_again() {
    const PODS: usize = 300;
    let world = World::new();
    let agent = world.agent().await;
    for number in 0..PODS {
        world.pod(&format!("web-{number}"), one("app-http:v1"));
    }
    let ready = |api: &crate::api::FakeApi| {
        let pods = api.list("pods");
        pods.iter().all(|pod| condition(pod, "Ready") == "True").then_some(pods)
    };
    let pods = world.api.until("all are ready", ready).await;
    let ips: std::collections::BTreeSet<_> = pods.iter().map(|pod| pod["status"]["podIP"].to_string()).collect();
    assert_eq!((ips.len(), world.runtime.count(), world.images.pulls.lock().unwrap().len()), (PODS, PODS, 1));
    for number in 0..PODS {
        world.api.delete_gracefully(&format!("web-{number}"), 30);
    }
    world.api.until("all are gone", |api| api.list("pods").is_empty().then_some(())).await;
    assert_eq!(std::fs::read_dir(world.data.path().join("pods")).unwrap().count(), 0);
    agent.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn a_bug_in_one_pod_is_not_the_end_of_the_others() {
    let world = World::new();
    let agent = world.agent().await;
    world.pod("web", one("app:v1"));
    world.ready("web").await;
    world.pod("panics", one("panic-once:v1"));
    world.ready("panics").await;
    assert!(!world.runtime.started(0).await.has_ended());
    agent.shutdown(Duration::ZERO).await;
}
