//! The real kubectl, where there is one.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::{DEPLOYMENTS, PODS, pod};
use crate::tls::Listening;

struct Kubectl {
    directory: tempfile::TempDir,
    environment: Vec<(&'static str, &'static str)>,
}

impl Kubectl {
    /// `None` when there is no kubectl on this machine. The end-to-end suite requires one; this is a first alarm.
    async fn find(kubeconfig: &str) -> Option<Self> {
        Command::new("kubectl").args(["version", "--client"]).output().await.ok()?;
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config"), kubeconfig).unwrap();
        Some(Self { directory, environment: Vec::new() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What it printed; fails unless it succeeded.
    async fn run(&self, arguments: &str, input: &str) -> String {
        let (output, succeeded) = self.try_run(arguments, input).await;
        assert!(succeeded, "kubectl {arguments}: {output}");
        output
    }

    async fn try_run(&self, arguments: &str, input: &str) -> (String, bool) {
        let mut child = Command::new("kubectl")
            .arg("--kubeconfig")
            .arg(self.path("config"))
            .arg("--cache-dir")
            .arg(self.path("cache"))
            .args(arguments.split(' '))
            .envs(self.environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (text, output.status.success())
    }
}

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: 'hello:v1', ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
";

#[tokio::test]
async fn everyday_commands_work() {
    let listening = Listening::start().await;
    let Some(kubectl) = Kubectl::find(&listening.kubeconfig).await else { return };
    let created = kubectl.run("apply -f -", WEB).await;
    assert_eq!(created, "deployment.apps/web created\nservice/web created\n");
    let unchanged = kubectl.run("apply -f -", WEB).await;
    assert_eq!(unchanged, "deployment.apps/web unchanged\nservice/web unchanged\n");
    let changed = kubectl.run("apply -f -", &WEB.replace("hello:v1", "hello:v2")).await;
    assert!(changed.starts_with("deployment.apps/web configured\n"), "{changed}");
    let rejected = kubectl.try_run("apply -f -", &WEB.replace("replicas", "replica")).await;
    // Old ones find it themselves, by OpenAPI.
    let found = ["\"spec.replica\"", "\"replica\" in io.k8s.api.apps.v1.DeploymentSpec"];
    let found = found.iter().any(|field| rejected.0.contains(&format!("unknown field {field}")));
    assert!(!rejected.1 && found, "{}", rejected.0);

    assert!(kubectl.run("get deploy,svc -o wide", "").await.contains("hello:v2"));
    assert!(kubectl.run("get all", "").await.contains("service/web"));
    let described = kubectl.run("describe deploy web", "").await;
    assert!(described.contains("RollingUpdateStrategy:  25% max unavailable, 25% max surge"), "{described}");
    kubectl.run("describe svc web", "").await;
    assert_eq!(kubectl.run("scale deploy/web --replicas=5", "").await, "deployment.apps/web scaled\n");
    kubectl.run("scale deploy/web --replicas=4 --current-replicas=5", "").await;
    assert_eq!(kubectl.run("get deploy web -o jsonpath={.spec.replicas}", "").await, "4");
    assert_eq!(kubectl.run("label deploy web x=y", "").await, "deployment.apps/web labeled\n");
    kubectl.run("annotate deploy web k=v", "").await;
    kubectl.run("set image deploy/web c=hello:v3", "").await;
    kubectl.run("set env deploy/web A=1", "").await;
    kubectl.run("rollout restart deploy/web", "").await;
    kubectl.run("patch deploy web -p {\"spec\":{\"replicas\":2}}", "").await;
    let explained = kubectl.run("explain deployment.spec.template.spec.containers", "").await;
    assert!(explained.contains("List of containers belonging to the pod."), "{explained}");
    let explained = kubectl.run("explain pods.spec --recursive", "").await;
    assert!(explained.contains("terminationGracePeriodSeconds"), "{explained}");
    assert!(kubectl.run("api-resources", "").await.contains("deployments"));
    assert!(kubectl.run("version", "").await.contains("Server Version: v1.34."));
    listening.stop().await;
}

#[tokio::test]
async fn rollout_status_waits_for_the_controller() {
    let listening = Listening::start().await;
    let Some(kubectl) = Kubectl::find(&listening.kubeconfig).await else { return };
    kubectl.run("apply -f -", WEB).await;
    let report = async {
        let status = json!({"status": {
            "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
        }});
        let path = format!("{DEPLOYMENTS}/web/status");
        listening.server.patch(&path, "application/merge-patch+json", status).await.expect(200);
    };
    let (output, ()) = tokio::join!(kubectl.run("rollout status deploy/web --timeout=60s", ""), report);
    assert!(output.ends_with("deployment \"web\" successfully rolled out\n"), "{output}");
    listening.stop().await;
}

#[tokio::test]
async fn create_run_and_delete() {
    let listening = Listening::start().await;
    let Some(kubectl) = Kubectl::find(&listening.kubeconfig).await else { return };
    // These are sent as protobuf from kubectl 1.32 on.
    assert_eq!(kubectl.run("create deployment d2 --image=x:2", "").await, "deployment.apps/d2 created\n");
    kubectl.run("create configmap c2 --from-literal=a=b", "").await;
    kubectl.run("create secret generic s1 --from-literal=a=b", "").await;
    kubectl.run("create namespace n2", "").await;
    assert_eq!(kubectl.run("get cm c2 -o jsonpath={.data.a}", "").await, "b");
    kubectl.run("run r1 --image=x:1", "").await;
    kubectl.run("apply --server-side -f -", WEB).await;
    kubectl.run("create -f - --dry-run=server", &pod("dry").to_string()).await;
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}});
    listening.server.post("/api/v1/nodes", node).await.expect(201);
    let mut running = pod("running");
    running["spec"]["nodeName"] = json!("n");
    listening.server.post(PODS, running).await.expect(201);
    let status = json!({"status": {"containerStatuses": [{
        "name": "c", "image": "hello:v1", "imageID": "", "ready": true, "restartCount": 0,
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
    }]}});
    let path = format!("{PODS}/running/status");
    listening.server.patch(&path, "application/merge-patch+json", status).await.expect(200);
    assert_eq!(kubectl.run("logs running --tail=5", "").await, "n running c tailLines=5\n");
    assert!(kubectl.run("describe node n", "").await.contains("running"));
    kubectl.run("wait --for=jsonpath={.metadata.name}=r1 pod/r1 --timeout=30s", "").await;
    assert_eq!(kubectl.run("delete pod r1", "").await, "pod \"r1\" deleted\n");
    assert_eq!(kubectl.run("delete -f -", WEB).await, "deployment.apps \"web\" deleted\nservice \"web\" deleted\n");
    kubectl.run("delete deploy d2 --cascade=background", "").await;
    listening.server.get(&format!("{PODS}/r1")).await.expect_failure(404, "NotFound");
    listening.stop().await;
}

#[tokio::test]
async fn commands_run_over_websocket_and_spdy() {
    let listening = Listening::start().await;
    let Some(mut kubectl) = Kubectl::find(&listening.kubeconfig).await else { return };
    listening.server.run_pod().await;
    let much = "0123456789abcde\n".repeat(40_000);
    for environment in [vec![], vec![("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false")]] {
        kubectl.environment = environment;
        assert_eq!(kubectl.run("exec web -- args a b", "").await, "[\"args\", \"a\", \"b\"]");
        assert_eq!(kubectl.run("exec web -c c -- err oh", "").await, "oh");
        assert!(kubectl.run("exec -i web -- cat", &much).await == much);
        assert_eq!(kubectl.run("attach -i -q web", "hello").await, "hello");
        let (output, succeeded) = kubectl.try_run("exec web -- exit 3", "").await;
        assert!(!succeeded && output.contains("exit code 3"), "{output}");
        let (output, succeeded) = kubectl.try_run("exec web -- nothing", "").await;
        assert!(!succeeded && output.contains("no such command"), "{output}");
    }
    listening.stop().await;
}
