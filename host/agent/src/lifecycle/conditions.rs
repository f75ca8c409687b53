use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodCondition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::outcome;
use super::status::StatusContext;
use super::{ContainerModel, PodView, Role};

/// The conditions that the kubelet owns.
pub(crate) const OWNED: [&str; 5] =
    ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];

struct Finding {
    kind: &'static str,
    holds: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

/// Ours, with the time of their last transition, and everybody else's as they are.
pub(super) fn conditions(view: &PodView<'_>, context: &StatusContext<'_>, phase: &str) -> Vec<PodCondition> {
    let before = || context.previous.and_then(|status| status.conditions.as_ref()).into_iter().flatten();
    let ours = findings(view, phase).into_iter().map(|finding| {
        let previous = before().find(|condition| condition.type_ == finding.kind);
        finding.condition(previous, context.generation, view.now)
    });
    let others = before().filter(|condition| !OWNED.contains(&condition.type_.as_str()));
    ours.chain(others.cloned()).collect()
}

fn findings(view: &PodView<'_>, phase: &str) -> [Finding; 5] {
    let completed = phase == "Succeeded";
    let initialized = outcome::is_initialized(view.model, view.state) || completed;
    let containers_ready = outcome::containers_ready(view);
    let not_ready = || match phase {
        "Succeeded" => Some("PodCompleted"),
        "Failed" => Some("PodFailed"),
        _ => Some("ContainersNotReady"),
    };
    let unready = || {
        names("containers with unready status", view, |view, container| !outcome::is_container_ready(view, container))
    };
    let unready = || (phase != "Succeeded" && phase != "Failed").then(unready);
    let containers = |kind| Finding::new(kind, containers_ready, not_ready(), unready());
    let ready = match (containers_ready, view.gates_open) {
        (true, false) => {
            let message = Some("the status of a pod readiness gate is not \"True\"".to_owned());
            Finding::new("Ready", false, Some("ReadinessGatesNotReady"), message)
        }
        _ => containers("Ready"),
    };
    let incomplete = |view: &PodView<'_>, container: &ContainerModel| {
        !outcome::lets_others_start(container, view.state.container(&container.name))
    };
    let incomplete = || names_of_inits("containers with incomplete status", view, incomplete);
    [
        Finding::new("PodReadyToStartContainers", view.state.network.is_done(), None, None),
        Finding::new("Initialized", initialized, Some("ContainersNotInitialized"), (!initialized).then(incomplete)),
        ready,
        containers("ContainersReady"),
        Finding::new("PodScheduled", true, None, None),
    ]
}

impl Finding {
    /// Reason and message are those of the condition not holding.
    fn new(kind: &'static str, holds: bool, reason: Option<&'static str>, message: Option<String>) -> Self {
        let (reason, message) = if holds { (None, None) } else { (reason, message) };
        Self { kind, holds, reason, message }
    }

    fn condition(self, previous: Option<&PodCondition>, generation: Option<i64>, now: Timestamp) -> PodCondition {
        let status = if self.holds { "True" } else { "False" };
        let since = previous
            .filter(|previous| previous.status == status)
            .and_then(|previous| previous.last_transition_time.clone());
        PodCondition {
            type_: self.kind.to_owned(),
            status: status.to_owned(),
            reason: self.reason.map(str::to_owned),
            message: self.message,
            last_transition_time: Some(since.unwrap_or(Time(now))),
            observed_generation: generation,
            ..PodCondition::default()
        }
    }
}

fn names(what: &str, view: &PodView<'_>, is_meant: impl Fn(&PodView<'_>, &ContainerModel) -> bool) -> String {
    list(what, view, |container| container.role != Role::Init && is_meant(view, container))
}

fn names_of_inits(what: &str, view: &PodView<'_>, is_meant: impl Fn(&PodView<'_>, &ContainerModel) -> bool) -> String {
    list(what, view, |container| container.role != Role::App && is_meant(view, container))
}

fn list(what: &str, view: &PodView<'_>, is_meant: impl Fn(&ContainerModel) -> bool) -> String {
    let names: Vec<_> = view.model.containers.iter().filter(|c| is_meant(c)).map(|c| c.name.as_str()).collect();
    format!("{what}: [{}]", names.join(" "))
}
