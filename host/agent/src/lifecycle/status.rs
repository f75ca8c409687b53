//! The pod's status as the API shows it, computed anew each time.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{
    ContainerState as WireState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, HostIP, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::conditions::conditions;
use super::outcome::{self, Outcome};
use super::state::{ContainerState, Failure, Run, Termination, later};
use super::{ContainerModel, PodView, Role};

/// What the status says besides what the state machine knows.
#[derive(Clone, Copy, Debug)]
pub struct StatusContext<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    pub uid: &'a str,
    pub host_ip: IpAddr,
    pub generation: Option<i64>,
    /// The status as it stands, from which times of transitions and others' conditions are kept.
    pub previous: Option<&'a PodStatus>,
}

pub fn status(view: &PodView<'_>, context: &StatusContext<'_>) -> PodStatus {
    let (phase, verdict) = (phase(view), view.state.verdict.as_ref());
    let of = |init: bool| {
        let chosen = view.model.containers.iter().filter(move |container| (container.role != Role::App) == init);
        let statuses: Vec<_> = chosen.map(|container| container_status(view, context, container)).collect();
        (!statuses.is_empty()).then_some(statuses)
    };
    PodStatus {
        phase: Some(phase.to_owned()),
        reason: verdict.map(|verdict| verdict.reason.clone()),
        message: verdict.map(|verdict| verdict.message.clone()),
        conditions: Some(conditions(view, context, phase)),
        container_statuses: of(false),
        init_container_statuses: of(true),
        host_ip: Some(context.host_ip.to_string()),
        host_ips: Some(vec![HostIP { ip: context.host_ip.to_string() }]),
        pod_ip: view.state.ip.map(|ip| ip.to_string()),
        pod_ips: view.state.ip.map(|ip| vec![PodIP { ip: ip.to_string() }]),
        start_time: view.state.accepted_at.map(Time),
        observed_generation: context.generation,
        ..PodStatus::default()
    }
}

/// `getPhase` of the kubelet, and what it makes of a pod whose containers were stopped for good.
fn phase(view: &PodView<'_>) -> &'static str {
    let alive = view.state.containers.values().any(ContainerState::is_alive);
    if !alive {
        if view.state.verdict.is_some() {
            return "Failed";
        }
        match outcome::outcome(view.model, view.state).or_else(|| stopped_outcome(view)) {
            Some(Outcome::Succeeded) => return "Succeeded",
            Some(Outcome::Failed) => return "Failed",
            None => (),
        }
    }
    let has_run = |container: &ContainerModel| {
        let state = view.state.container(&container.name);
        state.is_some_and(|state| state.is_running() || state.termination().is_some() || state.last.is_some())
    };
    let initialized = outcome::is_initialized(view.model, view.state);
    if initialized && view.model.apps().all(has_run) { "Running" } else { "Pending" }
}

/// A deleted pod is over once nothing runs, whatever its restart policy.
fn stopped_outcome(view: &PodView<'_>) -> Option<Outcome> {
    let deleted = matches!(view.intent, super::Intent::Delete { .. } | super::Intent::Gone);
    let codes: Option<Vec<i32>> = view
        .model
        .apps()
        .map(|container| Some(view.state.container(&container.name)?.termination()?.exit_code))
        .collect();
    let succeeded = codes.is_some_and(|codes| codes.iter().all(|code| *code == 0));
    deleted.then_some(if succeeded { Outcome::Succeeded } else { Outcome::Failed })
}

fn container_status(view: &PodView<'_>, context: &StatusContext<'_>, container: &ContainerModel) -> ContainerStatus {
    let fresh = ContainerState::default();
    let state = view.state.container(&container.name).unwrap_or(&fresh);
    let (now, last) = current_and_last(view, context, container, state);
    ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone(),
        image_id: state.image_id.clone().unwrap_or_default(),
        container_id: container_id(context, container, state),
        ready: outcome::is_container_ready(view, container),
        started: Some(outcome::is_started(container, state)),
        restart_count: state.restarts.try_into().unwrap_or(i32::MAX),
        state: Some(now),
        last_state: last.map(terminated),
        ..ContainerStatus::default()
    }
}

/// A container in back-off waits; how it ended is its last state then.
fn current_and_last<'a>(
    view: &PodView<'_>,
    context: &StatusContext<'_>,
    container: &ContainerModel,
    state: &'a ContainerState,
) -> (WireState, Option<&'a Termination>) {
    if let Run::Running { since, .. } = &state.run {
        let running = ContainerStateRunning { started_at: Some(Time(*since)) };
        return (WireState { running: Some(running), ..WireState::default() }, state.last.as_ref());
    }
    let Some(ended) = state.termination() else {
        let (reason, message) = waiting_reason(view, container, state);
        return (waiting(reason, message), state.last.as_ref());
    };
    let stopping = !view.intent.is_run() || view.state.verdict.is_some();
    if stopping || outcome::is_finished(view.model.policy(container), container.role, ended.exit_code) {
        return (terminated(ended), state.last.as_ref());
    }
    if let Some((reason, message)) = failure_reason(view, container, state) {
        return (waiting(reason, message), Some(ended));
    }
    match outcome::restart_at(state, view.settings).filter(|at| *at > view.now) {
        Some(_) => {
            let delay = view.settings.crash_backoff.delay(state.crashes);
            let StatusContext { namespace, name, uid, .. } = context;
            let container = &container.name;
            let text =
                format!("back-off {delay:?} restarting failed container={container} pod={name}_{namespace}({uid})");
            (waiting("CrashLoopBackOff".into(), Some(text)), Some(ended))
        }
        None => (terminated(ended), state.last.as_ref()),
    }
}

/// Why a container has not run yet.
fn waiting_reason(view: &PodView<'_>, container: &ContainerModel, state: &ContainerState) -> (String, Option<String>) {
    if let Some(failure) = failure_reason(view, container, state) {
        return failure;
    }
    if container.role == Role::App && !outcome::is_initialized(view.model, view.state) {
        return ("PodInitializing".into(), None);
    }
    let setup = view.state.network.failure().or(view.state.volumes.failure());
    ("ContainerCreating".into(), setup.map(|failure| failure.message.clone()))
}

/// What the last attempt at the image or the start failed with.
fn failure_reason(
    view: &PodView<'_>,
    container: &ContainerModel,
    state: &ContainerState,
) -> Option<(String, Option<String>)> {
    if let Some(failure) = state.pull.failure() {
        return Some(image_reason(view, container, failure));
    }
    state.start.failure().map(|failure| (failure.reason.clone(), Some(failure.message.clone())))
}

fn image_reason(view: &PodView<'_>, container: &ContainerModel, failure: &Failure) -> (String, Option<String>) {
    let is_fresh = later(failure.failed_at, outcome::FRESH_FAILURE) > view.now;
    if failure.reason != "ErrImagePull" || is_fresh {
        return (failure.reason.clone(), Some(failure.message.clone()));
    }
    let text = format!("Back-off pulling image {:?}: {}: {}", container.image, failure.reason, failure.message);
    ("ImagePullBackOff".into(), Some(text))
}

/// There is no container runtime that would give one: pod and run tell runs apart.
fn container_id(context: &StatusContext<'_>, container: &ContainerModel, state: &ContainerState) -> Option<String> {
    let has_run = state.is_running() || state.termination().is_some();
    has_run.then(|| format!("wasmk://{}/{}/{}", context.uid, container.name, state.restarts))
}

fn waiting(reason: String, message: Option<String>) -> WireState {
    WireState { waiting: Some(ContainerStateWaiting { reason: Some(reason), message }), ..WireState::default() }
}

fn terminated(ended: &Termination) -> WireState {
    let terminated = ContainerStateTerminated {
        exit_code: ended.exit_code,
        reason: Some(ended.reason.clone()),
        message: ended.message.clone(),
        started_at: Some(Time(ended.started_at)),
        finished_at: Some(Time(ended.finished_at)),
        ..ContainerStateTerminated::default()
    };
    WireState { terminated: Some(terminated), ..WireState::default() }
}
