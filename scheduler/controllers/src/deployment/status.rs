use serde_json::{Value, json};

use super::rollout::{Rollout, Set};
use crate::Reason;
use crate::json::{condition, put_condition, remove_condition, set_count};

impl Rollout<'_> {
    /// Counts and availability, from what the ReplicaSets report. Source: `calculateStatus`.
    pub(super) fn set_counts(&mut self) {
        let sum = |field: &str| self.sets.iter().map(|set| set.status(field)).sum::<i64>();
        let available = sum("availableReplicas");
        let counts = [
            ("observedGeneration", self.deployment.generation()),
            ("replicas", sum("replicas")),
            ("updatedReplicas", self.new_set().map_or(0, |set| set.status("replicas"))),
            ("readyReplicas", sum("readyReplicas")),
            ("availableReplicas", available),
            ("unavailableReplicas", (self.replicas_of_all() - available).max(0)),
        ];
        for (field, count) in counts {
            set_count(&mut self.draft["status"], field, count);
        }
        if available >= self.replicas() - self.max_unavailable() {
            let message = "Deployment has minimum availability.".to_owned();
            self.set_condition("Available", "True", Reason::MinimumReplicasAvailable, message);
        } else {
            let message = "Deployment does not have minimum availability.".to_owned();
            self.set_condition("Available", "False", Reason::MinimumReplicasUnavailable, message);
        }
        self.copy_failure();
    }

    /// Unlike other kinds' conditions, these also say when they were last confirmed; the same status for the same reason
    /// changes nothing. Source: `SetDeploymentCondition`.
    pub(super) fn set_condition(&mut self, condition_type: &str, status: &str, reason: Reason, message: String) {
        let old = condition(&self.draft["status"], condition_type);
        if old.is_some_and(|old| old["status"] == status && old["reason"] == reason.as_str()) {
            return;
        }
        let now = json!(self.clock.stamp());
        let kept = old.filter(|old| old["status"] == status).map(|old| old["lastTransitionTime"].clone());
        let new = json!({
            "type": condition_type, "status": status, "reason": reason.as_str(), "message": message,
            "lastUpdateTime": now, "lastTransitionTime": kept.unwrap_or_else(|| now.clone()),
        });
        put_condition(&mut self.draft["status"], new);
    }

    /// A ReplicaSet that cannot create pods says so on the Deployment too, the new one's word first.
    fn copy_failure(&mut self) {
        let failure = |set: &Set| condition(&set.object.value()["status"], "ReplicaFailure").cloned();
        let failure = self.new_set().and_then(failure).or_else(|| self.old_sets().find_map(failure));
        match failure {
            Some(failure) => {
                let text = |field: &str| failure[field].as_str().unwrap_or_default().to_owned();
                self.set_condition("ReplicaFailure", &text("status"), Reason::FailedCreate, text("message"));
            }
            None => remove_condition(&mut self.draft["status"], "ReplicaFailure"),
        }
    }

    /// A count of the status that is stored.
    pub(super) fn stored(&self, field: &str) -> i64 {
        count(&self.deployment.value()["status"], field)
    }

    /// A count of the status that is to be.
    pub(super) fn counted(&self, field: &str) -> i64 {
        count(&self.draft["status"], field)
    }
}

fn count(status: &Value, field: &str) -> i64 {
    status[field].as_i64().unwrap_or(0)
}
