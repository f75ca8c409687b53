//! Disruption budgets: how many of their pods may be evicted. Source: `pkg/controller/disruption/disruption.go` and
//! `pkg/registry/core/pod/storage/eviction.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::{Cause, Key, Object, Reason, ResourceName, Selector, Snapshot, Status, kind};

pub const RESOURCE: &str = "poddisruptionbudgets.policy";

/// A budget, counted out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// How many pods there should be.
    pub expected: i64,
    /// How many must be ready.
    pub desired: i64,
    /// How many are.
    pub healthy: i64,
}

impl Budget {
    /// `pods` are those that the budget selects; what controls them is looked up in `snapshot`.
    pub fn of(budget: &Object, pods: &[&Object], snapshot: &Snapshot) -> Self {
        let spec = &budget.value()["spec"];
        let healthy = pods.iter().filter(|pod| !pod.is_deleting() && is_ready(pod)).count() as i64;
        let scale = || expected_scale(pods, snapshot);
        let (expected, desired) = match (&spec["maxUnavailable"], &spec["minAvailable"]) {
            (Value::Null, Value::Number(count)) => (pods.len() as i64, count.as_i64().unwrap_or(0)),
            (Value::Null, Value::Null) => (0, 0),
            (Value::Null, share) => (scale(), scaled(share, scale())),
            (share, _) => (scale(), (scale() - scaled(share, scale())).max(0)),
        };
        Self { expected, desired, healthy }
    }

    /// How many may go now.
    pub fn allowed(&self) -> i64 {
        if self.expected > 0 { (self.healthy - self.desired).max(0) } else { 0 }
    }

    /// Writes the counts into the status of the budget.
    pub fn write_to(&self, status: &mut Value) {
        for (field, count) in [
            ("currentHealthy", self.healthy),
            ("desiredHealthy", self.desired),
            ("expectedPods", self.expected),
            ("disruptionsAllowed", self.allowed()),
        ] {
            status[field] = json!(count);
        }
    }
}

/// Whether `pod` may be evicted: 429 when a budget forbids it. Answers with the budget that pays for it, and what is left
/// of it, which must be written together with the deletion, so that two evictions cannot spend the same.
pub fn check_eviction(pod: &Object, snapshot: &Snapshot) -> Result<Option<(Arc<Object>, Budget)>, Status> {
    let phase = pod.value()["status"]["phase"].as_str().unwrap_or_default();
    if pod.is_deleting() || ["Succeeded", "Failed", "Pending"].contains(&phase) {
        return Ok(None);
    }
    let (budgets, pods) = (ResourceName::from(RESOURCE), ResourceName::from("pods"));
    let budgets = snapshot.list(&budgets, Some(pod.namespace()));
    let mut budgets = budgets.filter(|budget| selector(budget).matches(pod));
    let Some(found) = budgets.next() else { return Ok(None) };
    if budgets.next().is_some() {
        let message =
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        return Err(Status::new(Reason::InternalError, message));
    }
    let selector = selector(found);
    let pods = snapshot.list(&pods, Some(pod.namespace())).map(Arc::as_ref);
    let pods: Vec<&Object> = pods.filter(|pod: &&Object| selector.matches(*pod)).collect();
    let budget = Budget::of(found, &pods, snapshot);
    if !is_ready(pod) {
        let always = found.value()["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow";
        if always || budget.desired > 0 && budget.healthy >= budget.desired {
            return Ok(None);
        }
    }
    if budget.allowed() == 0 {
        return Err(refused(found, &budget));
    }
    Ok(Some((found.clone(), Budget { healthy: budget.healthy - 1, ..budget })))
}

fn refused(found: &Object, budget: &Budget) -> Status {
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    let mut status = Status::new(Reason::TooManyRequests, message);
    let why = format!(
        "The disruption budget {} needs {} healthy pods and has {} currently",
        found.name(),
        budget.desired,
        budget.healthy
    );
    status.causes = vec![Cause::new("DisruptionBudget", "", why)];
    status
}

/// What a budget is about; nothing when it does not say.
pub fn selector(budget: &Object) -> Selector {
    Selector::from_json(&budget.value()["spec"]["selector"]).unwrap_or_else(|_| Selector::nothing())
}

/// The sum of what the pods' controllers want. A pod that nothing controls counts for none, as in Kubernetes.
fn expected_scale(pods: &[&Object], snapshot: &Snapshot) -> i64 {
    let mut scales = BTreeMap::new();
    for pod in pods {
        if let Some(owner) = controller(pod, snapshot) {
            // A Deployment speaks for its ReplicaSets.
            let owner = controller(owner, snapshot).unwrap_or(owner);
            scales.insert(owner.uid(), owner.value()["spec"]["replicas"].as_i64().unwrap_or(0));
        }
    }
    scales.values().sum()
}

fn controller<'a>(object: &Object, snapshot: &'a Snapshot) -> Option<&'a Arc<Object>> {
    let reference = object.owner_references().find(|owner| owner["controller"] == true)?;
    let kind = kind::by_api_version(reference["apiVersion"].as_str()?, reference["kind"].as_str()?)?;
    let owner = snapshot.get(&Key::new(kind.resource_name(), object.namespace(), reference["name"].as_str()?))?;
    (reference["uid"] == owner.uid()).then_some(owner)
}

/// A count, or a percentage of `total`, rounded up.
fn scaled(share: &Value, total: i64) -> i64 {
    let percent = share.as_str().and_then(|text| text.strip_suffix('%')?.parse::<i64>().ok());
    match percent {
        Some(percent) => percent.saturating_mul(total).saturating_add(99).div_euclid(100),
        None => share.as_i64().unwrap_or(0),
    }
}

fn is_ready(pod: &Object) -> bool {
    let conditions = pod.value()["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ReplicaSet that wants four pods, of which `ready` are, and a budget with `spec`.
    fn cluster(spec: Value, ready: usize) -> Snapshot {
        let mut budget = json!({"metadata": {"uid": "b"}, "spec": spec});
        budget["spec"]["selector"] = json!({"matchLabels": {"app": "a"}});
        let set = json!({"metadata": {"uid": "s"}, "spec": {"replicas": 4}});
        let owner =
            json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "s", "uid": "s", "controller": true}]);
        let pod = |nth: usize| {
            let status = if nth < ready { "True" } else { "False" };
            json!({
                "metadata": {"labels": {"app": "a"}, "ownerReferences": owner.clone()},
                "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": status}]},
            })
        };
        let pods = (0..4).map(|nth| (Key::new("pods", "default", &format!("p{nth}")), pod(nth)));
        let others =
            [(Key::new(RESOURCE, "default", "b"), budget), (Key::new("replicasets.apps", "default", "s"), set)];
        Snapshot::from_objects(1, pods.chain(others).map(|(key, value)| Object::new(key, 1, value)))
    }

    fn evict(snapshot: &Snapshot, pod: &str) -> Result<Option<Budget>, Status> {
        let pod = snapshot.get(&Key::new("pods", "default", pod)).unwrap();
        check_eviction(pod, snapshot).map(|found| found.map(|(_, budget)| budget))
    }

    #[test]
    fn counts_and_percentages() {
        for (spec, ready, expected) in [
            (json!({"minAvailable": 3}), 4, Some(1)),
            (json!({"minAvailable": 4}), 4, None),
            (json!({"minAvailable": "50%"}), 4, Some(2)),
            (json!({"minAvailable": "51%"}), 3, None),
            (json!({"maxUnavailable": 1}), 4, Some(1)),
            (json!({"maxUnavailable": 1}), 3, None),
            (json!({"maxUnavailable": "50%"}), 3, Some(1)),
            (json!({"maxUnavailable": 0}), 4, None),
        ] {
            let left = evict(&cluster(spec.clone(), ready), "p0").ok().flatten();
            assert_eq!(left.map(|budget| budget.allowed() + 1), expected, "{spec} {ready}");
        }
    }

    #[test]
    fn a_refusal_says_why() {
        let status = evict(&cluster(json!({"minAvailable": 4}), 4), "p0").unwrap_err();
        assert_eq!(
            (status.code, status.message.as_str()),
            (429, "Cannot evict pod as it would violate the pod's disruption budget.")
        );
        assert_eq!(status.causes[0].reason, "DisruptionBudget");
        assert_eq!(status.causes[0].message, "The disruption budget b needs 4 healthy pods and has 4 currently");
    }

    #[test]
    fn a_pod_that_is_not_ready_costs_nothing_while_enough_are() {
        assert_eq!(evict(&cluster(json!({"minAvailable": 3}), 3), "p3"), Ok(None));
        assert!(evict(&cluster(json!({"minAvailable": 3}), 2), "p3").is_err());
        let always = json!({"minAvailable": 3, "unhealthyPodEvictionPolicy": "AlwaysAllow"});
        assert_eq!(evict(&cluster(always, 2), "p3"), Ok(None));
    }
}
