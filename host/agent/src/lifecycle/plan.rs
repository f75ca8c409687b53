//! The decision: what to do now, and when to look again.

use std::time::Duration;

use jiff::Timestamp;

use super::state::{KillReason, PodState, Run, Setup, Step, later};
use super::{ContainerModel, ContainerState, Intent, PodModel, ProbeKind, Role, Settings, outcome, probe};

/// Everything that a plan depends on.
#[derive(Clone, Copy, Debug)]
pub struct PodView<'a> {
    pub model: &'a PodModel,
    pub state: &'a PodState,
    pub intent: Intent,
    /// Whether the conditions named by the readiness gates are all `True`.
    pub gates_open: bool,
    pub settings: &'a Settings,
    pub now: Timestamp,
}

#[derive(Clone, Default, PartialEq, Debug)]
pub struct Plan {
    pub actions: Vec<Action>,
    /// When the plan may change by time alone.
    pub wake_at: Option<Timestamp>,
}

/// [`PodState::begin`] says that it is under way; its end is an [`Observation`](super::Observation).
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Allocate the pod's address and bring it up.
    Attach,
    MountVolumes,
    EnsureImage {
        container: String,
    },
    /// Run number `restart`, counted from 0.
    Start {
        container: String,
        restart: u32,
    },
    Kill {
        container: String,
        reason: KillReason,
    },
    Probe {
        container: String,
        probe: ProbeKind,
    },
    /// Tell the network whether the pod is ready.
    Route(bool),
    /// Serve for `settle`, then wait until nothing is in flight, until `deadline` at most.
    Drain {
        settle: Duration,
        deadline: Timestamp,
    },
    /// Give the pod up; needs nothing done.
    Fail {
        reason: String,
        message: String,
    },
    /// The containers are gone: detach, and unless the pod stays on this node, remove what it left on disk.
    TearDown {
        remove: bool,
    },
    /// Report the end and remove the API object.
    Delete,
}

/// What to do with the pod now. Doing it and planning again gives nothing more.
pub fn plan(view: &PodView<'_>) -> Plan {
    let mut planner = Planner { view, plan: Plan::default() };
    planner.run();
    planner.plan
}

/// Whether the agent has nothing left to do for this pod and may forget it.
pub fn is_done(view: &PodView<'_>) -> bool {
    let torn_down = view.state.teardown == Step::Done;
    match view.intent {
        Intent::Run => false,
        Intent::Delete { .. } => torn_down && view.state.deletion.is_done(),
        Intent::Gone => torn_down && view.state.removed,
        Intent::NodeShutdown { .. } => torn_down,
    }
}

struct Planner<'a> {
    view: &'a PodView<'a>,
    plan: Plan,
}

impl Planner<'_> {
    fn run(&mut self) {
        let view = self.view;
        if let Some((reason, deadline)) = self.stop_order() {
            self.stop(&reason, deadline);
        } else if self.is_past_active_deadline() {
            self.act(Action::Fail {
                reason: "DeadlineExceeded".into(),
                message: "Pod was active on the node longer than the specified deadline".into(),
            });
        } else {
            self.set_up();
            self.advance_containers();
            self.route(outcome::is_ready(view));
        }
    }

    /// Why all containers are to end, and until when they may take their time.
    fn stop_order(&self) -> Option<(KillReason, Timestamp)> {
        let view = self.view;
        match view.intent {
            Intent::Delete { deadline } => Some((KillReason::PodDeleted, deadline)),
            Intent::Gone => Some((KillReason::PodDeleted, view.now)),
            Intent::NodeShutdown { deadline } => Some((KillReason::NodeShutdown, deadline)),
            Intent::Run => {
                if let Some(verdict) = &view.state.verdict {
                    return Some((KillReason::PodFailed(verdict.reason.clone()), view.now));
                }
                outcome::outcome(view.model, view.state).map(|_| (KillReason::PodCompleted, view.now))
            }
        }
    }

    fn is_past_active_deadline(&mut self) -> bool {
        let Some((limit, since)) = self.view.model.active_deadline.zip(self.view.state.accepted_at) else {
            return false;
        };
        self.has_come(later(since, limit))
    }

    fn set_up(&mut self) {
        let state = self.view.state;
        if self.is_setup_due(&state.network) {
            self.act(Action::Attach);
        }
        if self.is_setup_due(&state.volumes) {
            self.act(Action::MountVolumes);
        }
    }

    /// Init containers in order, then the others all at once.
    fn advance_containers(&mut self) {
        let view = self.view;
        for container in view.model.containers.iter().filter(|container| container.role != Role::App) {
            self.advance(container);
            if !outcome::lets_others_start(container, view.state.container(&container.name)) {
                return;
            }
        }
        for container in view.model.apps() {
            self.advance(container);
        }
    }

    fn advance(&mut self, container: &ContainerModel) {
        let fresh = ContainerState::default();
        let state = self.view.state.container(&container.name).unwrap_or(&fresh);
        match &state.run {
            Run::Starting { .. } | Run::Running { killing: Some(_), .. } => (),
            Run::Running { killing: None, .. } if state.image != container.image => {
                self.act(Action::Kill { container: container.name.clone(), reason: KillReason::ImageChanged });
            }
            Run::Running { killing: None, .. } => self.watch(container, state),
            Run::Created => self.bring_up(container, state, None),
            Run::Exited(ended) => {
                let restarts = self.view.model.policy(container).restarts_after(ended.exit_code);
                let done = container.role == Role::Init && ended.exit_code == 0;
                if restarts && !done {
                    let after = outcome::restart_at(state, self.view.settings);
                    self.bring_up(container, state, after);
                }
            }
        }
    }

    /// Image, then start, as soon as everything that the container needs is there.
    fn bring_up(&mut self, container: &ContainerModel, state: &ContainerState, not_before: Option<Timestamp>) {
        let changed = state.pulled != container.image;
        if !state.pull.is_done() || changed {
            let due = if changed && state.pull != Setup::Doing { true } else { self.is_setup_due(&state.pull) };
            if due {
                self.act(Action::EnsureImage { container: container.name.clone() });
            }
            return;
        }
        if !self.view.state.network.is_done() || !self.view.state.volumes.is_done() {
            return;
        }
        if not_before.is_some_and(|at| !self.has_come(at)) || !self.is_setup_due(&state.start) {
            return;
        }
        self.act(Action::Start { container: container.name.clone(), restart: state.next_restart() });
    }

    /// Probes of a running container.
    fn watch(&mut self, container: &ContainerModel, state: &ContainerState) {
        for kind in ProbeKind::ALL {
            if container.probe(kind).is_none() {
                continue;
            }
            if kind != ProbeKind::Startup && !outcome::is_started(container, state) {
                continue;
            }
            let Some(probe) = state.probes.get(&kind) else { continue };
            if kind == ProbeKind::Startup && probe.healthy == Some(true) {
                continue;
            }
            if let (Some(false), Some(message)) = (probe.healthy, probe::kill_message(kind, &container.name)) {
                let container = container.name.clone();
                return self.act(Action::Kill { container, reason: KillReason::Unhealthy(message) });
            }
            if !probe.in_flight && self.has_come(probe.next_at) {
                self.act(Action::Probe { container: container.name.clone(), probe: kind });
            }
        }
    }

    /// Unready first, then what is in flight, then the containers (sidecars after the others), then what is left.
    fn stop(&mut self, reason: &KillReason, deadline: Timestamp) {
        self.route(false);
        let state = self.view.state;
        if state.containers.values().any(ContainerState::is_alive) {
            if self.is_drained(deadline) {
                self.kill_all(reason);
            }
            return;
        }
        self.clean_up();
    }

    /// Only a pod that was to be reached has anything in flight.
    fn is_drained(&mut self, deadline: Timestamp) -> bool {
        let view = self.view;
        let orderly = matches!(view.intent, Intent::Delete { .. } | Intent::NodeShutdown { .. });
        let reachable = view.state.network.is_done() && view.state.containers.values().any(ContainerState::is_running);
        if !orderly || !reachable || view.state.drain == Step::Done || !self.is_ahead(deadline) {
            return true;
        }
        if view.state.drain == Step::Todo {
            let left = Duration::try_from(deadline.duration_since(view.now)).unwrap_or_default();
            self.act(Action::Drain { settle: view.settings.drain_settle.min(left), deadline });
        }
        false
    }

    fn kill_all(&mut self, reason: &KillReason) {
        let view = self.view;
        let alive =
            |container: &&ContainerModel| view.state.container(&container.name).is_some_and(ContainerState::is_alive);
        let others =
            view.model.containers.iter().filter(|container| container.role != Role::Sidecar).any(|c| alive(&c));
        for container in view.model.containers.iter().filter(|c| !others || c.role != Role::Sidecar) {
            let run = view.state.container(&container.name).map(|state| &state.run);
            if matches!(run, Some(Run::Running { killing: None, .. })) {
                self.act(Action::Kill { container: container.name.clone(), reason: reason.clone() });
            }
        }
    }

    fn clean_up(&mut self) {
        let view = self.view;
        // Under way still: its end is observed, and what it brought up is then taken down.
        let busy = |setup: &Setup| *setup == Setup::Doing;
        if busy(&view.state.network) || busy(&view.state.volumes) {
            return;
        }
        let remove = matches!(view.intent, Intent::Delete { .. } | Intent::Gone);
        match view.state.teardown {
            Step::Doing => (),
            Step::Done if view.state.removed || !remove => {
                if matches!(view.intent, Intent::Delete { .. }) && self.is_setup_due(&view.state.deletion) {
                    self.act(Action::Delete);
                }
            }
            Step::Todo | Step::Done => self.act(Action::TearDown { remove }),
        }
    }

    fn route(&mut self, ready: bool) {
        if self.view.state.routing != ready {
            self.act(Action::Route(ready));
        }
    }

    fn act(&mut self, action: Action) {
        self.plan.actions.push(action);
    }

    fn is_setup_due(&mut self, setup: &Setup) -> bool {
        if let Some(failure) = setup.failure() {
            // What the status calls the failure changes with time.
            self.is_ahead(later(failure.failed_at, outcome::FRESH_FAILURE));
        }
        setup.due(self.view.now).is_some_and(|at| self.has_come(at))
    }

    /// Whether `at` has come; if not, the plan wakes then.
    fn has_come(&mut self, at: Timestamp) -> bool {
        !self.is_ahead(at)
    }

    /// Whether `at` is still to come, in which case the plan wakes then.
    fn is_ahead(&mut self, at: Timestamp) -> bool {
        let ahead = at > self.view.now;
        if ahead {
            self.plan.wake_at = Some(self.plan.wake_at.map_or(at, |wake| wake.min(at)));
        }
        ahead
    }
}
