use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::watch;
use tokio::task::{self, JoinError, JoinSet};

use crate::PodUid;
use crate::checkpoint::Checkpoint;
use crate::parts::Parts;
use crate::pod::{Order, PodTask};
use crate::retry::ServerBackoff;

/// After the drain, the time for the last reports.
const LAST_REPORTS_TIMEOUT: Duration = Duration::from_secs(2);
/// Past the drain's deadline containers are killed, which takes no time; a task that lingers is given up.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
/// Before a pod whose task panicked is taken up again.
const PANIC_PAUSE: Duration = Duration::from_secs(1);

/// Compares the pods that the API assigns to this node with those that have a task.
pub(super) struct AgentTask {
    parts: Arc<Parts>,
    synced: watch::Sender<bool>,
    stopping: watch::Receiver<Option<Duration>>,
    pods: HashMap<PodUid, watch::Sender<Order>>,
    tasks: JoinSet<PodUid>,
    /// Whose task it is, also when it panicked.
    owners: HashMap<task::Id, PodUid>,
    /// Uids of the list that is being read.
    listed: HashSet<PodUid>,
    /// Saved pods that have no task yet.
    saved: HashMap<PodUid, Checkpoint>,
}

impl AgentTask {
    pub(super) fn new(
        parts: Arc<Parts>,
        synced: watch::Sender<bool>,
        stopping: watch::Receiver<Option<Duration>>,
    ) -> Self {
        let (pods, tasks, owners, listed) = (HashMap::new(), JoinSet::new(), HashMap::new(), HashSet::new());
        let found = parts.dirs.all().into_iter();
        let saved: HashMap<_, _> =
            found.filter_map(|uid| Some((uid.clone(), Checkpoint::load(&parts.dirs, &uid)?))).collect();
        for (uid, checkpoint) in &saved {
            if let Some(ip) = checkpoint.state.ip {
                parts.addresses.reserve(uid, ip);
            }
        }
        Self { parts, synced, stopping, pods, tasks, owners, listed, saved }
    }

    pub(super) async fn run(mut self) {
        let config = watcher::Config::default().fields(&format!("spec.nodeName={}", self.parts.config.node_name));
        let events = watcher(Api::<Pod>::all(self.parts.client.clone()), config).backoff(ServerBackoff::default());
        pin_mut!(events);
        let offline = tokio::time::sleep(self.parts.config.offline_start_after);
        pin_mut!(offline);
        let mut stopping = self.stopping.clone();
        let drain = loop {
            // Each arm is cancel-safe: the streams keep what they have, the set its tasks, the watch its mark.
            tokio::select! {
                Some(event) = events.next() => self.take_event(event),
                Some(ended) = self.tasks.join_next_with_id() => self.take_end(ended),
                () = &mut offline, if !self.saved.is_empty() && !*self.synced.borrow() => self.start_saved(),
                drain = stopping.wait_for(Option::is_some) => break drain.ok().and_then(|drain| *drain),
            }
        };
        self.stop(drain.unwrap_or_default()).await;
    }

    fn take_event(&mut self, event: Result<watcher::Event<Pod>, watcher::Error>) {
        match event {
            Ok(watcher::Event::Init) => self.listed.clear(),
            Ok(watcher::Event::InitApply(pod)) => {
                self.listed.extend(uid(&pod));
                self.apply(pod);
            }
            Ok(watcher::Event::InitDone) => self.list_done(),
            Ok(watcher::Event::Apply(pod)) => self.apply(pod),
            Ok(watcher::Event::Delete(pod)) => {
                if let Some(uid) = uid(&pod) {
                    self.gone(&uid);
                }
            }
            // What runs goes on; the watch comes back by itself.
            Err(error) => tracing::debug!(%error, "the watch of pods is interrupted"),
        }
    }

    fn apply(&mut self, pod: Pod) {
        let Some(uid) = uid(&pod) else { return };
        let pod = Arc::new(pod);
        if let Some(orders) = self.pods.get(&uid) {
            orders.send_modify(|order| {
                order.pod = pod;
                order.gone = false;
            });
            return;
        }
        let saved = self.saved.remove(&uid);
        self.spawn(uid, pod, saved);
    }

    fn spawn(&mut self, uid: PodUid, pod: Arc<Pod>, saved: Option<Checkpoint>) {
        let (sender, orders) = watch::channel(Order { pod, gone: false, shutdown: None });
        let task = self.tasks.spawn(PodTask::new(self.parts.clone(), orders, saved).run());
        self.owners.insert(task.id(), uid.clone());
        self.pods.insert(uid, sender);
    }

    fn take_end(&mut self, ended: Result<(task::Id, PodUid), JoinError>) {
        match ended {
            Ok((id, uid)) => {
                self.owners.remove(&id);
                self.forget(uid);
            }
            Err(error) => {
                if let Some(uid) = self.owners.remove(&error.id()) {
                    tracing::error!(%uid, %error, "a pod's task failed and starts anew");
                    self.revive(uid);
                }
            }
        }
    }

    /// One pod's bug is not the others' end: what it had is dropped, and it is taken up as after a restart.
    fn revive(&mut self, uid: PodUid) {
        let Some(orders) = self.pods.get(&uid).map(watch::Sender::subscribe) else { return };
        // Its containers end with their last handles.
        self.parts.roster.leave(&uid);
        self.parts.network.detach(&uid);
        let (parts, owner) = (self.parts.clone(), uid.clone());
        let task = self.tasks.spawn(async move {
            tokio::time::sleep(PANIC_PAUSE).await;
            let saved = Checkpoint::load(&parts.dirs, &owner);
            PodTask::new(parts, orders, saved).run().await
        });
        self.owners.insert(task.id(), uid);
    }

    fn gone(&self, uid: &PodUid) {
        if let Some(orders) = self.pods.get(uid) {
            orders.send_modify(|order| order.gone = true);
        }
    }

    /// What is not in the list is not in the API.
    fn list_done(&mut self) {
        let listed = std::mem::take(&mut self.listed);
        for uid in self.pods.keys().filter(|uid| !listed.contains(*uid)) {
            self.gone(uid);
        }
        self.saved.clear();
        self.remove_orphans();
        self.synced.send_replace(true);
    }

    fn remove_orphans(&self) {
        let known: HashSet<PodUid> = self.pods.keys().cloned().collect();
        let parts = self.parts.clone();
        let orphans = parts.dirs.all().into_iter().filter(|uid| !known.contains(uid)).collect::<Vec<_>>();
        for uid in &orphans {
            parts.addresses.release(uid);
        }
        // Not awaited: nothing depends on it, and it never blocks the pods.
        tokio::task::spawn_blocking(move || {
            for uid in orphans {
                if let Err(error) = parts.dirs.remove(&uid) {
                    tracing::warn!(%uid, %error, "an orphaned directory was not removed");
                }
            }
            parts.logs.remove_orphans(|uid| known.contains(uid));
        });
    }

    /// The server does not answer: what ran before runs again.
    fn start_saved(&mut self) {
        tracing::info!(pods = self.saved.len(), "the server does not answer; starting the pods that were here");
        for (uid, checkpoint) in std::mem::take(&mut self.saved) {
            let pod = Arc::new(checkpoint.pod.clone());
            self.spawn(uid, pod, Some(checkpoint));
        }
    }

    fn forget(&mut self, uid: PodUid) {
        self.pods.remove(&uid);
    }

    async fn stop(&mut self, drain: Duration) {
        let deadline: Timestamp = self.parts.config.clock.now() + drain;
        for orders in self.pods.values() {
            orders.send_modify(|order| order.shutdown = Some(deadline));
        }
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(drain + KILL_TIMEOUT, ended).await.is_err() {
            tracing::warn!(pods = self.tasks.len(), "pods did not stop in time");
        }
        let _ = tokio::time::timeout(LAST_REPORTS_TIMEOUT, self.parts.reports.all_settled()).await;
    }
}

fn uid(pod: &Pod) -> Option<PodUid> {
    pod.metadata.uid.clone().map(PodUid)
}
