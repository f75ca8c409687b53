use super::rollout::Rollout;

impl Rollout<'_> {
    /// Deletes the oldest revisions beyond `revisionHistoryLimit` that have no replicas left. Source: `cleanupDeployment`.
    pub(super) fn clean_up_history(&mut self) {
        let limit = self.deployment.value()["spec"]["revisionHistoryLimit"].as_i64().unwrap_or(10);
        // Unlimited, as Kubernetes understands it.
        if limit == i64::from(i32::MAX) {
            return;
        }
        let mut old: Vec<usize> =
            self.old_indices().into_iter().filter(|at| !self.sets[*at].object.is_deleting()).collect();
        old.sort_by_key(|at| self.sets[*at].revision());
        let surplus = old.len().saturating_sub(limit.max(0) as usize);
        for at in old.into_iter().take(surplus) {
            let set = &self.sets[at];
            let idle = set.status("replicas") == 0 && set.replicas() == 0;
            if idle && set.object.generation() <= set.status("observedGeneration") {
                self.sets[at].deleted = true;
            }
        }
    }
}
