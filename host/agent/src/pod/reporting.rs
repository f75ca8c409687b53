//! What the API, the disk and others are told of the pod.

use std::time::Duration;

use k8s_openapi::api::core::v1::PodStatus;

use super::{Done, PodTask};
use crate::checkpoint::Checkpoint;
use crate::lifecycle::{self, Intent, Role, StatusContext};
use crate::report::Report;

/// Tells the network how to reach the pod; read by the control plane's endpoints.
const APP_PROTOCOL: &str = "wasmk.dev/app-protocol";
/// Changes that come close together are written once.
const SAVE_DELAY: Duration = Duration::from_millis(100);
impl PodTask {
    /// An HTTP handler is called instead of connected to, which the endpoints must say.
    pub(super) fn annotate(&mut self) {
        let is_http = |name: &str| self.state.container(name).and_then(|state| state.is_http) == Some(true);
        if self.model.containers.iter().any(|container| container.role != Role::Init && is_http(&container.name)) {
            self.annotations.insert(APP_PROTOCOL.into(), "http".into());
        }
    }

    pub(super) fn report(&mut self) {
        if self.intent == Intent::Gone {
            return;
        }
        // Others' conditions are the API's, ours what we said last.
        let previous = merge_conditions(self.status.as_ref(), self.pod.status.as_ref());
        let context = StatusContext {
            namespace: self.namespace(),
            name: self.name(),
            uid: &self.uid.0,
            host_ip: self.parts.config.node_ip,
            generation: self.pod.metadata.generation,
            previous: previous.as_ref(),
        };
        let status = lifecycle::status(&self.view(), &context);
        let report = (status, self.annotations.clone());
        if self.reported.as_ref() != Some(&report) {
            let (namespace, name) = (self.namespace().to_owned(), self.name().to_owned());
            let (status, annotations) = report.clone();
            let ready = |status: &PodStatus| condition_holds(status, "Ready");
            let was_ready = self.reported.as_ref().is_some_and(|(status, _)| ready(status));
            let over = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
            let urgent = over || ready(&status) != was_ready;
            let submitted = Report { namespace, name, status: status.clone(), annotations, urgent };
            self.parts.reports.submit(&self.uid, submitted);
            self.reported = Some(report);
            self.status = Some(status);
        }
    }

    pub(super) fn save_soon(&mut self) {
        let at = self.now() + SAVE_DELAY;
        self.save_at.get_or_insert(at);
    }

    pub(super) fn save(&mut self) {
        self.save_at = None;
        if self.is_leaving_disk() {
            return;
        }
        if self.checkpointing {
            return self.save_soon();
        }
        let encoded = Checkpoint::encode(&self.pod, &self.state, self.status.as_ref());
        if encoded.hash == self.checkpoint {
            return;
        }
        self.checkpoint = encoded.hash;
        self.checkpointing = true;
        let (dirs, uid, ground) = (self.parts.dirs.clone(), self.uid.clone(), self.ground.clone());
        self.jobs.spawn_blocking(move || {
            ground.write(|| encoded.write(&dirs, &uid));
            Done::Checkpointed
        });
    }

    pub(super) fn is_leaving_disk(&self) -> bool {
        let removing = self.state.teardown != lifecycle::Step::Todo;
        self.state.removed || (removing && matches!(self.intent, Intent::Gone | Intent::Delete { .. }))
    }

    pub(super) fn leave(&mut self) {
        if matches!(self.intent, Intent::NodeShutdown { .. }) {
            let encoded = Checkpoint::encode(&self.pod, &self.state, self.status.as_ref());
            encoded.write(&self.parts.dirs, &self.uid);
        } else {
            self.parts.reports.forget(&self.uid);
        }
        self.parts.roster.leave(&self.uid);
    }
}

pub(super) fn condition_holds(status: &PodStatus, kind: &str) -> bool {
    let mut conditions = status.conditions.iter().flatten();
    conditions.any(|condition| condition.type_ == kind && condition.status == "True")
}

fn merge_conditions(ours: Option<&PodStatus>, theirs: Option<&PodStatus>) -> Option<PodStatus> {
    let mut merged = ours.or(theirs)?.clone();
    let of = |status: Option<&PodStatus>| status.and_then(|status| status.conditions.clone()).unwrap_or_default();
    let known = of(ours);
    let owned = |kind: &str| lifecycle::OWNED_CONDITIONS.contains(&kind);
    let mut conditions: Vec<_> = known.into_iter().filter(|condition| owned(&condition.type_)).collect();
    for condition in of(theirs) {
        if !conditions.iter().any(|known| known.type_ == condition.type_) {
            conditions.push(condition);
        }
    }
    merged.conditions = Some(conditions);
    Some(merged)
}
