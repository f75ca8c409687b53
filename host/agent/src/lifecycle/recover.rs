//! What the API remembers of a pod, for when the node does not.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, PodStatus};

use super::state::{ContainerState, PodState, Run, Termination, Verdict};
use super::{PodModel, outcome};

impl PodState {
    /// The state behind a status that an earlier agent reported. Whatever ran then is lost.
    pub fn recover(model: &PodModel, status: &PodStatus, now: Timestamp) -> Self {
        let mut state = PodState {
            accepted_at: status.start_time.as_ref().map(|time| time.0),
            ip: status.pod_ip.as_ref().and_then(|ip| ip.parse().ok()),
            ..PodState::default()
        };
        let statuses = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
        for known in statuses.filter(|known| model.container(&known.name).is_some()) {
            state.containers.insert(known.name.clone(), container(known));
        }
        let failed = status.phase.as_deref() == Some("Failed");
        if failed && outcome::outcome(model, &state).is_none() {
            let reason = status.reason.clone().unwrap_or_else(|| "Failed".into());
            state.verdict = Some(Verdict { reason, message: status.message.clone().unwrap_or_default() });
        }
        state.resume(now)
    }
}

fn container(known: &ContainerStatus) -> ContainerState {
    let now = known.state.clone().unwrap_or_default();
    let last = known.last_state.as_ref().and_then(|state| state.terminated.as_ref()).map(termination);
    let (run, last) = match (now.running, now.terminated, last) {
        (Some(running), _, last) => {
            let since = running.started_at.map(|time| time.0).unwrap_or_default();
            (Run::Running { since, killing: None }, last)
        }
        (_, Some(ended), last) => (Run::Exited(termination(&ended)), last),
        // It waited for a restart: its last state is how the present run ended.
        (None, None, Some(last)) => (Run::Exited(last), None),
        (None, None, None) => (Run::Created, None),
    };
    ContainerState {
        run,
        last,
        restarts: known.restart_count.try_into().unwrap_or(0),
        image: known.image.clone(),
        image_id: Some(known.image_id.clone()).filter(|id| !id.is_empty()),
        ..ContainerState::default()
    }
}

fn termination(ended: &ContainerStateTerminated) -> Termination {
    Termination {
        exit_code: ended.exit_code,
        reason: ended.reason.clone().unwrap_or_default(),
        message: ended.message.clone(),
        started_at: ended.started_at.as_ref().map(|time| time.0).unwrap_or_default(),
        finished_at: ended.finished_at.as_ref().map(|time| time.0).unwrap_or_default(),
        lost: false,
    }
}
