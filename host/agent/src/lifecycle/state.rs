//! What the agent knows of a pod beyond its spec. What must survive a restart of the agent is serialized.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Backoff, ProbeKind};

#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct PodState {
    /// `status.startTime`.
    pub accepted_at: Option<Timestamp>,
    pub ip: Option<Ipv4Addr>,
    /// In the order of names; the spec's order is the model's.
    pub containers: BTreeMap<String, ContainerState>,
    /// The pod as a whole was given up; its containers are stopped and not started again.
    pub verdict: Option<Verdict>,
    #[serde(skip)]
    pub network: Setup,
    #[serde(skip)]
    pub network_attempts: u32,
    #[serde(skip)]
    pub volumes: Setup,
    #[serde(skip)]
    pub volume_attempts: u32,
    /// The network was told that the pod is ready.
    #[serde(skip)]
    pub routing: bool,
    #[serde(skip)]
    pub drain: Step,
    #[serde(skip)]
    pub teardown: Step,
    /// What the pod left on disk is gone.
    #[serde(skip)]
    pub removed: bool,
    #[serde(skip)]
    pub deletion: Setup,
    #[serde(skip)]
    pub deletion_attempts: u32,
}

/// Why a pod failed as a whole, for its status.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Verdict {
    pub reason: String,
    pub message: String,
}

#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct ContainerState {
    pub run: Run,
    pub restarts: u32,
    /// How the run before the present one ended.
    pub last: Option<Termination>,
    /// Restarts since the container last ran for long, which the back-off doubles with.
    pub crashes: u32,
    pub image_id: Option<String>,
    /// What the image turned out to be; known once it was prepared.
    pub is_http: Option<bool>,
    /// The image of the present run.
    pub image: String,
    #[serde(skip)]
    pub pull: Setup,
    #[serde(skip)]
    pub pull_attempts: u32,
    /// The image that `pull` is about.
    #[serde(skip)]
    pub pulled: String,
    #[serde(skip)]
    pub start: Setup,
    #[serde(skip)]
    pub start_attempts: u32,
    #[serde(skip)]
    pub probes: BTreeMap<ProbeKind, ProbeState>,
}

#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub enum Run {
    #[default]
    Created,
    /// Being started; `previous` is how the run before ended.
    Starting {
        previous: Option<Termination>,
    },
    Running {
        since: Timestamp,
        killing: Option<KillReason>,
    },
    Exited(Termination),
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Termination {
    pub exit_code: i32,
    pub reason: String,
    pub message: Option<String>,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    /// It did not end by itself: the agent that ran it is gone. It starts again without back-off.
    pub lost: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum KillReason {
    PodDeleted,
    /// Of a liveness or startup probe.
    Unhealthy(String),
    /// The verdict's reason.
    PodFailed(String),
    /// The containers that the pod is about have ended.
    PodCompleted,
    ImageChanged,
    NodeShutdown,
}

/// Something that is done once and may fail.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Setup {
    #[default]
    Todo,
    Doing,
    Failed(Failure),
    Done,
}

/// Tried again at `retry_at`, or never.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    pub reason: String,
    pub message: String,
    pub attempts: u32,
    pub failed_at: Timestamp,
    pub retry_at: Option<Timestamp>,
}

/// Something that is done once and cannot fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Step {
    #[default]
    Todo,
    Doing,
    Done,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProbeState {
    pub next_at: Timestamp,
    pub in_flight: bool,
    /// `None` until a threshold was met.
    pub healthy: Option<bool>,
    /// In a row.
    pub successes: u32,
    pub failures: u32,
    /// Quick retries before the first success, which do not count.
    pub eager: u32,
}

impl PodState {
    pub fn container(&self, name: &str) -> Option<&ContainerState> {
        self.containers.get(name)
    }

    pub fn container_mut(&mut self, name: &str) -> &mut ContainerState {
        self.containers.entry(name.to_owned()).or_default()
    }

    /// Takes up a state that an earlier agent left: nothing runs any more, and everything is to be set up again.
    pub fn resume(mut self, now: Timestamp) -> Self {
        for container in self.containers.values_mut() {
            match std::mem::take(&mut container.run) {
                Run::Running { since, .. } => container.run = Run::Exited(Termination::lost(since, now)),
                Run::Starting { previous: Some(previous) } => container.run = Run::Exited(previous),
                Run::Starting { previous: None } => (),
                other => container.run = other,
            }
        }
        self
    }
}

impl ContainerState {
    pub fn is_running(&self) -> bool {
        matches!(self.run, Run::Running { .. })
    }

    /// Runs, or is about to.
    pub fn is_alive(&self) -> bool {
        matches!(self.run, Run::Running { .. } | Run::Starting { .. })
    }

    pub fn termination(&self) -> Option<&Termination> {
        match &self.run {
            Run::Exited(termination) => Some(termination),
            Run::Starting { previous } => previous.as_ref(),
            _ => None,
        }
    }

    /// The number of the next run, from 0.
    pub fn next_restart(&self) -> u32 {
        match &self.run {
            Run::Exited(_) | Run::Starting { previous: Some(_) } => self.restarts + 1,
            _ => self.restarts,
        }
    }
}

impl Termination {
    fn lost(started_at: Timestamp, finished_at: Timestamp) -> Self {
        Self {
            // As the kubelet reports containers that it lost sight of.
            exit_code: 137,
            reason: "ContainerStatusUnknown".into(),
            message: Some("the node's agent was stopped while the container ran".into()),
            started_at,
            finished_at,
            lost: true,
        }
    }
}

impl Setup {
    pub fn is_done(&self) -> bool {
        *self == Self::Done
    }

    /// When to try: `None` is not again, or not now.
    pub fn due(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Todo => Some(now),
            Self::Failed(failure) => failure.retry_at,
            Self::Doing | Self::Done => None,
        }
    }

    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// One more failure; `attempts` are those before.
    pub fn failed(attempts: u32, reason: &str, message: String, now: Timestamp, backoff: Option<Backoff>) -> Self {
        let attempts = attempts + 1;
        Self::Failed(Failure {
            reason: reason.to_owned(),
            message,
            attempts,
            failed_at: now,
            retry_at: backoff.map(|backoff| now + backoff.delay(attempts)),
        })
    }

    /// Tries again at once, if it is waiting to.
    pub fn hurry(&mut self, now: Timestamp) {
        if let Self::Failed(failure) = self
            && let Some(at) = &mut failure.retry_at
        {
            *at = now.min(*at);
        }
    }
}

impl ProbeState {
    pub fn new(next_at: Timestamp) -> Self {
        Self { next_at, in_flight: false, healthy: None, successes: 0, failures: 0, eager: 0 }
    }
}

/// `at + duration`, for ever when that is past the end of time.
pub(super) fn later(at: Timestamp, duration: Duration) -> Timestamp {
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}
