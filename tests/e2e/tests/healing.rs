//! Whatever breaks, the desired replicas come back.

use std::time::Duration;

use serde_json::Value;
use wasmk_e2e::{Cluster, Load, Output, condition, eventually, get};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_deleted_pod_is_replaced_and_a_trapped_container_restarted() {
    let cluster = Cluster::up();
    cluster.build("hello", "hello:v1");
    cluster.build("hostile", "hostile:v1");
    cluster.wasmk(&["apply", "-f", "manifests/hello.yaml"]);
    cluster.rolled_out("hello");
    let url = cluster.url(0, 30080, "/");

    let name = cluster.wasmk(&["get", "pods", "-o", "jsonpath={.items[0].metadata.name}"]);
    cluster.wasmk(&["delete", "pod", &name]);
    cluster.rolled_out("hello");
    let pods = cluster.items("pods");
    assert!(pods.len() == 3 && pods.iter().all(|pod| pod["metadata"]["name"] != name.as_str()));

    // A trap inside one request ends that request, not the replica.
    assert_eq!(get(&cluster.url(0, 30080, "/panic")).unwrap().status, 500);
    assert_eq!(cluster.get_ok(&url).status, 200);
    let pods = cluster.items("pods -l app=hello");
    let restarts: Vec<&Value> = pods.iter().map(|pod| &pod["status"]["containerStatuses"][0]["restartCount"]).collect();
    assert!(restarts.iter().all(|count| **count == 0), "{restarts:?}");
    eventually(LIMIT, || match cluster.wasmk(&["logs", "-l", "app=hello"]) {
        logs if logs.contains("asked to panic") && logs.contains("wasm backtrace") => Ok(()),
        logs => Err(logs),
    });

    cluster.apply(&crasher("Always")).ok();
    let status = eventually(LIMIT, || {
        let status = cluster.items("pod/crasher").pop().unwrap_or_default()["status"]["containerStatuses"][0].clone();
        let is_back =
            status["restartCount"].as_i64().unwrap_or(0) >= 1 && status["lastState"]["terminated"].is_object();
        if is_back { Ok(status) } else { Err(status.to_string()) }
    });
    let ended = &status["lastState"]["terminated"];
    assert_eq!(ended["reason"], "Error", "{ended}");
    assert!(ended["message"].as_str().unwrap_or_default().contains("index out of bounds"), "{ended}");
    let previous = cluster.wasmk(&["logs", "crasher", "--previous"]);
    assert!(previous.contains("read_past_the_end"), "no function names in\n{previous}");
}

#[test]
fn an_unready_replica_gets_no_requests_until_it_is_ready_again() {
    let cluster = Cluster::up();
    cluster.build("static-web", "static-web:v1");
    cluster.apply(&probed_web()).ok();
    cluster.rolled_out("web");
    let url = cluster.url(0, 30500, "/index.html");
    cluster.get_ok(&url);
    // The probe asks for a file of the mounted ConfigMap: without it the replicas are unready.
    cluster.wasmk(&["patch", "configmap", "web", "--type", "merge", "-p", "data: {health: null}"]);
    eventually(LIMIT * 2, || match get(&url) {
        Ok(answer) if answer.status == 503 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let pod = cluster.items("pods").remove(0);
    assert_eq!((condition(&pod, "Ready"), condition(&pod, "Initialized")), ("False", "True"));
    cluster.wasmk(&["patch", "configmap", "web", "--type", "merge", "-p", "data: {health: ok}"]);
    eventually(LIMIT * 2, || match get(&url) {
        Ok(answer) if answer.status == 200 => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn a_rolling_update_under_load_loses_no_request_and_undo_returns() {
    let cluster = Cluster::up();
    cluster.build("hello", "hello:v1");
    let mut v2 = cluster.command(&["build", "sample-apps/hello", "-t", "hello:v2"]);
    Output::of(v2.env("HELLO_VERSION", "v2")).ok();
    cluster.wasmk(&["apply", "-f", "manifests/hello.yaml"]);
    cluster.rolled_out("hello");
    let url = cluster.url(0, 30080, "/");
    cluster.get_ok(&url);

    let load = Load::start(4, vec![url.clone()]);
    cluster.wasmk(&["set", "image", "deploy/hello", "hello=hello:v2"]);
    cluster.rolled_out("hello");
    cluster.wasmk(&["rollout", "undo", "deploy/hello"]);
    cluster.rolled_out("hello");
    let report = load.stop();
    assert!(report.failures.is_empty(), "{:?} beside {} good ones", report.failures, report.ok);
    let saw = |version: &str| report.answers.keys().any(|answer| answer.contains(version));
    assert!(saw("version: v1") && saw("version: v2"), "{:?}", report.answers);
    assert!(cluster.get_ok(&url).text().contains("version: v1"));
}

fn crasher(policy: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: crasher}}, spec: {{restartPolicy: {policy}, \
         containers: [{{name: c, image: 'hostile:v1', args: [crash]}}]}}}}"
    )
}

fn probed_web() -> String {
    r"
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data: {index.html: hello, health: ok}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: static-web:v1
          readinessProbe: {httpGet: {path: /health, port: 8080}, periodSeconds: 1, failureThreshold: 1}
          volumeMounts: [{name: site, mountPath: /www}]
      volumes: [{name: site, configMap: {name: web}}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30500}]}
"
    .to_owned()
}
