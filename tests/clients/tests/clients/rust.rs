//! What programs in Rust do, with kube and its runtime.

mod controller;
mod informer;
mod objects;
mod streams;

use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use wasmk_clients::Stage;

/// How long anything may take on a machine that does other things too.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn rust() {
    let mut stage = Stage::new(&["hello:v1"]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let client = runtime.block_on(connect(&stage));
    runtime.block_on(objects::run(&client));
    runtime.block_on(streams::run(&client));
    runtime.block_on(controller::run(&client));
    informer::run(&mut stage, &runtime, &client);
}

async fn connect(stage: &Stage) -> Client {
    let kubeconfig = Kubeconfig::read_from(stage.cluster.kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// The code of a refusal.
#[track_caller]
fn refused<T: std::fmt::Debug>(answer: kube::Result<T>) -> (u16, String) {
    match answer {
        Err(kube::Error::Api(status)) => (status.code, status.message.clone()),
        other => panic!("it should have been refused: {other:?}"),
    }
}

fn configmap<T: serde::de::DeserializeOwned>(name: &str, labels: Value, data: Value) -> T {
    serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}, "data": data})).unwrap()
}

/// Waits for a condition that is asked for.
async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut attempt: impl FnMut() -> F) -> T {
    let waited = tokio::time::timeout(LIMIT, async {
        loop {
            if let Some(found) = attempt().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("not in time: {what}"))
}
