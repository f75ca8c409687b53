use super::annotations;
use super::rollout::Rollout;

impl Rollout<'_> {
    /// The Deployment's size is not what its ReplicaSets were last scaled for. Source: `isScalingEvent`. Recreate has no
    /// proportion to keep, and Kubernetes gets stuck when it is switched to amid a rollout.
    pub(super) fn is_scaling(&self) -> bool {
        if super::strategy::is_recreate(self.deployment) {
            return false;
        }
        let active = self.sets.iter().filter(|set| set.replicas() > 0);
        let desired = active.map(|set| annotations::desired_replicas(&set.draft));
        desired.flatten().any(|desired| desired != self.replicas())
    }

    /// Scales without rolling on; between several active ReplicaSets in proportion to their sizes. Source: `scale`.
    pub(super) fn scale(&mut self) {
        if let Some(at) = self.active_or_latest() {
            self.scale_set(at, self.replicas());
            return;
        }
        if self.is_saturated() {
            for at in self.old_indices().into_iter().filter(|at| self.sets[*at].replicas() > 0).collect::<Vec<_>>() {
                self.scale_set(at, 0);
            }
        }
        if !super::strategy::is_recreate(self.deployment) {
            self.scale_in_proportion();
        }
    }

    /// The one ReplicaSet to scale; `None` if several have replicas.
    fn active_or_latest(&self) -> Option<usize> {
        let active: Vec<usize> = (0..self.sets.len()).filter(|at| self.sets[*at].replicas() > 0).collect();
        match active.as_slice() {
            [] => self.new.or_else(|| self.sets.len().checked_sub(1)),
            [one] => Some(*one),
            _ => None,
        }
    }

    /// The rollout is over, so nothing needs to be kept in proportion.
    fn is_saturated(&self) -> bool {
        self.new_set().is_some_and(|set| {
            set.replicas() == self.replicas()
                && annotations::desired_replicas(&set.draft) == Some(self.replicas())
                && set.status("availableReplicas") == self.replicas()
        })
    }

    fn scale_in_proportion(&mut self) {
        let mut active: Vec<usize> = (0..self.sets.len()).filter(|at| self.sets[*at].replicas() > 0).collect();
        let total: i64 = active.iter().map(|at| self.sets[*at].replicas()).sum();
        let allowed = if self.replicas() > 0 { self.replicas_max() } else { 0 };
        let missing = allowed - total;
        // The largest first; of equal ones the newest when growing, the oldest when shrinking.
        active.sort_by_key(|at| {
            let age = if missing > 0 { -(*at as i64) } else { *at as i64 };
            (-self.sets[*at].replicas(), age)
        });
        let mut added = 0;
        let mut sizes: Vec<(usize, i64)> = Vec::new();
        for at in active {
            let part = self.proportion(at, missing, added);
            added += part;
            sizes.push((at, self.sets[at].replicas() + part));
        }
        // What rounding left over goes to the largest.
        if let Some((_, size)) = sizes.first_mut() {
            *size = (*size + missing - added).max(0);
        }
        for (at, size) in sizes {
            self.scale_set(at, size);
        }
    }

    /// One ReplicaSet's part of `missing`, of which `added` are given away already. Source: `GetReplicaSetProportion`.
    fn proportion(&self, at: usize, missing: i64, added: i64) -> i64 {
        if missing == 0 || missing == added {
            return 0;
        }
        let (part, left) = (self.fraction(at), missing - added);
        if missing > 0 { part.min(left) } else { part.max(left) }
    }

    fn fraction(&self, at: usize) -> i64 {
        let set = &self.sets[at];
        let size = set.replicas();
        if self.replicas() == 0 {
            return -size;
        }
        let before = annotations::max_replicas(&set.draft).filter(|max| *max > 0);
        let before =
            before.unwrap_or_else(|| self.deployment.value()["status"]["replicas"].as_i64().unwrap_or(0)).max(1);
        let max = self.replicas_max();
        let wanted = (size as f64 * max as f64 / before as f64).round() as i64;
        wanted.saturating_sub(size)
    }
}
