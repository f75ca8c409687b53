//! ConfigMaps and Secrets that pods here name, watched, and kept on disk for when the server is away.
//!
//! One watch an object, started by the first pod that names it and ended with the last. What a pod has used is also
//! written below `<data>/objects`, readable by the owner only.

mod disk;
mod watched;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures::future;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use disk::Disk;
use watched::Watched;

use crate::tokens::Tokens;

/// So long a pod waits for the server's first word of an object before it takes what is on disk.
const SYNC_TIMEOUT: Duration = Duration::from_secs(2);
/// Objects of one pod that are asked for at once.
const LOOKUPS_MAX: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum SourceKind {
    ConfigMap,
    Secret,
}

/// In the pod's own namespace.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct SourceRef {
    pub(crate) kind: SourceKind,
    pub(crate) name: String,
}

/// What a ConfigMap or a Secret holds, the same for both.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct SourceData {
    pub(crate) values: BTreeMap<String, Vec<u8>>,
    /// `binaryData` of a ConfigMap, which is for volumes only.
    pub(crate) binary: BTreeMap<String, Vec<u8>>,
}

/// `None`: there is no such object. An error: nobody knows.
pub(crate) type Lookup = Option<Result<Arc<SourceData>, String>>;

/// What a pod's references were found to be, all at one time.
#[derive(Clone, Default, PartialEq, Debug)]
pub(crate) struct Gathered {
    pub(crate) namespace: String,
    objects: BTreeMap<SourceRef, Lookup>,
    /// Those that the pod's volumes show.
    pub(crate) tokens: Tokens,
}

pub(crate) struct SourceCache {
    client: kube::Client,
    disk: Disk,
    /// By namespace and reference. Those who use an object keep its watch alive.
    watched: Mutex<HashMap<(String, SourceRef), Weak<Watched>>>,
}

impl SourceCache {
    pub(crate) fn new(client: kube::Client, dir: PathBuf) -> Self {
        Self { client, disk: Disk::new(dir), watched: Mutex::default() }
    }

    /// Looks up everything that `refs` names.
    pub(crate) async fn gather(&self, namespace: &str, refs: BTreeSet<SourceRef>) -> Gathered {
        use futures::StreamExt;
        let lookups = futures::stream::iter(refs).map(|source| async move {
            let found = self.get(namespace, &source).await;
            (source, found)
        });
        let objects = lookups.buffer_unordered(LOOKUPS_MAX).collect::<Vec<_>>().await.into_iter().collect();
        Gathered { namespace: namespace.to_owned(), objects, tokens: Tokens::new() }
    }

    /// Wakes when one of these changes, and keeps them watched as long as it lives.
    pub(crate) fn subscribe(&self, namespace: &str, refs: &BTreeSet<SourceRef>) -> SourceChanges {
        let watched = refs.iter().map(|source| self.watched(namespace, source));
        SourceChanges(watched.map(|watched| (watched.subscribe(), watched)).collect())
    }

    async fn get(&self, namespace: &str, source: &SourceRef) -> Lookup {
        let watched = self.watched(namespace, source);
        let synced = tokio::time::timeout(SYNC_TIMEOUT, watched.synced()).await.unwrap_or(false);
        let found = match watched.get() {
            Some(data) => Some(Ok(data)),
            // Perhaps it was made this instant and the watch is yet to say so.
            None if synced => self.fetch(namespace, source).await,
            None => Some(Err("the server does not answer".into())),
        };
        match found {
            Some(Ok(data)) => {
                self.disk.keep(namespace, source, &data);
                Some(Ok(data))
            }
            Some(Err(error)) => match self.disk.load(namespace, source) {
                Some(data) => Some(Ok(data)),
                None => Some(Err(error)),
            },
            None => None,
        }
    }

    async fn fetch(&self, namespace: &str, source: &SourceRef) -> Lookup {
        let client = self.client.clone();
        let found = match source.kind {
            SourceKind::ConfigMap => {
                let api = Api::<ConfigMap>::namespaced(client, namespace);
                api.get_opt(&source.name).await.map(|object| object.map(SourceData::from))
            }
            SourceKind::Secret => {
                let api = Api::<Secret>::namespaced(client, namespace);
                api.get_opt(&source.name).await.map(|object| object.map(SourceData::from))
            }
        };
        found.map_err(|error| error.to_string()).transpose().map(|found| found.map(Arc::new))
    }

    fn watched(&self, namespace: &str, source: &SourceRef) -> Arc<Watched> {
        let mut all = self.watched.lock().expect("no panic while held");
        let key = (namespace.to_owned(), source.clone());
        if let Some(watched) = all.get(&key).and_then(Weak::upgrade) {
            return watched;
        }
        all.retain(|_, watched| watched.strong_count() > 0);
        let watched = Arc::new(Watched::spawn(&self.client, namespace, source));
        all.insert(key, Arc::downgrade(&watched));
        watched
    }
}

/// Level-triggered: says only that it is time to look again.
pub(crate) struct SourceChanges(Vec<(watch::Receiver<watched::Progress>, Arc<Watched>)>);

impl SourceChanges {
    /// Never resolves without anything to watch. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        if self.0.is_empty() {
            return future::pending().await;
        }
        let waits = self.0.iter_mut().map(|(receiver, _)| Box::pin(receiver.changed()));
        let _ = future::select_all(waits).await;
    }
}

impl SourceRef {
    pub(crate) fn new(kind: SourceKind, name: &str) -> Self {
        Self { kind, name: name.to_owned() }
    }
}

impl SourceKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

impl Gathered {
    pub(crate) fn get(&self, kind: SourceKind, name: &str) -> Option<Result<&SourceData, &str>> {
        let found = self.objects.get(&SourceRef::new(kind, name))?;
        found.as_ref().map(|found| found.as_ref().map(AsRef::as_ref).map_err(String::as_str))
    }

    #[cfg(test)]
    pub(crate) fn from_parts(namespace: &str, objects: impl IntoIterator<Item = (SourceRef, Lookup)>) -> Self {
        Self { namespace: namespace.to_owned(), objects: objects.into_iter().collect(), tokens: Tokens::new() }
    }
}

impl From<ConfigMap> for SourceData {
    fn from(object: ConfigMap) -> Self {
        let values = object.data.into_iter().flatten().map(|(key, value)| (key, value.into_bytes())).collect();
        let binary = object.binary_data.into_iter().flatten().map(|(key, value)| (key, value.0)).collect();
        Self { values, binary }
    }
}

impl From<Secret> for SourceData {
    fn from(object: Secret) -> Self {
        let values = object.data.into_iter().flatten().map(|(key, value)| (key, value.0)).collect();
        Self { values, binary: BTreeMap::new() }
    }
}
