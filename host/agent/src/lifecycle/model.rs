//! The parts of a pod's spec that its life depends on, read once.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, Probe};

/// A pod's spec, as far as the state machine needs it.
#[derive(Clone, PartialEq, Debug)]
pub struct PodModel {
    /// Init containers first, each group in the spec's order.
    pub containers: Vec<ContainerModel>,
    pub restart_policy: RestartPolicy,
    pub active_deadline: Option<Duration>,
    /// Conditions that others must have set to `True` before the pod is ready.
    pub readiness_gates: Vec<String>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct ContainerModel {
    pub name: String,
    pub role: Role,
    pub image: String,
    pub startup: Option<ProbeModel>,
    pub liveness: Option<ProbeModel>,
    pub readiness: Option<ProbeModel>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Runs to completion before what follows.
    Init,
    /// An init container with `restartPolicy: Always`: runs beside all that follows.
    Sidecar,
    App,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ProbeKind {
    Startup,
    Liveness,
    Readiness,
}

/// When a probe runs and what its results mean; what it does is for the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProbeModel {
    pub initial_delay: Duration,
    pub period: Duration,
    pub timeout: Duration,
    pub success_threshold: u32,
    pub failure_threshold: u32,
}

/// What is to become of a pod, by order from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Intent {
    Run,
    /// `metadata.deletionTimestamp` is set: stop gracefully until then, then remove the object.
    Delete {
        deadline: Timestamp,
    },
    /// The object is gone, or another pod has its name.
    Gone,
    /// The node stops: stop gracefully, but the pod stays in the API and on disk.
    NodeShutdown {
        deadline: Timestamp,
    },
}

impl PodModel {
    pub fn new(pod: &Pod) -> Self {
        let Some(spec) = &pod.spec else { return Self::default() };
        let inits = spec.init_containers.iter().flatten().map(|container| {
            let role = if container.restart_policy.as_deref() == Some("Always") { Role::Sidecar } else { Role::Init };
            ContainerModel::new(container, role)
        });
        let apps = spec.containers.iter().map(|container| ContainerModel::new(container, Role::App));
        Self {
            containers: inits.chain(apps).collect(),
            restart_policy: RestartPolicy::parse(spec.restart_policy.as_deref()),
            active_deadline: spec.active_deadline_seconds.map(seconds),
            readiness_gates: spec.readiness_gates.iter().flatten().map(|gate| gate.condition_type.clone()).collect(),
        }
    }

    pub fn container(&self, name: &str) -> Option<&ContainerModel> {
        self.containers.iter().find(|container| container.name == name)
    }

    pub fn apps(&self) -> impl Iterator<Item = &ContainerModel> {
        self.containers.iter().filter(|container| container.role == Role::App)
    }

    /// How the pod's policy applies to one container.
    pub fn policy(&self, container: &ContainerModel) -> RestartPolicy {
        match (container.role, self.restart_policy) {
            (Role::Sidecar, _) => RestartPolicy::Always,
            (Role::Init, RestartPolicy::Always) => RestartPolicy::OnFailure,
            (_, policy) => policy,
        }
    }
}

impl Default for PodModel {
    fn default() -> Self {
        Self {
            containers: Vec::new(),
            restart_policy: RestartPolicy::Always,
            active_deadline: None,
            readiness_gates: Vec::new(),
        }
    }
}

impl ContainerModel {
    fn new(container: &Container, role: Role) -> Self {
        let probes = role != Role::Init;
        let probe = |probe: &Option<Probe>| probe.as_ref().filter(|_| probes).map(ProbeModel::new);
        Self {
            name: container.name.clone(),
            role,
            image: container.image.clone().unwrap_or_default(),
            startup: probe(&container.startup_probe),
            liveness: probe(&container.liveness_probe),
            readiness: probe(&container.readiness_probe),
        }
    }

    pub fn probe(&self, kind: ProbeKind) -> Option<&ProbeModel> {
        match kind {
            ProbeKind::Startup => self.startup.as_ref(),
            ProbeKind::Liveness => self.liveness.as_ref(),
            ProbeKind::Readiness => self.readiness.as_ref(),
        }
    }
}

impl RestartPolicy {
    fn parse(text: Option<&str>) -> Self {
        match text {
            Some("Never") => Self::Never,
            Some("OnFailure") => Self::OnFailure,
            _ => Self::Always,
        }
    }

    pub fn restarts_after(self, exit_code: i32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => exit_code != 0,
            Self::Never => false,
        }
    }
}

impl ProbeKind {
    pub const ALL: [Self; 3] = [Self::Startup, Self::Liveness, Self::Readiness];

    /// As it starts the message of an `Unhealthy` event.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }
}

impl ProbeModel {
    fn new(probe: &Probe) -> Self {
        let at_least_one = |value: Option<i32>, default| value.filter(|value| *value > 0).unwrap_or(default) as u32;
        let period = at_least_one(probe.period_seconds, 10);
        Self {
            initial_delay: seconds(probe.initial_delay_seconds.unwrap_or(0).into()),
            period: Duration::from_secs(period.into()),
            timeout: Duration::from_secs(at_least_one(probe.timeout_seconds, 1).into()),
            success_threshold: at_least_one(probe.success_threshold, 1),
            failure_threshold: at_least_one(probe.failure_threshold, 3),
        }
    }
}

impl Intent {
    pub fn is_run(self) -> bool {
        self == Self::Run
    }
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(seconds.try_into().unwrap_or(0))
}
