use super::rollout::{Rollout, Set};

impl Rollout<'_> {
    /// RollingUpdate: first grow the new ReplicaSet as far as the surge allows, else shrink old ones as far as
    /// availability allows. Source: `rolloutRolling`.
    pub(super) fn roll(&mut self) {
        self.ensure_new_set();
        if self.created.is_none() && !self.grow_new_set() {
            self.shrink_old_sets();
        }
    }

    /// True if the size of the new ReplicaSet changes.
    fn grow_new_set(&mut self) -> bool {
        let Some(at) = self.new else { return false };
        let current = self.sets[at].replicas();
        let size = if current > self.replicas() { self.replicas() } else { self.size_for_new(current) };
        size != current && self.scale_set(at, size)
    }

    fn shrink_old_sets(&mut self) {
        let min_available = self.replicas() - self.max_unavailable();
        let new_unavailable = self.new_set().map_or(0, |set| set.replicas() - set.available());
        let removable = self.replicas_of_all() - min_available - new_unavailable;
        if removable <= 0 || self.old_sets().all(|set| set.replicas() == 0) {
            return;
        }
        // Replicas that do not work anyway cost no availability.
        let removed = self.shrink(removable, |set| set.replicas() - set.available());
        let available: i64 = self.sets.iter().map(Set::available).sum();
        self.shrink((available - min_available).min(removable - removed), |set| set.replicas());
    }

    /// Takes up to `limit` replicas from old ReplicaSets, the oldest first, at most `most` of each; returns how many.
    fn shrink(&mut self, limit: i64, most: impl Fn(&Set) -> i64) -> i64 {
        let mut removed = 0;
        for at in self.old_indices() {
            let take = most(&self.sets[at]).min(limit - removed);
            if take > 0 {
                removed += take;
                let size = self.sets[at].replicas() - take;
                self.scale_set(at, size);
            }
        }
        removed
    }
}
