use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{AttachParams, DeleteParams, LogParams, PostParams};
use kube::runtime::conditions::is_pod_running;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(super) async fn run(client: &Client) {
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let pod = serde_json::from_value(json!({
        "metadata": {"name": "web"},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "c", "image": "hello:v1"}]},
    }));
    pods.create(&PostParams::default(), &pod.unwrap()).await.unwrap();
    await_condition(pods.clone(), "web", is_pod_running()).await.unwrap();
    commands(&pods).await;
    ports(&pods).await;
    pods.delete("web", &DeleteParams::default().grace_period(0)).await.unwrap();
}

async fn commands(pods: &Api<Pod>) {
    let with_input = AttachParams::default().stdin(true).stderr(false);
    let mut process = pods.exec("web", ["cat"], &with_input).await.unwrap();
    let mut stdin = process.stdin().unwrap();
    stdin.write_all(b"to and fro\n").await.unwrap();
    stdin.shutdown().await.unwrap();
    drop(stdin);
    let mut output = String::new();
    process.stdout().unwrap().read_to_string(&mut output).await.unwrap();
    assert_eq!(output, "to and fro\n");
    let mut process = pods.exec("web", ["env", "nope"], &AttachParams::default()).await.unwrap();
    let status = process.take_status().unwrap().await.unwrap();
    let cause = &status.details.unwrap().causes.unwrap()[0];
    assert_eq!((status.reason.as_deref(), cause.message.as_deref()), (Some("NonZeroExitCode"), Some("127")));
}

/// A request through a forwarded port, while the log is followed.
async fn ports(pods: &Api<Pod>) {
    let follow = LogParams { follow: true, tail_lines: Some(0), ..LogParams::default() };
    let mut log = pods.log_stream("web", &follow).await.unwrap().lines();
    let mut forward = pods.portforward("web", &[8080]).await.unwrap();
    let mut port = forward.take_stream(8080).unwrap();
    port.write_all(b"GET /by-port HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    port.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert_eq!(log.try_next().await.unwrap().unwrap(), "GET /by-port");
}
