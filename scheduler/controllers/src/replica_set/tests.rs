use expect_test::{Expect, expect};
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::{Value, json};
use wasmk_api::Key;

use crate::Planner;
use crate::sim::{Sim, cases, set_ready, summary};

const ONLY: &[&str] = &["replicaset", "replicationcontroller"];

fn replica_set(replicas: i64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:v1"}]}},
        },
    })
}

/// The same as a ReplicationController.
fn replication_controller(replicas: i64) -> Value {
    let mut controller = replica_set(replicas);
    controller["apiVersion"] = json!("v1");
    controller["kind"] = json!("ReplicationController");
    controller["spec"]["selector"] = json!({"app": "web"});
    controller
}

fn pod(name: &str, labels: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", "labels": labels}, "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}})
}

fn key() -> Key {
    Key::new("replicasets.apps", "default", "web")
}

fn pod_keys(sim: &Sim) -> Vec<Key> {
    sim.snapshot.list(&"pods".into(), None).map(|pod| pod.key().clone()).collect()
}

#[track_caller]
fn check(sim: &mut Sim, expected: Expect) {
    expected.assert_eq(&sim.take_log());
}

#[test]
fn missing_pods_are_created_with_names_of_their_own() {
    let mut sim = Sim::new().only(ONLY);
    sim.put("replicasets.apps", replica_set(2));
    sim.settle();
    check(
        &mut sim,
        expect![[r#"
        create pods/default/web-sr97k (SuccessfulCreate)
        create pods/default/web-mzlsp (SuccessfulCreate)
        update replicasets.apps/default/web Status (StatusChanged)
        Normal SuccessfulCreate replicasets.apps/default/web: Created pod: web-sr97k
        Normal SuccessfulCreate replicasets.apps/default/web: Created pod: web-mzlsp
    "#]],
    );
    let pod = sim.list("pods").remove(0);
    assert_eq!(pod["metadata"]["ownerReferences"][0]["name"], "web");
    assert_eq!(pod["spec"]["containers"][0]["image"], "web:v1");
    assert_eq!(
        sim.get(&key()).value()["status"],
        json!({"replicas": 2, "fullyLabeledReplicas": 2, "observedGeneration": 1})
    );
}

#[test]
fn orphans_are_adopted_and_strangers_released() {
    let mut sim = Sim::new().only(ONLY);
    sim.put("pods", pod("orphan", json!({"app": "web"})));
    sim.put("pods", pod("other", json!({"app": "other"})));
    sim.put("replicasets.apps", replica_set(1));
    sim.settle();
    check(
        &mut sim,
        expect![[r#"
        update pods/default/orphan Main (SelectorMatches)
        update replicasets.apps/default/web Status (StatusChanged)
    "#]],
    );
    sim.edit(&Key::new("pods", "default", "orphan"), |pod| pod["metadata"]["labels"]["app"] = json!("x"));
    sim.settle();
    check(
        &mut sim,
        expect![[r#"
        update pods/default/orphan Main (SelectorNoLongerMatches)
        create pods/default/web-kvqxp (SuccessfulCreate)
        Normal SuccessfulCreate replicasets.apps/default/web: Created pod: web-kvqxp
    "#]],
    );
}

#[test]
fn a_replication_controller_does_the_same() {
    let mut sim = Sim::new().only(ONLY);
    sim.put("pods", pod("orphan", json!({"app": "web"})));
    let key = sim.put("replicationcontrollers", replication_controller(2));
    sim.settle();
    check(
        &mut sim,
        expect![[r#"
        create pods/default/web-2ltlz (SuccessfulCreate)
        update pods/default/orphan Main (SelectorMatches)
        update replicationcontrollers/default/web Status (StatusChanged)
        Normal SuccessfulCreate replicationcontrollers/default/web: Created pod: web-2ltlz
    "#]],
    );
    let created = sim.list("pods").into_iter().find(|pod| pod["metadata"]["name"] != "orphan").unwrap();
    let owner = &created["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["apiVersion"], &owner["kind"]), (&json!("v1"), &json!("ReplicationController")));
    assert_eq!(
        sim.get(&key).value()["status"],
        json!({"replicas": 2, "fullyLabeledReplicas": 2, "observedGeneration": 1})
    );
    sim.edit(&Key::new("pods", "default", "orphan"), |pod| pod["metadata"]["labels"]["app"] = json!("x"));
    sim.edit(&key, |controller| controller["spec"]["replicas"] = json!(1));
    sim.settle();
    check(
        &mut sim,
        expect![[r#"
        update pods/default/orphan Main (SelectorNoLongerMatches)
        update replicationcontrollers/default/web Status (StatusChanged)
    "#]],
    );
}

#[test]
fn pods_of_one_kind_are_not_the_other_kinds_to_take() {
    let mut sim = Sim::new().only(ONLY);
    sim.put("replicasets.apps", replica_set(2));
    sim.settle();
    sim.put("replicationcontrollers", replication_controller(1));
    sim.settle();
    assert_eq!(pod_keys(&sim).len(), 3);
}

#[test]
fn finished_and_deleted_pods_are_replaced() {
    let mut sim = Sim::new().only(ONLY);
    sim.put("replicasets.apps", replica_set(2));
    sim.settle();
    let pods = pod_keys(&sim);
    sim.edit(&pods[0], |pod| pod["status"]["phase"] = json!("Failed"));
    sim.remove(&pods[1]);
    sim.settle();
    assert_eq!(pod_keys(&sim).len(), 3);
    assert_eq!(sim.get(&key()).value()["status"]["replicas"], 2);
}

#[test]
fn the_least_missed_go_first() {
    let mut sim = Sim::new().only(ONLY);
    sim.put("replicasets.apps", replica_set(6));
    for (name, node, ready) in [
        ("a", "n1", true),
        ("b", "n1", true),
        ("c", "n1", false),
        ("d", "n2", true),
        ("e", "", false),
        ("f", "n2", true),
    ] {
        let mut pod = pod(name, json!({"app": "web"}));
        pod["spec"]["nodeName"] = json!(node);
        set_ready(&mut pod, ready, sim.now);
        sim.put("pods", pod);
    }
    sim.settle();
    sim.take_log();
    for replicas in (0..6).rev() {
        sim.edit(&key(), |set| set["spec"]["replicas"] = json!(replicas));
        sim.settle();
    }
    let log = sim.take_log();
    let deleted: Vec<&str> = log.lines().filter_map(|line| line.split("Deleted pod: ").nth(1)).collect();
    // Unassigned, not ready, then one of each doubled-up pair.
    assert_eq!(deleted, ["e", "c", "b", "f", "a", "d"]);
}

#[test]
fn deletion_cost_decides_among_the_ready() {
    let mut sim = Sim::new().only(ONLY);
    sim.put("replicasets.apps", replica_set(1));
    for (name, cost) in [("cheap", "-1"), ("dear", "5")] {
        let mut pod = pod(name, json!({"app": "web"}));
        pod["metadata"]["annotations"] = json!({"controller.kubernetes.io/pod-deletion-cost": cost});
        set_ready(&mut pod, true, sim.now);
        sim.put("pods", pod);
    }
    sim.settle();
    assert!(sim.take_log().contains("Deleted pod: cheap"));
}

#[test]
fn a_ready_pod_is_available_after_min_ready_seconds() {
    let mut sim = Sim::new().only(ONLY);
    let mut set = replica_set(1);
    set["spec"]["minReadySeconds"] = json!(10);
    sim.put("replicasets.apps", set);
    sim.settle();
    let (pods, now) = (pod_keys(&sim), sim.now);
    sim.edit(&pods[0], |pod| set_ready(pod, true, now));
    sim.settle();
    let counts = ["/status/readyReplicas", "/status/availableReplicas"];
    assert_eq!(summary(&sim, "replicasets.apps", &counts), "web: 1 null\n");
    assert_eq!(sim.planner.wake_at(), Some(now + SignedDuration::from_secs(10)));
    sim.settle_for(SignedDuration::from_secs(10));
    assert_eq!(summary(&sim, "replicasets.apps", &counts), "web: 1 1\n");
}

#[test]
fn a_refused_creation_becomes_a_condition_until_it_works() {
    let mut sim = Sim::new().only(ONLY);
    sim.put("replicasets.apps", replica_set(1));
    sim.planner.observe(sim.snapshot.clone(), sim.now);
    let refused =
        sim.planner.plan(sim.now, 100).into_iter().find(|planned| planned.controller == "replicaset").unwrap();
    sim.planner.refused(&refused, "quota exceeded", sim.now);
    sim.step();
    check(&mut sim, expect![""]);
    sim.pass(SignedDuration::from_secs(1));
    sim.settle();
    assert_eq!(summary(&sim, "replicasets.apps", &["/status/replicas", "/status/conditions"]), "web: 1 null\n");
}

#[test]
fn a_set_in_a_terminating_namespace_creates_nothing() {
    let mut sim = Sim::new().only(ONLY);
    sim.put("namespaces", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "going"}, "spec": {"finalizers": ["kubernetes"]}}));
    let mut set = replica_set(1);
    set["metadata"]["namespace"] = json!("going");
    sim.put("replicasets.apps", set);
    sim.delete(&Key::new("namespaces", "", "going"), None);
    sim.settle();
    assert!(pod_keys(&sim).is_empty());
}

#[derive(Clone, Debug)]
enum Change {
    Scale(i64),
    Ready(usize, bool),
    Fail(usize),
    Remove(usize),
    Relabel(usize),
    Orphan,
    Wait(i64),
}

fn change() -> impl Strategy<Value = Change> {
    let nth = 0..20usize;
    prop_oneof![
        (0..12i64).prop_map(Change::Scale),
        (nth.clone(), any::<bool>()).prop_map(|(nth, ready)| Change::Ready(nth, ready)),
        nth.clone().prop_map(Change::Fail),
        nth.clone().prop_map(Change::Remove),
        nth.prop_map(Change::Relabel),
        Just(Change::Orphan),
        (1..20i64).prop_map(Change::Wait),
    ]
}

fn apply(sim: &mut Sim, set: &Key, nth_change: usize, change: &Change) {
    let pods = pod_keys(sim);
    let pick = |nth: usize| pods.get(nth % pods.len().max(1));
    let now = sim.now;
    match *change {
        Change::Scale(replicas) => sim.edit(set, |set| set["spec"]["replicas"] = json!(replicas)),
        Change::Ready(nth, ready) => {
            pick(nth).into_iter().for_each(|key| sim.edit(key, |pod| set_ready(pod, ready, now)))
        }
        Change::Fail(nth) => {
            pick(nth).into_iter().for_each(|key| sim.edit(key, |pod| pod["status"]["phase"] = json!("Failed")));
        }
        Change::Remove(nth) => pick(nth).into_iter().for_each(|key| sim.remove(key)),
        Change::Relabel(nth) => {
            pick(nth).into_iter().for_each(|key| sim.edit(key, |pod| pod["metadata"]["labels"]["app"] = json!("x")));
        }
        Change::Orphan => drop(sim.put("pods", pod(&format!("orphan-{nth_change}"), json!({"app": "web"})))),
        Change::Wait(seconds) => sim.pass(SignedDuration::from_secs(seconds)),
    }
}

proptest! {
    // Each case is a cluster's life; PROPTEST_CASES asks for more.
    #![proptest_config(cases(100))]

    #[test]
    fn converges_from_whatever_happens(
        changes in prop::collection::vec((change(), any::<bool>()), 1..25),
        is_older_kind in any::<bool>(),
    ) {
        let mut sim = Sim::new().only(ONLY);
        let (resource, mut set) = match is_older_kind {
            true => ("replicationcontrollers", replication_controller(3)),
            false => ("replicasets.apps", replica_set(3)),
        };
        set["spec"]["minReadySeconds"] = json!(5);
        let key = sim.put(resource, set);
        for (nth, (change, step)) in changes.iter().enumerate() {
            apply(&mut sim, &key, nth, change);
            if *step {
                sim.step();
            }
        }
        sim.settle();
        let set = sim.get(&key);
        let active = sim.planner.view().controlled(set, "pods").filter(|pod| crate::pod::is_active(pod)).count();
        prop_assert_eq!(active as i64, set.value()["spec"]["replicas"].as_i64().unwrap());
        prop_assert_eq!(&set.value()["status"]["replicas"], active);
    }
}

#[test]
fn the_same_snapshot_gives_the_same_plan() {
    let mut sim = Sim::new();
    sim.put("replicasets.apps", replica_set(5));
    let plans = || {
        let mut planner = Planner::new(sim.snapshot.clone(), sim.now, Default::default());
        planner.plan(sim.now, 100).iter().map(|planned| planned.plan.to_string()).collect::<String>()
    };
    assert_eq!(plans(), plans());
}
