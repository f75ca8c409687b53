use std::collections::BTreeSet;

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, PostParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::{Store, reflector, store};
use kube::runtime::watcher::{Config, DefaultBackoff, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tokio::runtime::Runtime;
use wasmk_clients::Stage;

use super::{configmap, eventually};

/// Both ways in which the runtime fills a copy: by lists, and by watches that begin with what there is.
pub(super) fn run(stage: &mut Stage, runtime: &Runtime, client: &Client) {
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    runtime.block_on(put(&api, "before"));
    let config = Config::default().labels("set=informed");
    let copies = [config.clone(), config.streaming_lists()].map(|config| follow(runtime, api.clone(), config));
    let wait = |what: &str, wanted: &[&str]| runtime.block_on(have(&copies, what, wanted));
    wait("what was there", &["before"]);
    runtime.block_on(put(&api, "while"));
    wait("what comes", &["before", "while"]);
    stage.cluster.server.kill();
    stage.cluster.restart_server();
    runtime.block_on(async {
        // The first request may find the old connection.
        eventually("the server answers", async || api.get("before").await.ok()).await;
        api.delete("before", &DeleteParams::default()).await.unwrap();
        put(&api, "after").await;
    });
    wait("nothing is missed around a kill of the server", &["after", "while"]);
}

async fn put(api: &Api<ConfigMap>, name: &str) {
    let object = configmap(name, json!({"set": "informed"}), json!({}));
    api.create(&PostParams::default(), &object).await.unwrap();
}

/// Keeps a copy of what is selected for as long as the runtime lives.
fn follow(runtime: &Runtime, api: Api<ConfigMap>, config: Config) -> Store<ConfigMap> {
    let (copy, writer) = store();
    let events = watcher(api, config).backoff(DefaultBackoff::default());
    let stream = reflector(writer, events);
    runtime.spawn(stream.for_each(async |_| ()));
    copy
}

async fn have(copies: &[Store<ConfigMap>], what: &str, wanted: &[&str]) {
    let wanted: BTreeSet<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
    for copy in copies {
        eventually(what, async || {
            let names: BTreeSet<String> = copy.state().iter().map(|object| object.name_any()).collect();
            (names == wanted).then_some(())
        })
        .await;
    }
}
