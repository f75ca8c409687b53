use std::collections::BTreeMap;
use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::node::HostPort;
use crate::resources::Resources;
use crate::{Placer, plan};

#[derive(Clone, Debug)]
struct Case {
    /// CPU in hundredths, memory in Mi, pods.
    nodes: Vec<(u32, u32, u32)>,
    /// Replicas, CPU, memory, host port or 0, node it already runs on.
    groups: Vec<(u32, u32, u32, u32, Option<usize>)>,
}

fn case() -> impl Strategy<Value = Case> {
    let nodes = prop::collection::vec((0..400u32, 0..4000u32, 0..8u32), 0..6);
    let group = (
        0..6u32,
        0..200u32,
        0..2000u32,
        prop_oneof![3 => Just(0u32), 1 => 80..83u32],
        prop::option::weighted(0.2, 0..6usize),
    );
    (nodes, prop::collection::vec(group, 0..8)).prop_map(|(nodes, groups)| Case { nodes, groups })
}

fn objects(case: &Case) -> Vec<Arc<Object>> {
    let nodes = case.nodes.iter().enumerate().map(|(nth, (cpu, memory, pods))| {
        let patch = json!({"status": {"allocatable": {"pods": pods.to_string()}}});
        node(&format!("n{nth}"), &format!("{}m", cpu * 10), &format!("{memory}Mi"), patch)
    });
    let pods = case.groups.iter().enumerate().flat_map(|(nth, (count, cpu, memory, port, bound))| {
        let requests = json!({"cpu": format!("{}m", cpu * 10), "memory": format!("{memory}Mi")});
        (0..*count).map(move |replica| {
            let mut spec =
                json!({"containers": [{"name": "main", "image": "app:v1", "resources": {"requests": requests}}]});
            if *port != 0 {
                spec["containers"][0]["ports"] = json!([{"containerPort": 80, "hostPort": port}]);
            }
            if let Some(bound) = bound {
                spec["nodeName"] = json!(format!("n{bound}"));
            }
            pod(&format!("g{nth}-{replica}"), &format!("g{nth}"), json!({}), spec)
        })
    });
    nodes.chain(pods).collect()
}

/// What each node has on it after the plan.
fn loads(objects: &[Arc<Object>], plan: &PlacementPlan) -> BTreeMap<String, (Resources, Vec<HostPort>)> {
    let mut loads: BTreeMap<String, (Resources, Vec<HostPort>)> = BTreeMap::new();
    for pod in objects.iter().filter(|object| object.key().resource.as_str() == "pods") {
        let planned =
            plan.bindings.iter().find(|binding| binding.pod == *pod.key()).map(|binding| binding.node.clone());
        let Some(node) = planned.or(pod.value()["spec"]["nodeName"].as_str().map(str::to_owned)) else { continue };
        let load = loads.entry(node).or_default();
        load.0.add(&Resources::requested_by(pod));
        load.1.extend(HostPort::of_pod(pod));
    }
    loads
}

proptest! {
    #[test]
    fn never_overcommits_and_leaves_nothing_out_that_fits(case in case()) {
        let objects = objects(&case);
        let before = loads(&objects, &PlacementPlan::default());
        let plan = plan(&snapshot(&objects));
        let after = loads(&objects, &plan);
        let nothing = (Resources::default(), Vec::new());
        for object in objects.iter().filter(|object| object.key().resource.as_str() == "nodes") {
            let node = crate::node::Node::new(object);
            let (used, ports) = after.get(&*node.name).unwrap_or(&nothing);
            let (used_before, ports_before) = before.get(&*node.name).unwrap_or(&nothing);
            if used != used_before {
                let over = |used: i64, before: i64, all: i64| used > before && used > all;
                prop_assert!(!over(used.cpu.0, used_before.cpu.0, node.allocatable.cpu.0), "cpu of {}", node.name);
                prop_assert!(!over(used.memory.0, used_before.memory.0, node.allocatable.memory.0), "memory of {}", node.name);
                prop_assert!(used.pods <= node.allocatable.pods, "pods of {}", node.name);
            }
            let clashes = |ports: &[HostPort]| ports.iter().enumerate().flat_map(|(nth, port)| ports[nth + 1..].iter().map(move |other| port.conflicts(other))).filter(|clash| *clash).count();
            prop_assert_eq!(clashes(ports), clashes(ports_before), "ports of {}", node.name);
            for refusal in &plan.refusals {
                let pod = objects.iter().find(|object| *object.key() == refusal.pod).unwrap();
                let asked = HostPort::of_pod(pod);
                let free = !asked.iter().any(|port| ports.iter().any(|taken| taken.conflicts(port)));
                prop_assert!(!(node.allocatable.fits(used, &Resources::requested_by(pod)) && free), "{} fits on {}", refusal.pod, node.name);
            }
        }
        let waiting = objects.iter().filter(|object| object.key().resource.as_str() == "pods" && object.value()["spec"]["nodeName"].is_null()).count();
        prop_assert_eq!(plan.bindings.len() + plan.refusals.len(), waiting);
    }

    #[test]
    fn the_same_snapshot_gives_the_same_plan_however_it_came_about(case in case(), cut in 0..40usize) {
        let objects = objects(&case);
        let whole = plan(&snapshot(&objects));
        let mut placer = Placer::default();
        placer.observe(snapshot(&objects[..cut.min(objects.len())]));
        // Everything gone, then everything there.
        placer.observe(snapshot(&objects[objects.len() / 2..]));
        placer.observe(snapshot(&objects));
        prop_assert_eq!(placer.plan(), whole);
    }
}

/// Prints the rate; the bound is loose, for a busy machine and an unoptimised build.
#[test]
fn ten_thousand_pods_on_a_thousand_nodes_are_one_quick_plan() {
    let nodes = (0..1000)
        .map(|nth| node(&format!("n{nth:04}"), "16", "64Gi", json!({"status": {"allocatable": {"pods": "4000"}}})));
    let pods = (0..10_000).map(|nth| {
        let owner = format!("app-{}", nth % 100);
        pod(&format!("p{nth:05}"), &owner, json!({"cpu": "100m", "memory": "64Mi"}), json!({}))
    });
    let objects: Vec<_> = nodes.chain(pods).collect();
    let snapshot = snapshot(&objects);
    let mut placer = Placer::default();
    let start = Instant::now();
    placer.observe(snapshot);
    let observed = start.elapsed();
    let plan = placer.plan();
    let planned = start.elapsed() - observed;
    assert_eq!(plan.bindings.len(), 10_000);
    println!("observe {observed:?}, plan {planned:?}: {:.0} pods/s", 10_000.0 / planned.as_secs_f64());
    assert!(planned.as_secs() < 20, "{planned:?}");
}
