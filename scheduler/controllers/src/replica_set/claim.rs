use std::sync::Arc;

use wasmk_api::{Object, Selector};

use crate::json::{with_owner, without_owners};
use crate::{Plan, Reason, View, pod};
use wasmk_api::write::Part;

/// The active pods that belong to `set`, orphans that its selector matches among them. Plans the release of pods that it no
/// longer matches; [`plan_adoption`] is for the orphans that are to stay.
pub(super) fn plan_claim<'a>(view: &'a View, set: &Object, plan: &mut Plan) -> Vec<&'a Object> {
    let Ok(selector) = Selector::from_json(&set.value()["spec"]["selector"]) else { return Vec::new() };
    let mut claimed = Vec::new();
    for pod in view.controlled(set, "pods").map(Arc::as_ref).filter(|pod| pod::is_active(pod)) {
        if selector.matches(pod) {
            claimed.push(pod);
        } else if !set.is_deleting() {
            let released = without_owners(pod, |owner| owner["uid"] == set.uid());
            plan.update(pod, released, Part::Main, Reason::SelectorNoLongerMatches);
        }
    }
    if !set.is_deleting() && !selector.matches_everything() {
        let orphans = view.selected("pods", set.namespace(), &selector).into_iter().map(Arc::as_ref);
        claimed.extend(orphans.filter(|pod: &&Object| pod.controller_uid().is_none() && pod::is_active(pod)));
    }
    claimed
}

pub(super) fn plan_adoption(set: &Object, pods: &[&Object], plan: &mut Plan) {
    for orphan in pods.iter().filter(|pod| pod.controller_uid().is_none()) {
        plan.update(orphan, with_owner(orphan, set), Part::Main, Reason::SelectorMatches);
    }
}
