use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use futures::{StreamExt, pin_mut};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::runtime::{WatchStreamExt, watcher};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::{SourceData, SourceKind, SourceRef};
use crate::retry::ServerBackoff;

/// One object, kept current by a task that ends with this.
pub(super) struct Watched {
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

struct Shared {
    /// `None` when there is no such object.
    object: Mutex<Option<Arc<SourceData>>>,
    progress: watch::Sender<Progress>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Progress {
    /// 0 until the first list was read.
    version: u64,
    /// The last attempt to reach the server failed.
    failing: bool,
}

impl Watched {
    pub(super) fn spawn(client: &kube::Client, namespace: &str, source: &SourceRef) -> Self {
        let shared = Arc::new(Shared { object: Mutex::default(), progress: watch::Sender::default() });
        let (client, writer, name) = (client.clone(), shared.clone(), &source.name);
        let task = match source.kind {
            SourceKind::ConfigMap => {
                tokio::spawn(follow::<ConfigMap>(Api::namespaced(client, namespace), name, writer))
            }
            SourceKind::Secret => tokio::spawn(follow::<Secret>(Api::namespaced(client, namespace), name, writer)),
        };
        Self { shared, _task: AbortOnDropHandle::new(task) }
    }

    /// Whether the server has told of the object; waits for its word unless the server is known to be away.
    pub(super) async fn synced(&self) -> bool {
        let mut progress = self.shared.progress.subscribe();
        let known = progress.wait_for(|progress| progress.version > 0 || progress.failing).await;
        known.expect("the sender is held by `self`").version > 0
    }

    pub(super) fn get(&self) -> Option<Arc<SourceData>> {
        self.shared.object.lock().expect("no panic while held").clone()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Progress> {
        self.shared.progress.subscribe()
    }
}

fn follow<K>(api: Api<K>, name: &str, shared: Arc<Shared>) -> impl Future<Output = ()> + Send + use<K>
where
    K: kube::Resource<DynamicType = ()> + k8s_openapi::Resource<Scope = NamespaceResourceScope>,
    K: Clone + DeserializeOwned + Debug + Send + 'static + Into<SourceData>,
{
    // The server lets a node read what its pods name, and nothing else.
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let events = watcher(api, config).backoff(ServerBackoff::default());
    async move {
        pin_mut!(events);
        let mut listed = None;
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => listed = None,
                Ok(watcher::Event::InitApply(object)) => listed = Some(object),
                Ok(watcher::Event::InitDone) => shared.set(listed.take()),
                Ok(watcher::Event::Apply(object)) => shared.set(Some(object)),
                Ok(watcher::Event::Delete(_)) => shared.set::<K>(None),
                Err(error) => {
                    tracing::debug!(%error, "watch of configuration is interrupted");
                    shared.progress.send_if_modified(|progress| !std::mem::replace(&mut progress.failing, true));
                }
            }
        }
    }
}

impl Shared {
    fn set<K: Into<SourceData>>(&self, object: Option<K>) {
        *self.object.lock().expect("no panic while held") = object.map(|object| Arc::new(object.into()));
        self.progress.send_modify(|progress| *progress = Progress { version: progress.version + 1, failing: false });
    }
}
