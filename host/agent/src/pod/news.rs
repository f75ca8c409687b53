//! Events, in the kubelet's words.

use k8s_openapi::api::core::v1::ObjectReference;

use super::PodTask;
use super::context::Context;
use crate::events::{News, Severity};
use crate::lifecycle::{self, KillReason, Observation, ProbeKind, Role};

impl PodTask {
    /// What an observation means to somebody who reads events.
    pub(super) fn tell(&mut self, observation: &Observation) {
        match observation {
            Observation::AttachFailed(message) => {
                self.tell_pod(Severity::Warning, "FailedCreatePodSandBox", message.clone());
            }
            Observation::MountFailed(message) => self.tell_pod(Severity::Warning, "FailedMount", message.clone()),
            Observation::ImageFailed { container, reason, message, retry } => {
                self.tell_image(container, reason, message, *retry);
            }
            Observation::StartFailed { container, message, .. } => {
                self.context().tell(container, Severity::Warning, "Failed", format!("Error: {message}"));
            }
            Observation::Started { container } => {
                self.context().tell(container, Severity::Normal, "Started", format!("Started container {container}"));
            }
            Observation::Evicted { message, .. } => self.tell_pod(Severity::Warning, "Evicted", message.clone()),
            _ => (),
        }
    }

    pub(super) fn tell_pod(&self, severity: Severity, reason: &'static str, message: String) {
        self.context().tell_about(None, severity, reason, message);
    }

    pub(super) fn tell_killing(&self, container: &str, reason: &KillReason) {
        let text = match reason {
            KillReason::Unhealthy(message) => message.clone(),
            KillReason::ImageChanged => format!("Container {container} definition changed, will be restarted"),
            _ => format!("Stopping container {container}"),
        };
        self.context().tell(container, Severity::Normal, "Killing", text);
    }

    /// After a container ended: whether it now waits.
    pub(super) fn tell_back_off(&self, container: &str) {
        let waits =
            self.state.container(container).zip(self.model.container(container)).is_some_and(|(state, model)| {
                let ended = state.termination().map(|ended| ended.exit_code);
                let done = |code| model.role == Role::Init && code == 0;
                let restarts = ended.is_some_and(|code| self.model.policy(model).restarts_after(code) && !done(code));
                restarts && state.crashes > 0
            });
        if waits && self.intent.is_run() {
            let (name, namespace, uid) = (self.name(), self.namespace(), &self.uid);
            let text = format!("Back-off restarting failed container {container} in pod {name}_{namespace}({uid})");
            self.context().tell(container, Severity::Warning, "BackOff", text);
        }
    }

    /// Failures of probes that are early retries are nobody's business.
    pub(super) fn tell_unhealthy(&self, container: &str, kind: ProbeKind, message: &str) {
        let probe = self.model.container(container).and_then(|model| model.probe(kind));
        let counts = self
            .state
            .container(container)
            .zip(probe)
            .is_some_and(|(state, probe)| state.is_running() && lifecycle::counts_failures(state, kind, probe));
        if counts {
            let text = format!("{} probe failed: {message}", kind.as_str());
            self.context().tell(container, Severity::Warning, "Unhealthy", text);
        }
    }

    fn tell_image(&self, container: &str, reason: &str, message: &str, retry: bool) {
        let image = self.model.container(container).map(|model| model.image.clone()).unwrap_or_default();
        let context = self.context();
        let text = match reason {
            "ErrImagePull" => format!("Failed to pull image {image:?}: {message}"),
            "InvalidImageName" => format!("Failed to apply default image tag {image:?}: {message}"),
            _ => format!("Error: {message}"),
        };
        context.tell(
            container,
            Severity::Warning,
            if reason == "InvalidImageName" { "InspectFailed" } else { "Failed" },
            text,
        );
        if retry && reason == "ErrImagePull" {
            context.tell(container, Severity::Normal, "BackOff", format!("Back-off pulling image {image:?}"));
        }
    }
}

impl Context {
    pub(super) fn tell(&self, container: &str, severity: Severity, reason: &'static str, message: String) {
        let inits = self.pod.spec.as_ref().and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
        let group = if inits.iter().any(|init| init.name == container) { "initContainers" } else { "containers" };
        self.tell_about(Some(format!("spec.{group}{{{container}}}")), severity, reason, message);
    }

    fn tell_about(&self, field_path: Option<String>, severity: Severity, reason: &'static str, message: String) {
        let meta = &self.pod.metadata;
        let regarding = ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Pod".into()),
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            uid: meta.uid.clone(),
            field_path,
            ..ObjectReference::default()
        };
        self.parts.recorder.record(News { regarding, severity, reason, message });
    }
}

/// A verdict's reason as an event's.
pub(super) fn word(reason: &str) -> &'static str {
    match reason {
        "DeadlineExceeded" => "DeadlineExceeded",
        "Evicted" => "Evicted",
        _ => "Failed",
    }
}
