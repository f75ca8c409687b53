use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use crate::addresses::Addresses;
use crate::events::Recorder;
use crate::logs::Logs;
use crate::programs::Programs;
use crate::report::Reports;
use crate::services::Services;
use crate::sessions::{self, Sessions};
use crate::sources::SourceCache;
use crate::tokens::TokenCache;
use crate::volumes::PodDirs;
use crate::{AgentConfig, Container, Network, NodeUsage, PodUid, PodUsage};

/// What all tasks of the agent share.
pub(crate) struct Parts {
    pub(crate) config: AgentConfig,
    pub(crate) client: kube::Client,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) programs: Programs,
    pub(crate) sources: SourceCache,
    pub(crate) tokens: TokenCache,
    pub(crate) services: Services,
    pub(crate) recorder: Recorder,
    pub(crate) reports: Reports,
    pub(crate) addresses: Addresses,
    pub(crate) logs: Arc<Logs>,
    pub(crate) dirs: PodDirs,
    pub(crate) roster: Roster,
    pub(crate) sessions: Sessions,
}

/// Who is on this node, for readers outside of the tasks.
#[derive(Default)]
pub(crate) struct Roster(Mutex<HashMap<PodUid, Entry>>);

struct Entry {
    namespace: String,
    name: String,
    /// All that the spec names, whether they run or not.
    containers: Vec<String>,
    running: BTreeMap<String, Running>,
}

struct Running {
    handle: Arc<dyn Container>,
    /// For those who run something beside it or listen to it.
    sessions: Arc<Semaphore>,
}

impl Roster {
    pub(crate) fn enter(&self, uid: &PodUid, namespace: &str, name: &str, containers: Vec<String>) {
        let mut entries = self.0.lock().expect("no panic while held");
        let running = entries.remove(uid).map(|entry| entry.running).unwrap_or_default();
        entries.insert(uid.clone(), Entry { namespace: namespace.into(), name: name.into(), containers, running });
    }

    pub(crate) fn leave(&self, uid: &PodUid) {
        self.0.lock().expect("no panic while held").remove(uid);
    }

    pub(crate) fn set_running(&self, uid: &PodUid, container: &str, handle: Option<Arc<dyn Container>>) {
        let mut entries = self.0.lock().expect("no panic while held");
        let Some(entry) = entries.get_mut(uid) else { return };
        match handle {
            Some(handle) => {
                let sessions = Arc::new(Semaphore::new(sessions::PER_CONTAINER_MAX));
                entry.running.insert(container.to_owned(), Running { handle, sessions });
            }
            None => drop(entry.running.remove(container)),
        }
    }

    /// The pod of that name (and uid, if one is given), with its containers' names.
    pub(crate) fn find(&self, namespace: &str, name: &str, uid: Option<&PodUid>) -> Option<(PodUid, Vec<String>)> {
        let entries = self.0.lock().expect("no panic while held");
        let is_meant = |(known, entry): &(&PodUid, &Entry)| {
            entry.namespace == namespace && entry.name == name && uid.is_none_or(|uid| uid == *known)
        };
        entries.iter().find(is_meant).map(|(uid, entry)| (uid.clone(), entry.containers.clone()))
    }

    /// A container that runs, with the places for its clients.
    pub(crate) fn running(&self, uid: &PodUid, container: &str) -> Option<(Arc<dyn Container>, Arc<Semaphore>)> {
        let entries = self.0.lock().expect("no panic while held");
        let running = entries.get(uid)?.running.get(container)?;
        Some((running.handle.clone(), running.sessions.clone()))
    }

    pub(crate) fn usage(&self) -> NodeUsage {
        let entries = self.0.lock().expect("no panic while held");
        let pods = entries.iter().map(|(uid, entry)| PodUsage {
            namespace: entry.namespace.clone(),
            name: entry.name.clone(),
            uid: uid.clone(),
            containers: entry.running.iter().map(|(name, running)| (name.clone(), running.handle.usage())).collect(),
        });
        NodeUsage { pods: pods.collect() }
    }
}
