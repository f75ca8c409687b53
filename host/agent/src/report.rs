//! Status reports: the newest of each pod, sent side by side, tried again until the server has it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::PodUid;
use crate::retry::{SERVER, is_conflict, is_forbidden, is_not_found, is_refused};

/// Requests on their way at once: enough to use the server's own batching of writes.
const IN_FLIGHT_MAX: usize = 64;
/// What nobody waits for is held back so long: a pod that comes up fast then costs one write instead of three.
const HOLD: Duration = Duration::from_millis(10);
/// A conflict that stays one is somebody else's pod.
const CONFLICTS_MAX: u32 = 5;

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Report {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) status: PodStatus,
    /// Set on the pod before the status.
    pub(crate) annotations: BTreeMap<String, String>,
    /// Others act on it: readiness changed, or the pod is over.
    pub(crate) urgent: bool,
}

/// Where reports are left. They wait in a map by pod, so there are never more than pods.
pub(crate) struct Reports {
    state: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Notify,
    sent: Notify,
}

#[derive(Default)]
struct Queue {
    /// With the time to send them.
    waiting: HashMap<PodUid, (Instant, Report)>,
    in_flight: HashSet<PodUid>,
    /// Annotations that the server has.
    annotated: HashMap<PodUid, BTreeMap<String, String>>,
}

impl Reports {
    pub(crate) fn spawn(client: kube::Client) -> Self {
        let state = Arc::new(Shared::default());
        let task = tokio::spawn(run(client, state.clone()));
        Self { state, _task: AbortOnDropHandle::new(task) }
    }

    /// Replaces a report of the same pod that still waits.
    pub(crate) fn submit(&self, pod: &PodUid, report: Report) {
        let mut queue = self.state.queue();
        let hold = if report.urgent { Duration::ZERO } else { HOLD };
        let due = Instant::now() + hold;
        let due = queue.waiting.get(pod).map_or(due, |(before, _)| due.min(*before));
        queue.waiting.insert(pod.clone(), (due, report));
        drop(queue);
        self.state.arrived.notify_one();
    }

    /// Resolves when nothing of the pod waits any more.
    pub(crate) async fn settled(&self, pod: &PodUid) {
        self.wait_until(|queue| !queue.waiting.contains_key(pod) && !queue.in_flight.contains(pod)).await;
    }

    pub(crate) async fn all_settled(&self) {
        self.wait_until(|queue| queue.waiting.is_empty() && queue.in_flight.is_empty()).await;
    }

    /// The pod is gone.
    pub(crate) fn forget(&self, pod: &PodUid) {
        let mut queue = self.state.queue();
        queue.waiting.remove(pod);
        queue.annotated.remove(pod);
    }

    async fn wait_until(&self, holds: impl Fn(&Queue) -> bool) {
        loop {
            let sent = self.state.sent.notified();
            tokio::pin!(sent);
            // From here on no notification is missed.
            sent.as_mut().enable();
            if holds(&self.state.queue()) {
                return;
            }
            sent.await;
        }
    }
}

impl Shared {
    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().expect("no panic while held")
    }

    /// A report to send now, or else when the next one is due.
    fn take(&self, now: Instant) -> Result<(PodUid, Report), Option<Instant>> {
        let mut queue = self.queue();
        let free = queue.waiting.iter().filter(|(uid, _)| !queue.in_flight.contains(*uid));
        let next = free.map(|(uid, (due, _))| (*due, uid)).min_by_key(|(due, _)| *due);
        let Some((due, uid)) = next.map(|(due, uid)| (due, uid.clone())) else { return Err(None) };
        if due > now {
            return Err(Some(due));
        }
        let (_, report) = queue.waiting.remove(&uid).expect("it was found there");
        queue.in_flight.insert(uid.clone());
        Ok((uid, report))
    }

    fn finish(&self, uid: &PodUid) {
        self.queue().in_flight.remove(uid);
        self.sent.notify_waiters();
        self.arrived.notify_one();
    }
}

async fn run(client: kube::Client, state: Arc<Shared>) {
    let mut sending = FuturesUnordered::new();
    loop {
        let mut due = None;
        while sending.len() < IN_FLIGHT_MAX {
            match state.take(Instant::now()) {
                Ok((uid, report)) => sending.push(send(&client, &state, uid, report)),
                Err(next) => {
                    due = next;
                    break;
                }
            }
        }
        let later = tokio::time::sleep_until(due.unwrap_or_else(Instant::now));
        // Each is cancel-safe: a notification is stored, a finished future stays in the set, the timer is made anew.
        tokio::select! {
            () = state.arrived.notified() => (),
            Some(()) = sending.next() => (),
            () = later, if due.is_some() => (),
        }
    }
}

/// Until the server has it, will not have it, or there is something newer.
async fn send(client: &kube::Client, state: &Shared, uid: PodUid, mut report: Report) {
    let mut attempts = 0;
    loop {
        let error = match send_once(client, state, &uid, &report).await {
            Ok(()) => break,
            Err(error) => error,
        };
        attempts += 1;
        if is_not_found(&error) {
            break;
        }
        let is_others = is_conflict(&error) || is_forbidden(&error);
        if is_refused(&error) || (is_others && attempts >= CONFLICTS_MAX) {
            tracing::warn!(pod = %report.name, namespace = %report.namespace, %error, "a status was refused");
            break;
        }
        tracing::debug!(pod = %report.name, %error, "a status waits for the server");
        tokio::time::sleep(SERVER.delay(attempts)).await;
        if let Some((_, newer)) = state.queue().waiting.remove(&uid) {
            report = newer;
        }
    }
    state.finish(&uid);
}

async fn send_once(client: &kube::Client, state: &Shared, uid: &PodUid, report: &Report) -> kube::Result<()> {
    let api = Api::<Pod>::namespaced(client.clone(), &report.namespace);
    let annotated = report.annotations.is_empty() || state.queue().annotated.get(uid) == Some(&report.annotations);
    if !annotated {
        let patch = json!({"metadata": {"uid": uid, "annotations": report.annotations}});
        api.patch(&report.name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        state.queue().annotated.insert(uid.clone(), report.annotations.clone());
    }
    // The uid makes it a conflict when another pod has the name by now.
    let patch = json!({"metadata": {"uid": uid}, "status": with_nulls(&report.status)});
    api.patch_status(&report.name, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
}

/// A merge patch leaves what it does not name: what the pod no longer says must be `null`.
fn with_nulls(status: &PodStatus) -> serde_json::Value {
    let mut value = json!(status);
    for field in ["reason", "message", "podIP", "podIPs", "initContainerStatuses"] {
        let fields = value.as_object_mut().expect("a status is an object");
        fields.entry(field).or_insert(serde_json::Value::Null);
    }
    value
}
