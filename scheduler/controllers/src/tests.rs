//! All controllers together, with nodes and agents played by the test.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use wasmk_api::write::Propagation;
use wasmk_api::{Key, Object, Op, Precondition, Snapshot, Transaction};

use crate::sim::{Sim, cases, set_ready};
use crate::{Planner, Settings, pod};

const NODES: [&str; 3] = ["n1", "n2", "n3"];

fn deployment(namespace: &str, name: &str, replicas: i64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}}, "progressDeadlineSeconds": 600,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "app:v1"}]}},
        },
    })
}

fn service(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": "10.43.0.9", "clusterIPs": ["10.43.0.9"], "selector": {"app": name}, "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}]},
    })
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "spec": {"finalizers": ["kubernetes"]}})
}

fn cluster() -> Sim {
    let mut sim = Sim::new();
    for name in NODES {
        let status = json!({"conditions": [{"type": "Ready", "status": "True", "reason": "AgentReady"}]});
        sim.put(
            "nodes",
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {}, "status": status}),
        );
    }
    renew(&mut sim, &NODES);
    sim
}

fn renew(sim: &mut Sim, nodes: &[&str]) {
    for name in nodes {
        let metadata = json!({"name": name, "namespace": "kube-node-lease"});
        let spec = json!({"holderIdentity": name, "renewTime": sim.now.to_string()});
        sim.put(
            "leases.coordination.k8s.io",
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}),
        );
    }
}

/// What scheduler and agents do: pods get a node that is alive, become ready there, and end when they are told to.
fn play_agents(sim: &mut Sim, alive: &[&str]) {
    renew(sim, alive);
    let pods: Vec<Key> = sim.snapshot.list(&"pods".into(), None).map(|pod| pod.key().clone()).collect();
    for (nth, key) in pods.iter().enumerate() {
        let object = sim.get(key);
        let node = pod::node_name(object).unwrap_or(alive[nth % alive.len()]).to_owned();
        let (now, revision) = (sim.now, object.revision());
        if !alive.contains(&node.as_str()) {
            continue;
        }
        if object.is_deleting() {
            sim.remove(key);
        } else if !pod::is_ready(object) {
            sim.edit(key, |pod| {
                pod["spec"]["nodeName"] = json!(node);
                set_ready(pod, true, now);
                pod["status"]["podIP"] = json!(format!("10.64.{}.{}", revision / 250 % 250, revision % 250 + 1));
            });
        }
    }
}

fn live(sim: &mut Sim, seconds: i64, alive: &[&str]) {
    for _ in 0..seconds {
        play_agents(sim, alive);
        sim.settle_for(SignedDuration::from_secs(1));
    }
}

fn endpoints(sim: &Sim) -> usize {
    let slices = sim.list("endpointslices.discovery.k8s.io");
    let all = slices.iter().flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
    all.filter(|endpoint| endpoint["conditions"]["ready"] == true).count()
}

fn count(sim: &Sim, resource: &str) -> usize {
    sim.list(resource).len()
}

#[test]
fn from_apply_to_delete() {
    let mut sim = cluster();
    let web = sim.put("deployments.apps", deployment("default", "web", 3));
    sim.put("services", service("default", "web"));
    live(&mut sim, 3, &NODES);
    assert_eq!(endpoints(&sim), 3);
    sim.edit(&web, |web| web["spec"]["replicas"] = json!(5));
    live(&mut sim, 3, &NODES);
    assert_eq!(endpoints(&sim), 5);
    sim.delete(&web, Some(Propagation::Foreground));
    live(&mut sim, 3, &NODES);
    assert_eq!((count(&sim, "deployments.apps"), count(&sim, "replicasets.apps"), count(&sim, "pods")), (0, 0, 0));
    assert_eq!(endpoints(&sim), 0);
}

#[test]
fn the_replicas_of_a_dead_node_are_replaced_within_seconds() {
    let mut sim = cluster();
    sim.put("deployments.apps", deployment("default", "web", 6));
    sim.put("services", service("default", "web"));
    live(&mut sim, 3, &NODES);
    live(&mut sim, 7, &NODES[..2]);
    assert_eq!(endpoints(&sim), 6);
    let pods = "pods".into();
    let on_dead: Vec<_> = sim.snapshot.list(&pods, None).filter(|pod| pod::node_name(pod) == Some("n3")).collect();
    assert!(!on_dead.is_empty() && on_dead.iter().all(|pod| pod.is_deleting()));
    sim.remove(&Key::new("nodes", "", "n3"));
    live(&mut sim, 2, &NODES[..2]);
    assert_eq!(count(&sim, "pods"), 6);
}

#[test]
fn a_namespace_goes_with_all_that_is_in_it() {
    let mut sim = cluster();
    let team = sim.put("namespaces", namespace("team"));
    sim.put("deployments.apps", deployment("team", "web", 3));
    sim.put("services", service("team", "web"));
    live(&mut sim, 3, &NODES);
    sim.delete(&team, None);
    live(&mut sim, 4, &NODES);
    let left = sim.snapshot.iter().filter(|object| object.namespace() == "team").count();
    assert_eq!((left, sim.snapshot.get(&team).is_some()), (0, false));
}

proptest! {
    // Each case is a cluster's life; PROPTEST_CASES asks for more.
    #![proptest_config(cases(24))]

    #[test]
    fn the_whole_converges_from_whatever_happens(changes in prop::collection::vec((0..9u8, 0..20usize, 0..4i64), 1..20)) {
        let mut sim = cluster();
        let web = sim.put("deployments.apps", deployment("default", "web", 3));
        sim.put("services", service("default", "web"));
        for (what, nth, seconds) in changes {
            let pods: Vec<Key> = sim.snapshot.list(&"pods".into(), None).map(|pod| pod.key().clone()).collect();
            let (picked, now) = (pods.get(nth % pods.len().max(1)).cloned(), sim.now);
            match (what, picked) {
                (0, _) => sim.edit(&web, |web| web["spec"]["replicas"] = json!(nth % 6)),
                (1, _) => sim.edit(&web, |web| web["spec"]["template"]["spec"]["containers"][0]["image"] = json!(format!("app:v{}", nth % 3))),
                (2, Some(pod)) => sim.edit(&pod, |pod| set_ready(pod, false, now)),
                (3, Some(pod)) => sim.edit(&pod, |pod| pod["status"]["phase"] = json!("Failed")),
                (4, Some(pod)) if !sim.get(&pod).is_deleting() => sim.delete(&pod, None),
                (5, Some(pod)) => sim.edit(&pod, |pod| pod["metadata"]["labels"] = json!({"app": "else"})),
                (6, _) => live(&mut sim, seconds, &NODES[..1 + nth % 3]),
                (7, _) => sim.edit(&Key::new("nodes", "", NODES[nth % 3]), |node| node["spec"]["unschedulable"] = json!(nth % 2 == 0)),
                (8, _) => drop(sim.step()),
                _ => {}
            }
        }
        live(&mut sim, 12, &NODES);
        let web = sim.get(&web).value().clone();
        let wanted = web["spec"]["replicas"].as_u64().unwrap();
        prop_assert_eq!(web["status"]["availableReplicas"].as_u64().unwrap_or(0), wanted);
        prop_assert_eq!(web["status"]["updatedReplicas"].as_u64().unwrap_or(0), wanted);
        prop_assert_eq!(endpoints(&sim) as u64, wanted);
        for pod in sim.snapshot.list(&"pods".into(), None) {
            prop_assert!(!pod.is_deleting(), "{} hangs", pod.name());
        }
    }
}

/// Prints the time that a start takes; after it, a change costs what it touches.
#[test]
fn only_what_a_change_touches_is_looked_at() {
    const DEPLOYMENTS: usize = 2_000;
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let name = |nth: usize| format!("app-{nth}");
    let object = |nth: usize, revision: u64, replicas: i64| {
        let mut value = deployment("default", &name(nth), replicas);
        value["metadata"]["uid"] = json!(format!("uid-{nth}"));
        Object::new(Key::new("deployments.apps", "default", &name(nth)), revision, value)
    };
    let objects = (0..DEPLOYMENTS).map(|nth| object(nth, 1, 0)).chain([Object::new(
        Key::new("namespaces", "", "default"),
        1,
        namespace("default"),
    )]);
    let snapshot = Snapshot::from_objects(1, objects);
    let start = Instant::now();
    let mut planner = Planner::new(snapshot.clone(), now, Settings::default());
    let plans = planner.plan(now, usize::MAX);
    println!("{DEPLOYMENTS} Deployments looked at in {:?}", start.elapsed());
    assert_eq!(plans.len(), DEPLOYMENTS + 1, "a ReplicaSet each, and a ServiceAccount");
    // Nothing of it was committed, so all of it is due again, but only after a while.
    planner.observe(snapshot.clone(), now);
    assert!(!planner.has_work());
    let changed = object(7, 2, 1);
    let op = Op::Put { key: changed.key().clone(), value: changed.value().clone(), precondition: Precondition::Any };
    let (next, _) = snapshot.apply(&Transaction { ops: vec![op] }).unwrap();
    planner.observe(next, now);
    let keys: Vec<Key> = planner.plan(now, usize::MAX).into_iter().map(|planned| planned.key).collect();
    assert_eq!(keys, [changed.key().clone()]);
}
