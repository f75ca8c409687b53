use std::collections::BTreeSet;

use expect_test::expect;
use proptest::prelude::*;
use serde_json::{Value, json};
use wasmk_api::Key;

use super::pack::ENDPOINTS_A_SLICE_MAX;
use crate::sim::{Sim, cases, set_ready};

const ONLY: &[&str] = &["endpointslice"];

fn service(spec: Value) -> Value {
    let mut value = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default", "labels": {"team": "a"}},
        "spec": {"clusterIP": "10.43.0.9", "selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    });
    spec.as_object().unwrap().iter().for_each(|(key, field)| value["spec"][key] = field.clone());
    value
}

fn pod(name: &str, address: &str, port: i64) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", "labels": {"app": "web"}},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i", "ports": [{"name": "http", "containerPort": port}]}]},
        "status": {"phase": "Running", "podIP": address},
    })
}

fn put_ready(sim: &mut Sim, mut pod: Value) -> Key {
    set_ready(&mut pod, true, sim.now);
    sim.put("pods", pod)
}

/// Ports, then address and conditions of each endpoint.
fn slices(sim: &Sim) -> String {
    let mut text = String::new();
    for slice in sim.list("endpointslices.discovery.k8s.io") {
        text += &format!("{}\n", slice["ports"]);
        for endpoint in slice["endpoints"].as_array().unwrap() {
            let holds = |name: &&str| endpoint["conditions"][*name] == true;
            let conditions: Vec<&str> =
                ["ready", "serving", "terminating"].iter().copied().filter(|name| holds(name)).collect();
            text += &format!("  {} on {} {}\n", endpoint["addresses"][0], endpoint["nodeName"], conditions.join(" "));
        }
    }
    text
}

#[test]
fn endpoints_say_how_and_whether_pods_are_reached() {
    let mut sim = Sim::new().only(ONLY);
    sim.put("services", service(json!({})));
    put_ready(&mut sim, pod("a", "10.64.0.1", 8080));
    sim.put("pods", pod("b", "10.64.0.2", 8080));
    let mut other = pod("c", "10.64.0.3", 9090);
    other["metadata"]["annotations"] = json!({"wasmk.dev/app-protocol": "http"});
    put_ready(&mut sim, other);
    let going = put_ready(&mut sim, pod("d", "10.64.0.4", 8080));
    sim.delete(&going, None);
    let mut homeless = pod("e", "10.64.0.5", 8080);
    homeless["status"] = json!({"phase": "Pending"});
    sim.put("pods", homeless);
    let mut done = pod("f", "10.64.0.6", 8080);
    done["status"]["phase"] = json!("Succeeded");
    sim.put("pods", done);
    sim.settle();
    expect![[r#"
        [{"appProtocol":"http","name":"http","port":9090,"protocol":"TCP"}]
          "10.64.0.3" on "n1" ready serving
        [{"name":"http","port":8080,"protocol":"TCP"}]
          "10.64.0.1" on "n1" ready serving
          "10.64.0.2" on "n1" 
          "10.64.0.4" on "n1" serving terminating
    "#]]
    .assert_eq(&slices(&sim));
    let slice = &sim.list("endpointslices.discovery.k8s.io")[0];
    expect![[r#"
        {
          "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.wasmk.dev",
          "kubernetes.io/service-name": "web",
          "team": "a"
        }"#]]
    .assert_eq(&format!("{:#}", slice["metadata"]["labels"]));
    assert_eq!(slice["metadata"]["ownerReferences"][0]["kind"], "Service");
    assert_eq!(slice["endpoints"][0]["targetRef"]["kind"], "Pod");
}

#[test]
fn changes_of_pods_and_service_follow() {
    let mut sim = Sim::new().only(ONLY);
    let service = sim.put("services", service(json!({"clusterIP": "None", "publishNotReadyAddresses": true})));
    let a = sim.put("pods", pod("a", "10.64.0.1", 8080));
    sim.settle();
    expect![[r#"
        [{"name":"http","port":8080,"protocol":"TCP"}]
          "10.64.0.1" on "n1" ready
    "#]]
    .assert_eq(&slices(&sim));
    sim.edit(&a, |pod| pod["metadata"]["labels"]["app"] = json!("other"));
    sim.settle();
    assert_eq!(slices(&sim), "");
    sim.edit(&a, |pod| pod["metadata"]["labels"]["app"] = json!("web"));
    sim.edit(&service, |service| {
        service["spec"]["ports"] = json!([{"port": 80, "targetPort": 1234, "appProtocol": "kubernetes.io/h2c"}])
    });
    sim.settle();
    expect![[r#"
        [{"appProtocol":"kubernetes.io/h2c","name":"","port":1234,"protocol":"TCP"}]
          "10.64.0.1" on "n1" ready
    "#]]
    .assert_eq(&slices(&sim));
    sim.remove(&service);
    sim.settle();
    assert_eq!(slices(&sim), "");
}

#[test]
fn services_without_a_selector_are_left_to_their_owner() {
    let mut sim = Sim::new().only(ONLY);
    let mut value = service(json!({}));
    value["spec"].as_object_mut().unwrap().remove("selector");
    sim.put("services", value);
    put_ready(&mut sim, pod("a", "10.64.0.1", 8080));
    sim.settle();
    assert_eq!(slices(&sim), "");
}

#[test]
fn a_change_of_one_pod_writes_one_slice() {
    let mut sim = Sim::new().only(ONLY);
    sim.put("services", service(json!({})));
    let pods: Vec<Key> =
        (0..250).map(|nth| put_ready(&mut sim, pod(&format!("p{nth:03}"), &format!("10.64.1.{nth}"), 8080))).collect();
    sim.settle();
    assert_eq!(sim.list("endpointslices.discovery.k8s.io").len(), 3);
    sim.take_log();
    let now = sim.now;
    sim.edit(&pods[7], |pod| set_ready(pod, false, now));
    sim.remove(&pods[8]);
    put_ready(&mut sim, pod("new", "10.64.2.1", 8080));
    sim.settle();
    let log = sim.take_log();
    assert_eq!(log.lines().count(), 1, "{log}");
}

proptest! {
    // Each case is a cluster's life; PROPTEST_CASES asks for more.
    #![proptest_config(cases(24))]

    #[test]
    fn every_pod_is_in_one_slice_and_no_slice_is_too_full(
        rounds in prop::collection::vec(prop::collection::vec((0..300usize, 0..3u8), 0..150), 1..4),
    ) {
        let mut sim = Sim::new().only(ONLY);
        sim.put("services", service(json!({})));
        let mut wanted = BTreeSet::new();
        for round in rounds {
            for (nth, what) in round {
                let (name, address) = (format!("p{nth}"), format!("10.64.{}.{}", nth / 200, nth % 200));
                let key = Key::new("pods", "default", &name);
                if what == 0 {
                    if wanted.remove(&address) {
                        sim.remove(&key);
                    }
                } else if wanted.insert(address.clone()) {
                    put_ready(&mut sim, pod(&name, &address, 8080 + i64::from(what)));
                }
            }
            sim.settle();
            let mut found = Vec::new();
            for slice in sim.list("endpointslices.discovery.k8s.io") {
                let endpoints = slice["endpoints"].as_array().unwrap().clone();
                prop_assert!((1..=ENDPOINTS_A_SLICE_MAX).contains(&endpoints.len()));
                found.extend(endpoints.iter().map(|endpoint| endpoint["addresses"][0].as_str().unwrap().to_owned()));
            }
            found.sort();
            prop_assert_eq!(found, wanted.iter().cloned().collect::<Vec<_>>());
        }
    }
}
