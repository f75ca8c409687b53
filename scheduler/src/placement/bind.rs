use jiff::Timestamp;
use serde_json::Value;
use wasmk_api::{Key, Object, Op, Precondition, Snapshot};
use wasmk_controllers::EventType;
use wasmk_placement::{Binding, PlacementPlan, Refusal};

use crate::events::Occurrence;

/// The name that Kubernetes' users know from their events.
const COMPONENT: &str = "default-scheduler";

/// What is written about one pod, and told once it is.
pub(super) struct Decision {
    pub(super) pod: Key,
    pub(super) op: Op,
    pub(super) occurrence: Occurrence,
}

/// Where every waiting pod goes, and for those that go nowhere the reason, if it is not the one that they already show.
pub(super) fn decide(plan: &PlacementPlan, snapshot: &Snapshot, now: Timestamp) -> Vec<Decision> {
    let at = now;
    let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let bound = plan.bindings.iter().filter_map(|binding| {
        let pod = snapshot.get(&binding.pod)?;
        let value = binding.apply(pod, &now);
        Some(decision(pod, value, EventType::Normal, Binding::REASON, binding.message(), at))
    });
    let refused = plan.refusals.iter().filter_map(|refusal| {
        let pod = snapshot.get(&refusal.pod)?;
        let value = refusal.apply(pod, &now)?;
        Some(decision(pod, value, EventType::Warning, Refusal::REASON, refusal.message.clone(), at))
    });
    bound.chain(refused).collect()
}

fn decision(
    pod: &Object,
    value: Value,
    event_type: EventType,
    reason: &'static str,
    message: String,
    at: Timestamp,
) -> Decision {
    let key = pod.key().clone();
    let occurrence = Occurrence {
        about: key.clone(),
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        uid: pod.uid().to_owned(),
        event_type,
        reason,
        message,
        component: COMPONENT,
        at,
    };
    let op = Op::Put { key: key.clone(), value, precondition: Precondition::Revision(pod.revision()) };
    Decision { pod: key, op, occurrence }
}
