use super::rollout::Rollout;
use crate::pod;

impl Rollout<'_> {
    /// Recreate: no new replica before the last old one is gone. Source: `rolloutRecreate`.
    pub(super) fn recreate(&mut self) {
        let mut scaled = false;
        for at in self.old_indices() {
            scaled |= self.sets[at].replicas() > 0 && self.scale_set(at, 0);
        }
        if scaled || self.old_pods_run() {
            return self.sync_revisions();
        }
        self.ensure_new_set();
        if let Some(at) = self.new {
            self.scale_set(at, self.replicas());
        }
    }

    /// Terminating pods still run.
    fn old_pods_run(&self) -> bool {
        self.old_sets().any(|set| self.view.controlled(set.object, "pods").any(|pod| !pod::is_finished(pod)))
    }
}
