use serde_json::{Value, json};

use super::annotations;
use super::rollout::Rollout;
use crate::json::{controller_reference, set_annotation};
use crate::plan::EventType;
use crate::{Reason, names, replica_set};

impl Rollout<'_> {
    /// The wanted ReplicaSet gets the highest revision, and the Deployment the same. Nothing if there is none.
    pub(super) fn sync_revisions(&mut self) {
        let Some(at) = self.new else { return };
        let revision = self.next_revision();
        let set = &mut self.sets[at];
        annotations::copy(self.deployment, &mut set.draft);
        annotations::raise_revision(&mut set.draft, revision);
        let min_ready = &self.deployment.value()["spec"]["minReadySeconds"];
        if set.draft["spec"]["minReadySeconds"] != *min_ready && !(min_ready.is_null() && min_ready_is_zero(&set.draft))
        {
            set.draft["spec"]["minReadySeconds"] = json!(min_ready.as_i64().unwrap_or(0));
        }
        if set.draft != *set.object.value() && set.reason == Reason::StatusChanged {
            set.reason = Reason::RevisionChanged;
        }
        let (revision, name) = (set.revision(), set.object.name().to_owned());
        set_annotation(&mut self.draft, annotations::REVISION, revision.to_string());
        if self.progressing().is_none() {
            self.set_progressing("True", Reason::FoundNewReplicaSet, format!("Found new replica set {name:?}"));
        }
    }

    /// As [`Rollout::sync_revisions`], or plans the ReplicaSet that is missing.
    pub(super) fn ensure_new_set(&mut self) {
        if self.new.is_some() {
            return self.sync_revisions();
        }
        let template = &self.deployment.value()["spec"]["template"];
        let collisions = self.draft["status"]["collisionCount"].as_i64().unwrap_or(0);
        let hash = names::template_hash(template, collisions);
        let name = format!("{}-{hash}", self.deployment.name());
        if self.view.find(replica_set::RESOURCE, self.deployment.namespace(), &name).is_some() {
            // Somebody else's: the next plan tries another hash.
            self.draft["status"]["collisionCount"] = json!(collisions + 1);
            let message = format!("ReplicaSet {name:?} exists already and is not of this template");
            return self.event(EventType::Warning, Reason::HashCollision, message);
        }
        let revision = self.next_revision();
        let size = self.size_for_new(0);
        let set = self.new_replica_set(&name, &hash, size, revision);
        self.created = Some(set);
        set_annotation(&mut self.draft, annotations::REVISION, revision.to_string());
        if size > 0 {
            let message = format!("Scaled up replica set {name} from 0 to {size}");
            self.event(EventType::Normal, Reason::ScalingReplicaSet, message);
        }
        self.set_progressing("True", Reason::NewReplicaSetCreated, format!("Created new replica set {name:?}"));
    }

    /// How large the wanted ReplicaSet may be now, if it is `current`. Source: `NewRSNewReplicas`.
    pub(super) fn size_for_new(&self, current: i64) -> i64 {
        if super::strategy::is_recreate(self.deployment) {
            return self.replicas();
        }
        let room = self.replicas_max() - self.replicas_of_all();
        if room <= 0 { current } else { current + room.min(self.replicas() - current) }
    }

    fn next_revision(&self) -> i64 {
        self.old_sets().map(|set| set.revision()).max().unwrap_or(0).saturating_add(1)
    }

    fn new_replica_set(&self, name: &str, hash: &str, replicas: i64, revision: i64) -> Value {
        let spec = &self.deployment.value()["spec"];
        let (mut template, mut selector) = (spec["template"].clone(), spec["selector"].clone());
        template["metadata"]["labels"][annotations::HASH_LABEL] = json!(hash);
        selector["matchLabels"][annotations::HASH_LABEL] = json!(hash);
        let mut set = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": name, "namespace": self.deployment.namespace(), "labels": template["metadata"]["labels"],
                "ownerReferences": [controller_reference(self.deployment)],
            },
            "spec": {"replicas": replicas, "selector": selector, "template": template},
        });
        if !spec["minReadySeconds"].is_null() {
            set["spec"]["minReadySeconds"] = spec["minReadySeconds"].clone();
        }
        annotations::copy(self.deployment, &mut set);
        annotations::raise_revision(&mut set, revision);
        annotations::set_sizes(&mut set, self.replicas(), self.replicas_max());
        set
    }
}

fn min_ready_is_zero(set: &Value) -> bool {
    set["spec"]["minReadySeconds"].as_i64().unwrap_or(0) == 0
}
