use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::rollout::Rollout;
use crate::Reason;
use crate::json::{condition, remove_condition, time};

const PROGRESSING: &str = "Progressing";

impl Rollout<'_> {
    /// Counts, and how the rollout goes: the condition that `kubectl rollout status` waits for.
    /// Source: `syncRolloutStatus`.
    pub(super) fn set_progress(&mut self) {
        self.set_counts();
        let Some(deadline) = self.deadline() else {
            return remove_condition(&mut self.draft["status"], PROGRESSING);
        };
        let available = Reason::NewReplicaSetAvailable.as_str();
        let was_complete = self.progressing().is_some_and(|progress| progress["reason"] == available);
        if was_complete && self.counted("replicas") == self.counted("updatedReplicas") {
            return;
        }
        let (kind, name) = self.subject();
        if self.is_complete() {
            let message = format!("{kind} {name:?} has successfully progressed.");
            self.set_progressing("True", Reason::NewReplicaSetAvailable, message);
        } else if self.has_progressed() {
            // Taken away first, so that the same reason counts as news and moves the deadline.
            let since =
                self.progressing().filter(|old| old["status"] == "True").map(|old| old["lastTransitionTime"].clone());
            remove_condition(&mut self.draft["status"], PROGRESSING);
            self.set_progressing("True", Reason::ReplicaSetUpdated, format!("{kind} {name:?} is progressing."));
            self.keep_transition_time(since);
        } else if self.deadline_at(deadline).is_some_and(|at| at <= self.clock.now) {
            let message = format!("{kind} {name:?} has timed out progressing.");
            self.set_progressing("False", Reason::ProgressDeadlineExceeded, message);
        }
        if !self.is_complete() {
            let at = self.deadline_at(deadline).filter(|at| *at > self.clock.now);
            self.plan.wake_maybe(at);
        }
    }

    /// Every replica is new and available. Source: `DeploymentComplete`.
    pub(super) fn is_complete(&self) -> bool {
        let all = ["updatedReplicas", "replicas", "availableReplicas"];
        all.iter().all(|field| self.counted(field) == self.replicas()) && self.created.is_none()
    }

    pub(super) fn progressing(&self) -> Option<&Value> {
        condition(&self.draft["status"], PROGRESSING)
    }

    /// Nothing for a Deployment without a deadline: it does not estimate progress.
    pub(super) fn set_progressing(&mut self, status: &str, reason: Reason, message: String) {
        if self.deadline().is_some() {
            self.set_condition(PROGRESSING, status, reason, message);
        }
    }

    /// A paused rollout's clock stands still. Source: `checkPausedConditions`.
    pub(super) fn note_pause(&mut self) {
        let reason = self.progressing().and_then(|progress| progress["reason"].as_str()).unwrap_or_default();
        let paused = reason == Reason::DeploymentPaused.as_str();
        if reason == Reason::ProgressDeadlineExceeded.as_str() || paused == self.is_paused() {
            return;
        }
        match self.is_paused() {
            true => self.set_progressing("Unknown", Reason::DeploymentPaused, "Deployment is paused".to_owned()),
            false => self.set_progressing("Unknown", Reason::DeploymentResumed, "Deployment is resumed".to_owned()),
        }
    }

    fn has_progressed(&self) -> bool {
        let old = |status: fn(&Self, &str) -> i64| status(self, "replicas") - status(self, "updatedReplicas");
        let grew = ["updatedReplicas", "readyReplicas", "availableReplicas"];
        grew.iter().any(|field| self.counted(field) > self.stored(field)) || old(Self::counted) < old(Self::stored)
    }

    /// `None` if there is no deadline, or progress does not count: the rollout was over, or has failed.
    fn deadline_at(&self, deadline: SignedDuration) -> Option<Timestamp> {
        let progress = self.progressing()?;
        if progress["reason"] == Reason::NewReplicaSetAvailable.as_str()
            || progress["reason"] == Reason::ProgressDeadlineExceeded.as_str()
        {
            return None;
        }
        time(&progress["lastUpdateTime"])?.checked_add(deadline).ok()
    }

    fn deadline(&self) -> Option<SignedDuration> {
        let seconds = self.deployment.value()["spec"]["progressDeadlineSeconds"].as_i64()?;
        // Kubernetes' "for ever".
        (seconds != i64::from(i32::MAX)).then(|| SignedDuration::from_secs(seconds))
    }

    fn subject(&self) -> (&'static str, String) {
        let created = self.created.as_ref().and_then(|set| set["metadata"]["name"].as_str());
        match self.new_set().map(|set| set.object.name()).or(created) {
            Some(set) => ("ReplicaSet", set.to_owned()),
            None => ("Deployment", self.deployment.name().to_owned()),
        }
    }

    fn keep_transition_time(&mut self, since: Option<Value>) {
        let Some(since) = since else { return };
        let Some(mut progress) = self.progressing().cloned() else { return };
        progress["lastTransitionTime"] = since;
        crate::json::put_condition(&mut self.draft["status"], progress);
    }
}
