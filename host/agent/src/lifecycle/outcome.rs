//! What the states of containers mean for the pod.

use std::time::Duration;

use jiff::Timestamp;

use super::state::{ContainerState, PodState, Run, later};
use super::{ContainerModel, PodModel, PodView, ProbeKind, RestartPolicy, Role, Settings};

/// So long a failure is shown under its own name (`ErrImagePull`), and after that as waiting (`ImagePullBackOff`).
pub(super) const FRESH_FAILURE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Succeeded,
    Failed,
}

/// How the pod ends by its containers' own doing; `None` while something may still run. Sidecars do not count.
pub fn outcome(model: &PodModel, state: &PodState) -> Option<Outcome> {
    let ended = |container: &ContainerModel| match state.container(&container.name).map(|state| &state.run) {
        Some(Run::Exited(ended)) if !model.policy(container).restarts_after(ended.exit_code) => Some(ended.exit_code),
        _ => None,
    };
    let init_failed = |container: &ContainerModel| ended(container).is_some_and(|code| code != 0);
    if model.containers.iter().filter(|container| container.role == Role::Init).any(init_failed) {
        return Some(Outcome::Failed);
    }
    let mut codes = model.apps().map(ended);
    let all: Option<Vec<i32>> = codes.by_ref().collect();
    match all?.iter().all(|code| *code == 0) {
        // A pod without containers does not exist.
        _ if model.apps().next().is_none() => None,
        true => Some(Outcome::Succeeded),
        false => Some(Outcome::Failed),
    }
}

/// The pod's condition `Ready`.
pub fn is_ready(view: &PodView<'_>) -> bool {
    view.gates_open && containers_ready(view)
}

/// The pod's condition `ContainersReady`.
pub(super) fn containers_ready(view: &PodView<'_>) -> bool {
    let ready = |container: &ContainerModel| is_container_ready(view, container);
    let counts = |container: &&ContainerModel| container.role != Role::Init;
    view.model.apps().next().is_some() && view.model.containers.iter().filter(counts).all(ready)
}

pub(super) fn is_container_ready(view: &PodView<'_>, container: &ContainerModel) -> bool {
    let Some(state) = view.state.container(&container.name) else { return false };
    if container.role == Role::Init {
        return is_init_complete(state);
    }
    let running = matches!(&state.run, Run::Running { killing: None, .. });
    let probed = || match container.readiness {
        Some(_) => state.probes.get(&ProbeKind::Readiness).is_some_and(|probe| probe.healthy == Some(true)),
        None => true,
    };
    let stopping = !view.intent.is_run() || view.state.verdict.is_some();
    running && !stopping && is_started(container, state) && probed()
}

/// `containerStatuses[].started`: running, and past its startup probe.
pub(super) fn is_started(container: &ContainerModel, state: &ContainerState) -> bool {
    let passed = || state.probes.get(&ProbeKind::Startup).is_some_and(|probe| probe.healthy == Some(true));
    state.is_running() && (container.startup.is_none() || passed())
}

pub(super) fn is_init_complete(state: &ContainerState) -> bool {
    matches!(&state.run, Run::Exited(ended) if ended.exit_code == 0)
}

/// Whether what comes after this init container may start.
pub(super) fn lets_others_start(container: &ContainerModel, state: Option<&ContainerState>) -> bool {
    let Some(state) = state else { return false };
    match container.role {
        Role::Init => is_init_complete(state),
        // Once up it holds nobody back, also when it crashes later: what follows has started then.
        Role::Sidecar => is_started(container, state) || state.restarts > 0 || state.termination().is_some(),
        Role::App => true,
    }
}

/// All init containers are through.
pub(super) fn is_initialized(model: &PodModel, state: &PodState) -> bool {
    let inits = model.containers.iter().filter(|container| container.role != Role::App);
    inits.into_iter().all(|container| lets_others_start(container, state.container(&container.name)))
}

/// The end of the back-off of a container that ended.
pub(super) fn restart_at(state: &ContainerState, settings: &Settings) -> Option<Timestamp> {
    let ended = state.termination()?;
    if ended.lost || state.crashes == 0 {
        return None;
    }
    Some(later(ended.finished_at, settings.crash_backoff.delay(state.crashes)))
}

/// Whether it ended for good under the pod's policy.
pub(super) fn is_finished(policy: RestartPolicy, role: Role, exit_code: i32) -> bool {
    !policy.restarts_after(exit_code) || (role == Role::Init && exit_code == 0)
}
