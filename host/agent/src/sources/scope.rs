use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use futures::{StreamExt, pin_mut};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::{SourceData, SourceKind};
use crate::retry::ServerBackoff;

/// The objects of one kind in one namespace, kept current by a task that ends with this.
pub(super) struct Scope {
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

struct Shared {
    objects: Mutex<HashMap<String, Arc<SourceData>>>,
    progress: watch::Sender<Progress>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Progress {
    /// 0 until the first list was read.
    version: u64,
    /// The last attempt to reach the server failed.
    failing: bool,
}

impl Scope {
    pub(super) fn spawn(client: &kube::Client, kind: SourceKind, namespace: &str) -> Self {
        let shared = Arc::new(Shared { objects: Mutex::default(), progress: watch::Sender::default() });
        let (client, writer) = (client.clone(), shared.clone());
        let task = match kind {
            SourceKind::ConfigMap => tokio::spawn(follow::<ConfigMap>(Api::namespaced(client, namespace), writer)),
            SourceKind::Secret => tokio::spawn(follow::<Secret>(Api::namespaced(client, namespace), writer)),
        };
        Self { shared, _task: AbortOnDropHandle::new(task) }
    }

    /// Whether the namespace was listed; waits for the list unless the server is known to be away.
    pub(super) async fn synced(&self) -> bool {
        let mut progress = self.shared.progress.subscribe();
        let known = progress.wait_for(|progress| progress.version > 0 || progress.failing).await;
        known.expect("the sender is held by `self`").version > 0
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<SourceData>> {
        self.shared.objects.lock().expect("no panic while held").get(name).cloned()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Progress> {
        self.shared.progress.subscribe()
    }
}

async fn follow<K>(api: Api<K>, shared: Arc<Shared>)
where
    K: kube::Resource<DynamicType = ()> + k8s_openapi::Resource<Scope = NamespaceResourceScope>,
    K: Clone + DeserializeOwned + Debug + Send + 'static + Into<SourceData>,
{
    let events = watcher(api, watcher::Config::default()).backoff(ServerBackoff::default());
    pin_mut!(events);
    let mut listed = HashMap::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(object)) => {
                listed.insert(object.name_any(), Arc::new(object.into()));
            }
            Ok(watcher::Event::InitDone) => shared.change(|objects| *objects = std::mem::take(&mut listed)),
            Ok(watcher::Event::Apply(object)) => shared.change(|objects| {
                objects.insert(object.name_any(), Arc::new(object.into()));
            }),
            Ok(watcher::Event::Delete(object)) => shared.change(|objects| {
                objects.remove(&object.name_any());
            }),
            Err(error) => {
                tracing::debug!(%error, "watch of configuration is interrupted");
                shared.progress.send_if_modified(|progress| !std::mem::replace(&mut progress.failing, true));
            }
        }
    }
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut HashMap<String, Arc<SourceData>>)) {
        change(&mut self.objects.lock().expect("no panic while held"));
        self.progress.send_modify(|progress| *progress = Progress { version: progress.version + 1, failing: false });
    }
}
