//! How the state changes when an action begins, and by what is seen afterwards.

use jiff::Timestamp;

use super::probe;
use super::state::{ContainerState, KillReason, PodState, ProbeState, Run, Setup, Step, Termination, Verdict, later};
use super::{Action, ContainerModel, PodModel, ProbeKind, Settings};

/// What came of an action, or of a container.
#[derive(Clone, PartialEq, Debug)]
pub enum Observation {
    Attached(std::net::Ipv4Addr),
    AttachFailed(String),
    Mounted,
    MountFailed(String),
    ImageReady {
        container: String,
        image_id: String,
        is_http: bool,
    },
    /// `retry` is off when trying again cannot help.
    ImageFailed {
        container: String,
        reason: String,
        message: String,
        retry: bool,
    },
    Started {
        container: String,
    },
    StartFailed {
        container: String,
        reason: String,
        message: String,
    },
    Ended {
        container: String,
        end: End,
    },
    Probed {
        container: String,
        probe: ProbeKind,
        success: bool,
    },
    Drained,
    TornDown {
        removed: bool,
    },
    Deleted,
    DeleteFailed(String),
    /// Something that setup failed for may have changed.
    SourcesChanged,
    /// Somebody decided that the pod must go.
    Evicted {
        reason: String,
        message: String,
    },
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    pub exit_code: i32,
    pub reason: String,
    pub message: Option<String>,
}

impl PodState {
    /// `action` is under way now.
    pub fn begin(&mut self, action: &Action, model: &PodModel) {
        match action {
            Action::Attach => self.network = Setup::Doing,
            Action::MountVolumes => self.volumes = Setup::Doing,
            Action::EnsureImage { container } => {
                let image = model.container(container).map(|model| model.image.clone()).unwrap_or_default();
                let state = self.container_mut(container);
                if state.pulled != image {
                    state.pulled = image;
                    state.pull_attempts = 0;
                }
                state.pull = Setup::Doing;
            }
            Action::Start { container, .. } => {
                let state = self.container_mut(container);
                state.start = Setup::Doing;
                let previous = match std::mem::take(&mut state.run) {
                    Run::Exited(previous) => Some(previous),
                    _ => None,
                };
                state.run = Run::Starting { previous };
            }
            Action::Kill { container, reason } => {
                if let Run::Running { killing, .. } = &mut self.container_mut(container).run {
                    *killing = Some(reason.clone());
                }
            }
            Action::Probe { container, probe } => {
                if let Some(probe) = self.container_mut(container).probes.get_mut(probe) {
                    probe.in_flight = true;
                }
            }
            Action::Route(ready) => self.routing = *ready,
            Action::Drain { .. } => self.drain = Step::Doing,
            Action::Fail { reason, message } => {
                self.verdict = Some(Verdict { reason: reason.clone(), message: message.clone() });
            }
            Action::TearDown { .. } => self.teardown = Step::Doing,
            Action::Delete => self.deletion = Setup::Doing,
        }
    }

    pub fn observe(&mut self, observation: Observation, model: &PodModel, settings: &Settings, now: Timestamp) {
        let retry = Some(settings.setup_backoff);
        match observation {
            Observation::Attached(ip) => {
                self.ip = Some(ip);
                self.network = Setup::Done;
            }
            Observation::AttachFailed(message) => {
                self.network_attempts += 1;
                self.network = Setup::failed(self.network_attempts - 1, "FailedCreatePodSandBox", message, now, retry);
            }
            Observation::Mounted => self.volumes = Setup::Done,
            Observation::MountFailed(message) => {
                self.volume_attempts += 1;
                self.volumes = Setup::failed(self.volume_attempts - 1, "ContainerCreating", message, now, retry);
            }
            Observation::Drained => self.drain = Step::Done,
            Observation::TornDown { removed } => {
                self.teardown = Step::Done;
                self.removed |= removed;
                self.network = Setup::Todo;
            }
            Observation::Deleted => self.deletion = Setup::Done,
            Observation::DeleteFailed(message) => {
                self.deletion_attempts += 1;
                self.deletion = Setup::failed(self.deletion_attempts - 1, "FailedDelete", message, now, retry);
            }
            Observation::Evicted { reason, message } => {
                self.verdict.get_or_insert(Verdict { reason, message });
            }
            Observation::SourcesChanged => self.hurry(now),
            Observation::ImageReady { container, image_id, is_http } => {
                let state = self.container_mut(&container);
                state.pull = Setup::Done;
                state.pull_attempts = 0;
                state.image_id = Some(image_id);
                state.is_http = Some(is_http);
            }
            Observation::ImageFailed { container, reason, message, retry } => {
                let state = self.container_mut(&container);
                let backoff = retry.then_some(settings.image_backoff);
                state.pull = Setup::failed(state.pull_attempts, &reason, message, now, backoff);
                state.pull_attempts += 1;
            }
            Observation::Started { container } => {
                let Some(model) = model.container(&container) else { return };
                self.container_mut(&container).started(model, now);
            }
            Observation::StartFailed { container, reason, message } => {
                let state = self.container_mut(&container);
                state.run = match std::mem::take(&mut state.run) {
                    Run::Starting { previous: Some(previous) } => Run::Exited(previous),
                    Run::Starting { previous: None } => Run::Created,
                    other => other,
                };
                state.start_attempts += 1;
                state.start = Setup::failed(state.start_attempts - 1, &reason, message, now, retry);
            }
            Observation::Ended { container, end } => self.container_mut(&container).ended(end, settings, now),
            Observation::Probed { container, probe: kind, success } => {
                let probe_model = model.container(&container).and_then(|container| container.probe(kind)).copied();
                let started = self.container_mut(&container).probed(kind, probe_model, success, now);
                if let (true, Some(model)) = (started, model.container(&container)) {
                    self.container_mut(&container).begin_probes(model, now);
                }
            }
        }
    }

    /// What waits for a retry of its configuration does not wait longer.
    fn hurry(&mut self, now: Timestamp) {
        self.volumes.hurry(now);
        for container in self.containers.values_mut() {
            container.start.hurry(now);
        }
    }
}

impl ContainerState {
    fn started(&mut self, model: &ContainerModel, now: Timestamp) {
        if let Run::Starting { previous: Some(previous) } = std::mem::take(&mut self.run) {
            self.restarts += 1;
            self.crashes += u32::from(!previous.lost);
            self.last = Some(previous);
        }
        self.run = Run::Running { since: now, killing: None };
        self.image = self.pulled.clone();
        self.start = Setup::Todo;
        self.start_attempts = 0;
        self.probes.clear();
        if let Some(startup) = &model.startup {
            self.probes.insert(ProbeKind::Startup, ProbeState::new(later(now, startup.initial_delay)));
        } else {
            self.begin_probes(model, now);
        }
    }

    /// Liveness and readiness, once the startup probe (if any) has passed.
    fn begin_probes(&mut self, model: &ContainerModel, now: Timestamp) {
        let Run::Running { since, .. } = self.run else { return };
        for kind in [ProbeKind::Liveness, ProbeKind::Readiness] {
            if let Some(probe) = model.probe(kind) {
                let at = later(since, probe.initial_delay).max(now);
                self.probes.entry(kind).or_insert_with(|| ProbeState::new(at));
            }
        }
    }

    /// Answers whether a startup probe has just passed.
    fn probed(&mut self, kind: ProbeKind, model: Option<super::ProbeModel>, success: bool, now: Timestamp) -> bool {
        let Some(state) = self.probes.get_mut(&kind) else { return false };
        match model {
            Some(model) => probe::observe(state, kind, &model, success, now),
            None => state.in_flight = false,
        }
        kind == ProbeKind::Startup && state.healthy == Some(true)
    }

    fn ended(&mut self, end: End, settings: &Settings, now: Timestamp) {
        let (since, killing) = match std::mem::take(&mut self.run) {
            Run::Running { since, killing } => (since, killing),
            other => {
                self.run = other;
                return;
            }
        };
        if later(since, settings.crash_reset_after) <= now {
            self.crashes = 0;
        }
        // A stop of the node is no crash: the next agent starts the container again.
        let lost = killing == Some(KillReason::NodeShutdown);
        let End { exit_code, reason, message } = end;
        self.run = Run::Exited(Termination { exit_code, reason, message, started_at: since, finished_at: now, lost });
        self.probes.clear();
    }
}
