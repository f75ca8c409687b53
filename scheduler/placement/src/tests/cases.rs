use expect_test::{Expect, expect};

use super::*;
use crate::{Placer, plan};

#[track_caller]
fn check(objects: &[Arc<Object>], expected: Expect) {
    expected.assert_eq(&render(&plan(&snapshot(objects))));
}

fn replicas(count: usize, owner: &str, requests: Value, spec: Value) -> Vec<Arc<Object>> {
    (1..=count).map(|nth| pod(&format!("{owner}-{nth}"), owner, requests.clone(), spec.clone())).collect()
}

#[test]
fn replicas_spread_over_the_nodes() {
    let mut objects =
        vec![node("n1", "4", "8Gi", json!({})), node("n2", "4", "8Gi", json!({})), node("n3", "4", "8Gi", json!({}))];
    objects.extend(replicas(6, "web", json!({"cpu": "100m"}), json!({})));
    check(
        &objects,
        expect![[r#"
        web-1 -> n1
        web-2 -> n2
        web-3 -> n3
        web-4 -> n1
        web-5 -> n2
        web-6 -> n3
    "#]],
    );
}

#[test]
fn an_emptier_node_is_liked_better() {
    let running = pod("old", "old", json!({"cpu": "3"}), json!({"nodeName": "n1"}));
    let objects = [
        node("n1", "4", "8Gi", json!({})),
        node("n2", "4", "8Gi", json!({})),
        running,
        pod("new", "new", json!({"cpu": "100m"}), json!({})),
    ];
    check(
        &objects,
        expect![[r#"
        new -> n2
    "#]],
    );
}

#[test]
fn a_refusal_counts_the_nodes_by_reason_and_says_what_would_fit() {
    let taint = json!({"spec": {"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}});
    let objects = [
        node("n1", "4", "8Gi", json!({})),
        node("n2", "2", "16Gi", json!({})),
        node("tainted", "64", "512Gi", taint),
        node("cordoned", "64", "64Gi", json!({"spec": {"unschedulable": true}})),
        node("lost", "64", "64Gi", json!({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}})),
        pod("big", "big", json!({"cpu": "3", "memory": "32Gi"}), json!({})),
    ];
    check(
        &objects,
        expect![[r#"
            big waits: 0/5 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {gpu: yes}, 1 node(s) were not ready, 1 node(s) were unschedulable, 2 Insufficient memory. The pod asks for 3 of cpu; the most that is free on one node is 4 (on n1). The pod asks for 32Gi of memory; the most that is free on one node is 16Gi (on n2).
        "#]],
    );
}

#[test]
fn a_request_beyond_all_numbers_waits_like_any_that_is_too_large() {
    let most = i64::MAX.to_string();
    let containers = json!({"containers": vec![json!({"name": "c", "resources": {"requests": {"x.io/gpu": most, "memory": most}}}); 2]});
    let small = pod("small", "small", json!({"memory": "1Gi"}), json!({"nodeName": "n1"}));
    let plan = plan(&snapshot(&[
        node("n1", "4", "8Gi", json!({"status": {"allocatable": {"x.io/gpu": "1"}}})),
        small,
        pod("huge", "huge", json!({}), containers),
    ]));
    assert!(plan.bindings.is_empty());
    assert!(
        plan.refusals[0].message.contains("1 Insufficient memory, 1 Insufficient x.io/gpu"),
        "{}",
        plan.refusals[0].message
    );
}

#[test]
fn without_nodes_the_refusal_says_so() {
    check(
        &[pod("a", "a", json!({}), json!({}))],
        expect![[r#"
        a waits: no nodes available to schedule pods: none has joined the cluster yet
    "#]],
    );
}

#[test]
fn the_rest_of_a_group_is_refused_when_the_room_is_used_up() {
    let mut objects = vec![node("n1", "1", "8Gi", json!({}))];
    objects.extend(replicas(3, "web", json!({"cpu": "400m"}), json!({})));
    check(
        &objects,
        expect![[r#"
        web-1 -> n1
        web-2 -> n1
        web-3 waits: 0/1 nodes are available: 1 Insufficient cpu. The pod asks for 400m of cpu; the most that is free on one node is 200m (on n1).
    "#]],
    );
}

#[test]
fn taints_need_tolerations() {
    let taint = |effect: &str| json!({"spec": {"taints": [{"key": "k", "value": "v", "effect": effect}]}});
    let hard = node("hard", "4", "8Gi", taint("NoSchedule"));
    let soft = node("soft", "4", "8Gi", taint("PreferNoSchedule"));
    let free = node("free", "1", "1Gi", json!({}));
    let tolerant = json!({"tolerations": [{"key": "k", "operator": "Exists"}]});
    let wrong = json!({"tolerations": [{"key": "k", "value": "other", "effect": "NoSchedule"}]});
    check(
        &[hard.clone(), soft, free, pod("plain", "plain", json!({}), json!({}))],
        expect![[r#"
        plain -> free
    "#]],
    );
    check(
        &[hard.clone(), pod("tolerant", "tolerant", json!({}), tolerant)],
        expect![[r#"
        tolerant -> hard
    "#]],
    );
    check(
        &[hard, pod("wrong", "wrong", json!({}), wrong)],
        expect![[r#"
        wrong waits: 0/1 nodes are available: 1 node(s) had untolerated taint {k: v}.
    "#]],
    );
}

#[test]
fn node_selector_and_affinity_decide() {
    let zone = |name: &str, zone: &str| node(name, "4", "8Gi", json!({"metadata": {"labels": {"zone": zone}}}));
    let nodes = [zone("n1", "a"), zone("n2", "b"), zone("n3", "c")];
    let required = json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]}]}}}});
    let preferred = json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 10, "preference": {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["c"]}]}}]}}});
    let with = |spec: Value| [nodes.to_vec(), vec![pod("p", "p", json!({}), spec)]].concat();
    check(
        &with(json!({"nodeSelector": {"zone": "b"}})),
        expect![[r#"
        p -> n2
    "#]],
    );
    check(
        &with(required),
        expect![[r#"
        p -> n2
    "#]],
    );
    check(
        &with(preferred),
        expect![[r#"
        p -> n3
    "#]],
    );
    check(
        &with(json!({"nodeSelector": {"zone": "z"}})),
        expect![[r#"
        p waits: 0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.
    "#]],
    );
}

#[test]
fn host_ports_are_taken_once_a_node() {
    let port =
        json!({"containers": [{"name": "main", "image": "app:v1", "ports": [{"containerPort": 80, "hostPort": 80}]}]});
    let mut objects = vec![node("n1", "4", "8Gi", json!({})), node("n2", "4", "8Gi", json!({}))];
    objects.extend(replicas(3, "web", json!({}), port));
    check(
        &objects,
        expect![[r#"
        web-1 -> n1
        web-2 -> n2
        web-3 waits: 0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports.
    "#]],
    );
}

#[test]
fn higher_priority_goes_first() {
    let objects = [
        node("n1", "1", "8Gi", json!({})),
        pod("a-low", "low", json!({"cpu": "1"}), json!({"priority": 1})),
        pod("b-high", "high", json!({"cpu": "1"}), json!({"priority": 10})),
    ];
    check(
        &objects,
        expect![[r#"
        b-high -> n1
        a-low waits: 0/1 nodes are available: 1 Insufficient cpu. The pod asks for 1 of cpu; no node has any free.
    "#]],
    );
}

#[test]
fn finished_pods_take_no_room_and_gated_or_foreign_ones_do_not_wait() {
    let mut done = pod("done", "done", json!({"cpu": "1"}), json!({"nodeName": "n1"})).value().clone();
    done["status"] = json!({"phase": "Succeeded"});
    let objects = [
        node("n1", "1", "8Gi", json!({})),
        object("pods", done),
        pod("next", "next", json!({"cpu": "1"}), json!({})),
        pod("gated", "gated", json!({}), json!({"schedulingGates": [{"name": "quota"}]})),
        pod("foreign", "foreign", json!({}), json!({"schedulerName": "mine"})),
    ];
    check(
        &objects,
        expect![[r#"
        next -> n1
    "#]],
    );
}

#[test]
fn init_containers_count_by_the_largest_and_sidecars_on_top() {
    let container = |cpu: &str| json!({"name": "c", "image": "app:v1", "resources": {"requests": {"cpu": cpu}}});
    let mut sidecar = container("100m");
    sidecar["restartPolicy"] = json!("Always");
    let spec =
        json!({"containers": [container("200m"), container("200m")], "initContainers": [sidecar, container("900m")]});
    let pod = pod("p", "p", json!({}), spec);
    assert_eq!(crate::resources::Resources::requested_by(&pod).cpu.0, 1000);
}

#[test]
fn anti_affinity_keeps_replicas_apart_and_affinity_together() {
    let term =
        |app: &str| json!([{"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "kubernetes.io/hostname"}]);
    let apart =
        json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term("db")}}});
    let near = json!({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term("cache")}}});
    let nodes = vec![node("n1", "4", "8Gi", json!({})), node("n2", "4", "8Gi", json!({}))];
    check(
        &[nodes.clone(), replicas(3, "db", json!({}), apart.clone())].concat(),
        expect![[r#"
        db-1 -> n1
        db-2 -> n2
        db-3 waits: 0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules.
    "#]],
    );
    let cache = pod("cache", "cache", json!({"cpu": "3"}), json!({"nodeName": "n2"}));
    check(
        &[nodes.clone(), vec![cache], replicas(2, "app", json!({}), near.clone())].concat(),
        expect![[r#"
        app-1 -> n2
        app-2 -> n2
    "#]],
    );
    check(
        &[nodes.clone(), replicas(1, "app", json!({}), near)].concat(),
        expect![[r#"
        app-1 waits: 0/2 nodes are available: 2 node(s) didn't match pod affinity rules.
    "#]],
    );
    // A pod that asks for nothing is still kept away by those that want to be alone.
    let away =
        json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term("app")}}});
    let mut alone = away;
    alone["nodeName"] = json!("n1");
    check(
        &[nodes, vec![pod("alone", "alone", json!({}), alone)], replicas(2, "app", json!({}), json!({}))].concat(),
        expect![[r#"
            app-1 -> n2
            app-2 -> n2
        "#]],
    );
}

#[test]
fn topology_spread_keeps_the_skew() {
    let zone =
        |name: &str, zone: &str, cpu: &str| node(name, cpu, "8Gi", json!({"metadata": {"labels": {"zone": zone}}}));
    let spread = json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}}}]});
    let mut objects = vec![zone("n1", "a", "16"), zone("n2", "a", "16"), zone("n3", "b", "1")];
    objects.extend(replicas(6, "web", json!({"cpu": "500m"}), spread));
    check(
        &objects,
        expect![[r#"
        web-1 -> n1
        web-2 -> n3
        web-3 -> n2
        web-4 -> n3
        web-5 -> n1
        web-6 waits: 0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't match pod topology spread constraints. The pod asks for 500m of cpu; the most that is free on one node is 15500m (on n2).
    "#]],
    );
}

#[test]
fn a_binding_and_a_refusal_write_the_condition_once() {
    let objects = [
        node("n1", "1", "1Gi", json!({})),
        pod("fits", "a", json!({}), json!({})),
        pod("big", "b", json!({"cpu": "2"}), json!({})),
    ];
    let plan = plan(&snapshot(&objects));
    let bound = plan.bindings[0].apply(&objects[1], "2026-01-01T00:00:00Z");
    assert_eq!(bound["spec"]["nodeName"], "n1");
    assert_eq!(bound["status"]["conditions"][0]["status"], "True");
    let refused = plan.refusals[0].apply(&objects[2], "2026-01-01T00:00:00Z").unwrap();
    assert_eq!(refused["status"]["conditions"][0]["reason"], "Unschedulable");
    assert_eq!(plan.refusals[0].apply(&object("pods", refused), "2026-01-02T00:00:00Z"), None);
}

#[test]
fn only_what_matters_asks_for_another_plan() {
    let waiting = pod("big", "b", json!({"cpu": "2"}), json!({}));
    let small = node("n1", "1", "1Gi", json!({}));
    let mut placer = Placer::default();
    assert!(placer.observe(snapshot(&[small.clone(), waiting.clone()])));
    let refused = placer.plan().refusals[0].apply(&waiting, "2026-01-01T00:00:00Z").unwrap();
    let refused = Object::new(waiting.key().clone(), 2, refused);
    assert!(!placer.observe(snapshot(&[small.clone(), refused.clone()])));
    let mut heartbeat = small.value().clone();
    heartbeat["status"]["conditions"][0]["lastHeartbeatTime"] = json!("2026-01-01T00:00:00Z");
    let heartbeat = Object::new(small.key().clone(), 3, heartbeat);
    assert!(!placer.observe(snapshot(&[heartbeat.clone(), refused.clone()])));
    let larger = node("n2", "4", "1Gi", json!({}));
    assert!(placer.observe(snapshot(&[heartbeat, refused, larger])));
    assert_eq!(placer.plan().bindings[0].node, "n2");
}
