use proptest::prelude::*;
use serde_json::{Value, json};
use wasmk_api::Key;
use wasmk_api::write::Propagation;

use crate::sim::{Sim, cases};

const ONLY: &[&str] = &["garbage-collector"];

fn map(sim: &mut Sim, name: &str, owners: &[&Key]) -> Key {
    let reference = |key: &&Key| {
        let owner = sim.get(key);
        json!({"apiVersion": owner.value()["apiVersion"], "kind": owner.value()["kind"], "name": owner.name(), "uid": owner.uid(), "blockOwnerDeletion": true})
    };
    let references: Vec<Value> = owners.iter().map(reference).collect();
    let mut value =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}});
    if !references.is_empty() {
        value["metadata"]["ownerReferences"] = Value::Array(references);
    }
    sim.put("configmaps", value)
}

fn names(sim: &Sim) -> Vec<String> {
    sim.list("configmaps").iter().map(|map| map["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn dependents_follow_their_owner() {
    let mut sim = Sim::new().only(ONLY);
    let a = map(&mut sim, "a", &[]);
    let b = map(&mut sim, "b", &[&a]);
    map(&mut sim, "c", &[&b]);
    sim.settle();
    assert_eq!(names(&sim), ["a", "b", "c"]);
    sim.delete(&a, Some(Propagation::Background));
    sim.settle();
    assert!(names(&sim).is_empty());
}

#[test]
fn an_owner_may_be_named_in_any_of_its_versions() {
    let mut sim = Sim::new().only(ONLY);
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b", "namespace": "default"},
        "spec": {"minAvailable": 1},
    });
    let budget = sim.put("poddisruptionbudgets.policy", budget);
    let a = map(&mut sim, "a", &[&budget]);
    sim.edit(&a, |map| map["metadata"]["ownerReferences"][0]["apiVersion"] = json!("policy/v1beta1"));
    sim.settle();
    assert_eq!(names(&sim), ["a"]);
    sim.delete(&budget, None);
    sim.settle();
    assert!(names(&sim).is_empty());
}

#[test]
fn a_dependent_stays_while_one_owner_does() {
    let mut sim = Sim::new().only(ONLY);
    let (a, b) = (map(&mut sim, "a", &[]), map(&mut sim, "b", &[]));
    let c = map(&mut sim, "c", &[&a, &b]);
    sim.delete(&a, None);
    sim.settle();
    assert_eq!(sim.get(&c).owner_references().count(), 1);
    sim.delete(&b, None);
    sim.settle();
    assert!(names(&sim).is_empty());
}

#[test]
fn foreground_deletion_ends_with_the_owner() {
    let mut sim = Sim::new().only(ONLY);
    let a = map(&mut sim, "a", &[]);
    let b = map(&mut sim, "b", &[&a]);
    let c = map(&mut sim, "c", &[&b]);
    // Something holds the last one.
    sim.edit(&c, |map| map["metadata"]["finalizers"] = json!(["example.com/hold"]));
    sim.delete(&a, Some(Propagation::Foreground));
    sim.settle();
    assert_eq!(names(&sim), ["a", "b", "c"]);
    assert!(sim.get(&b).is_deleting() && sim.get(&c).is_deleting());
    sim.remove(&c);
    sim.settle();
    assert!(names(&sim).is_empty());
}

#[test]
fn orphaning_keeps_the_dependents() {
    let mut sim = Sim::new().only(ONLY);
    let a = map(&mut sim, "a", &[]);
    let b = map(&mut sim, "b", &[&a]);
    sim.delete(&a, Some(Propagation::Orphan));
    sim.settle();
    assert_eq!(names(&sim), ["b"]);
    assert_eq!(sim.get(&b).owner_references().count(), 0);
}

#[test]
fn an_owner_that_was_replaced_is_gone() {
    let mut sim = Sim::new().only(ONLY);
    let a = map(&mut sim, "a", &[]);
    map(&mut sim, "b", &[&a]);
    sim.settle();
    sim.remove(&a);
    map(&mut sim, "a", &[]);
    sim.settle();
    assert_eq!(names(&sim), ["a"]);
}

#[test]
fn unknown_kinds_count_as_present_and_other_namespaces_as_absent() {
    let mut sim = Sim::new().only(ONLY);
    let a = map(&mut sim, "a", &[]);
    let elsewhere = |name: &str, api_version: &str, kind: &str, uid: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "other",
            "ownerReferences": [{"apiVersion": api_version, "kind": kind, "name": "a", "uid": uid}]}})
    };
    let uid = sim.get(&a).uid().to_owned();
    sim.put("configmaps", elsewhere("unknown", "example.com/v1", "Thing", "u"));
    sim.put("configmaps", elsewhere("across", "v1", "ConfigMap", &uid));
    sim.settle();
    assert_eq!(names(&sim), ["a", "unknown"]);
}

#[test]
fn a_cluster_scoped_object_with_a_namespaced_owner_is_left_alone_and_told_so() {
    let mut sim = Sim::new().only(ONLY);
    let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "u"}]);
    sim.put(
        "nodes",
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "ownerReferences": owner}, "spec": {}}),
    );
    sim.step();
    assert!(sim.take_log().contains("OwnerRefInvalidNamespace"));
    assert_eq!(sim.list("nodes").len(), 1);
}

proptest! {
    // Each case is a cluster's life; PROPTEST_CASES asks for more.
    #![proptest_config(cases(100))]

    /// Random forests of owners, deleted in any way and order: what is left has no absent owner.
    #[test]
    fn what_is_left_has_its_owners(
        owners in prop::collection::vec(prop::collection::vec(0..8usize, 0..3), 1..9),
        deletions in prop::collection::vec((0..9usize, 0..3u8, any::<bool>()), 0..6),
    ) {
        let mut sim = Sim::new().only(ONLY);
        let mut keys: Vec<Key> = Vec::new();
        for (nth, owners) in owners.iter().enumerate() {
            let mut owners: Vec<&Key> = owners.iter().filter_map(|owner| keys.get(*owner)).collect();
            owners.sort();
            owners.dedup();
            let key = map(&mut sim, &format!("m{nth}"), &owners);
            keys.push(key);
        }
        sim.settle();
        prop_assert_eq!(names(&sim).len(), owners.len());
        for (nth, how, step) in deletions {
            let propagation = [Propagation::Background, Propagation::Foreground, Propagation::Orphan][how as usize];
            if let Some(key) = keys.get(nth).filter(|key| sim.snapshot.get(key).is_some_and(|object| !object.is_deleting())) {
                sim.delete(key, Some(propagation));
            }
            if step {
                sim.step();
            }
        }
        sim.settle();
        let uids: Vec<String> = sim.list("configmaps").iter().map(|map| map["metadata"]["uid"].as_str().unwrap().to_owned()).collect();
        for map in sim.list("configmaps") {
            prop_assert!(map["metadata"]["deletionTimestamp"].is_null(), "{} hangs", map["metadata"]["name"]);
            for owner in map["metadata"]["ownerReferences"].as_array().into_iter().flatten() {
                prop_assert!(uids.iter().any(|uid| owner["uid"] == **uid));
            }
        }
    }
}
