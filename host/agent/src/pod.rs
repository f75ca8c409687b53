//! One task a pod: plan, do, look, report.

mod context;
mod ending;
mod jobs;
mod news;
mod probing;
mod reporting;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use tokio::sync::watch;
use tokio::task::JoinSet;

use context::{Context, Ground};

use crate::checkpoint::Checkpoint;
use crate::lifecycle::{self, Intent, Observation, PodModel, PodState, PodView, ProbeKind};
use crate::logs::{LiveLog, LogOwner};
use crate::parts::Parts;
use crate::programs::Prepared;
use crate::sources::{SourceChanges, SourceRef};
use crate::volumes::{self, MountedVolumes};
use crate::{Container, Exit, PodUid, credentials, env};

/// Planning again after acting gives nothing new; more rounds than this are a bug.
const ROUNDS_MAX: usize = 16;

/// What the agent wants of a pod's task.
#[derive(Clone)]
pub(crate) struct Order {
    pub(crate) pod: Arc<Pod>,
    /// The API has it no more.
    pub(crate) gone: bool,
    /// The node stops; by then.
    pub(crate) shutdown: Option<Timestamp>,
}

pub(crate) struct PodTask {
    parts: Arc<Parts>,
    orders: watch::Receiver<Order>,
    uid: PodUid,
    pod: Arc<Pod>,
    model: PodModel,
    state: PodState,
    intent: Intent,
    jobs: JoinSet<Done>,
    ground: Ground,
    live: HashMap<String, Live>,
    programs: HashMap<String, Prepared>,
    volumes: MountedVolumes,
    sources: BTreeSet<SourceRef>,
    source_changes: SourceChanges,
    /// When volumes are next compared with their sources; `None` while that happens, or if there is nothing to compare.
    sync_at: Option<Timestamp>,
    /// When volumes with a limit are next measured; `None` while that happens, or if there are none.
    measure_at: Option<Timestamp>,
    /// The drain ended before its deadline.
    drained: bool,
    status: Option<PodStatus>,
    annotations: BTreeMap<String, String>,
    reported: Option<(PodStatus, BTreeMap<String, String>)>,
    /// Tells the checkpoint on disk from others.
    checkpoint: u64,
    checkpointing: bool,
    /// When to look whether the checkpoint is still true.
    save_at: Option<Timestamp>,
}

/// A container that runs.
struct Live {
    handle: Arc<dyn Container>,
    is_http: bool,
}

/// What a job came to.
enum Done {
    Observed(Observation),
    Prepared { container: String, prepared: Prepared },
    Mounted(MountedVolumes),
    Running { container: String, handle: Arc<dyn Container>, log: Arc<LiveLog> },
    Exited { container: String, exit: Exit },
    Probed { container: String, probe: ProbeKind, result: Result<(), String> },
    Drained { clean: bool },
    Synced,
    Measured { overfull: Option<String> },
    Checkpointed,
}

impl PodTask {
    /// `saved` is what an earlier agent left.
    pub(crate) fn new(parts: Arc<Parts>, orders: watch::Receiver<Order>, saved: Option<Checkpoint>) -> Self {
        let pod = orders.borrow().pod.clone();
        let model = PodModel::new(&pod);
        let now = parts.config.clock.now();
        let (mut state, status) = match (saved, &pod.status) {
            (Some(saved), _) => (saved.state.resume(now), saved.status),
            (None, Some(status)) => (PodState::recover(&model, status, now), Some(status.clone())),
            (None, None) => (PodState::default(), None),
        };
        state.accepted_at.get_or_insert(now);
        let uid = PodUid(pod.metadata.uid.clone().unwrap_or_default());
        if let Some(ip) = state.ip {
            parts.addresses.reserve(&uid, ip);
        }
        let mut task = Self {
            orders,
            uid,
            pod,
            model,
            state,
            intent: Intent::Run,
            jobs: JoinSet::new(),
            ground: Ground::default(),
            live: HashMap::new(),
            programs: HashMap::new(),
            volumes: MountedVolumes::new(),
            sources: BTreeSet::new(),
            source_changes: parts.sources.subscribe("", &BTreeSet::new()),
            sync_at: None,
            measure_at: None,
            drained: false,
            status,
            annotations: BTreeMap::new(),
            reported: None,
            checkpoint: 0,
            checkpointing: false,
            save_at: None,
            parts,
        };
        task.take_order();
        task
    }

    /// Until the pod is gone from this node, or the node stops.
    pub(crate) async fn run(mut self) -> PodUid {
        loop {
            let wake_at = self.step();
            if lifecycle::is_done(&self.view()) {
                break;
            }
            let wake_at = wake_at.into_iter().chain(self.sync_at).chain(self.measure_at).chain(self.save_at).min();
            let wait = wake_at.map(|at| Duration::try_from(at.duration_since(self.now())).unwrap_or_default());
            // Each arm is cancel-safe: jobs stay in their set, watches keep their mark, a timer is made anew.
            tokio::select! {
                Some(done) = self.jobs.join_next() => self.absorb(done),
                changed = self.orders.changed() => match changed {
                    Ok(()) => self.take_order(),
                    // The agent is gone without a word: so are we.
                    Err(_) => return self.uid,
                },
                () = self.source_changes.changed() => self.sources_changed(),
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => (),
            }
        }
        self.leave();
        self.uid
    }

    fn view(&self) -> PodView<'_> {
        PodView {
            model: &self.model,
            state: &self.state,
            intent: self.intent,
            gates_open: self.gates_open(),
            settings: &self.parts.config.lifecycle,
            now: self.now(),
        }
    }

    fn now(&self) -> Timestamp {
        self.parts.config.clock.now()
    }

    /// Acts until there is nothing more to do now; answers when to look again.
    fn step(&mut self) -> Option<Timestamp> {
        if self.sync_at.is_some_and(|at| at <= self.now()) {
            self.sync_volumes();
        }
        if self.measure_at.is_some_and(|at| at <= self.now()) {
            self.measure_volumes();
        }
        let mut wake_at = None;
        for round in 0.. {
            assert!(
                round < ROUNDS_MAX,
                "invariant: planning settles; still wanted: {:?}",
                lifecycle::plan(&self.view())
            );
            let plan = lifecycle::plan(&self.view());
            wake_at = plan.wake_at;
            if plan.actions.is_empty() {
                break;
            }
            for action in &plan.actions {
                self.state.begin(action, &self.model);
            }
            // The report goes ahead of what comes last: the object's removal waits for it.
            self.report();
            plan.actions.into_iter().for_each(|action| self.act(action));
        }
        self.report();
        if self.save_at.is_some_and(|at| at <= self.now()) {
            self.save();
        }
        wake_at
    }

    fn observe(&mut self, observation: Observation) {
        self.tell(&observation);
        let now = self.now();
        // Probes are not kept: they start anew with the container.
        if !matches!(observation, Observation::Probed { .. }) {
            self.save_soon();
        }
        self.state.observe(observation, &self.model, &self.parts.config.lifecycle, now);
    }

    fn absorb(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done.expect("invariant: jobs neither panic nor are aborted while the task lives") {
            Done::Observed(observation) => self.observe(observation),
            Done::Prepared { container, prepared } => {
                let is_http = prepared.program.kind() == crate::ProgramKind::Http;
                let image = self.model.container(&container).map(|model| model.image.clone()).unwrap_or_default();
                let image_id = image_id(&image, &prepared.image.digest);
                self.programs.insert(container.clone(), prepared);
                self.observe(Observation::ImageReady { container, image_id, is_http });
                self.annotate();
            }
            Done::Mounted(volumes) => {
                self.volumes = volumes;
                self.schedule_sync();
                self.schedule_measure();
                self.observe(Observation::Mounted);
            }
            Done::Running { container, handle, log } => self.container_runs(container, handle, log),
            Done::Exited { container, exit } => {
                self.container_exited(container.clone(), exit);
                self.tell_back_off(&container);
            }
            Done::Probed { container, probe, result } => {
                if let Err(message) = &result {
                    self.tell_unhealthy(&container, probe, message);
                }
                self.observe(Observation::Probed { container, probe, success: result.is_ok() });
            }
            Done::Drained { clean } => {
                self.drained = clean;
                self.observe(Observation::Drained);
            }
            Done::Synced => self.schedule_sync(),
            Done::Measured { overfull: None } => self.schedule_measure(),
            Done::Measured { overfull: Some(message) } => {
                self.observe(Observation::Evicted { reason: "Evicted".into(), message });
            }
            Done::Checkpointed => self.checkpointing = false,
        }
    }

    fn take_order(&mut self) {
        let order = self.orders.borrow_and_update().clone();
        let relabelled = self.pod.metadata.labels != order.pod.metadata.labels
            || self.pod.metadata.annotations != order.pod.metadata.annotations;
        self.intent = self.intent_of(&order);
        self.pod = order.pod;
        self.model = PodModel::new(&self.pod);
        let names = self.model.containers.iter().map(|container| container.name.clone()).collect();
        self.parts.roster.enter(&self.uid, self.namespace(), self.name(), names);
        self.subscribe();
        self.save_soon();
        // The downward API shows labels and annotations.
        if relabelled && self.sync_at.is_some() {
            self.sync_at = Some(self.now());
        }
    }

    /// The grace period is counted from when this node heard of it: clocks of machines differ.
    fn intent_of(&self, order: &Order) -> Intent {
        if order.gone {
            return Intent::Gone;
        }
        let meta = &order.pod.metadata;
        if meta.deletion_timestamp.is_some() {
            let grace = meta.deletion_grace_period_seconds.unwrap_or(0).max(0);
            let deadline = self.now().checked_add(Duration::from_secs(grace.unsigned_abs())).unwrap_or(Timestamp::MAX);
            return match self.intent {
                Intent::Delete { deadline: before } => Intent::Delete { deadline: before.min(deadline) },
                _ => Intent::Delete { deadline },
            };
        }
        order.shutdown.map_or(Intent::Run, |deadline| Intent::NodeShutdown { deadline })
    }

    fn subscribe(&mut self) {
        let mut refs = volumes::references(&self.pod);
        let spec = self.pod.spec.as_ref();
        let containers = spec.map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
        refs.extend(containers.into_iter().flatten().flat_map(env::references));
        refs.extend(credentials::references(&self.pod));
        if refs != self.sources {
            self.source_changes = self.parts.sources.subscribe(self.namespace(), &refs);
            self.sources = refs;
        }
    }

    fn sources_changed(&mut self) {
        self.observe(Observation::SourcesChanged);
        if self.sync_at.is_some() {
            self.sync_at = Some(self.now());
        }
    }

    fn schedule_sync(&mut self) {
        let follows =
            |volume: &k8s_openapi::api::core::v1::Volume| volume.empty_dir.is_none() && volume.host_path.is_none();
        if volumes::volumes(&self.pod).iter().any(follows) {
            self.sync_at = Some(self.now() + self.parts.config.lifecycle.volume_sync);
        }
    }

    fn schedule_measure(&mut self) {
        if volumes::has_size_limits(&self.pod) {
            self.measure_at = Some(self.now() + self.parts.config.lifecycle.size_check);
        }
    }

    fn gates_open(&self) -> bool {
        let conditions = || self.pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let holds =
            |gate: &String| conditions().any(|condition| condition.type_ == *gate && condition.status == "True");
        self.model.readiness_gates.iter().all(holds)
    }

    fn context(&self) -> Context {
        let (parts, pod, uid, ground) = (self.parts.clone(), self.pod.clone(), self.uid.clone(), self.ground.clone());
        Context { parts, pod, uid, ground }
    }

    fn namespace(&self) -> &str {
        self.pod.metadata.namespace.as_deref().unwrap_or_default()
    }

    fn name(&self) -> &str {
        self.pod.metadata.name.as_deref().unwrap_or_default()
    }

    fn log_owner(&self) -> LogOwner<'_> {
        LogOwner { namespace: self.namespace(), name: self.name(), uid: &self.uid }
    }

    fn container_spec(&self, name: &str) -> Option<&k8s_openapi::api::core::v1::Container> {
        let spec = self.pod.spec.as_ref()?;
        spec.init_containers.iter().flatten().chain(&spec.containers).find(|container| container.name == name)
    }
}

/// `registry/name@sha256:…`, as the kubelet reports it.
fn image_id(reference: &str, digest: &str) -> String {
    let name = reference.split('@').next().unwrap_or(reference);
    let tag = name.rfind('/').map_or(0, |slash| slash + 1);
    let name = name[tag..].find(':').map_or(name, |colon| &name[..tag + colon]);
    format!("{name}@{digest}")
}
