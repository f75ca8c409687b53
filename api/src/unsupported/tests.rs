use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::*;
use crate::kind;

#[track_caller]
fn check(spec: Value, expected: Expect) {
    let (pod, mut faults) = (json!({"spec": spec}), Faults::default());
    let pods = kind::by_gvk("", "v1", "Pod").unwrap();
    let warnings = super::check(pods, &Field::root(&pod), &mut faults);
    let refused = faults.causes.iter().map(|cause| format!("refused: {}: {}\n", cause.field, cause.message));
    expected.assert_eq(&refused.chain(warnings.iter().map(|line| format!("warning: {line}\n"))).collect::<String>());
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    let probe = json!({"exec": {"command": ["true"]}});
    let container = json!({
        "name": "a", "livenessProbe": probe, "securityContext": {"privileged": true, "runAsUser": 0},
        "ports": [{"containerPort": 1}, {"containerPort": 2, "hostPort": 2}],
    });
    check(
        json!({"hostNetwork": true, "containers": [container], "volumes": [{"name": "v", "nfs": {"server": "x"}}]}),
        expect![[r#"
            refused: spec.hostNetwork: not supported by wasmk: pods live in a virtual network; publish a port with a Service of type NodePort or LoadBalancer
            refused: spec.containers[0].livenessProbe.exec: not supported by wasmk: a wasm guest cannot start another process; use httpGet or tcpSocket
            refused: spec.containers[0].securityContext.privileged: not supported by wasmk: a pod shares nothing with its node
            refused: spec.containers[0].ports[1].hostPort: not supported by wasmk: publish a port with a Service of type NodePort or LoadBalancer
            refused: spec.volumes[0].nfs: not supported by wasmk: volumes are configMap, secret, emptyDir, hostPath, downwardAPI and projected ones; wasmk has no storage drivers
            warning: spec.containers[0].securityContext.runAsUser: not supported by wasmk: a wasm guest runs as no user of the node and reaches nothing that it was not given
        "#]],
    );
}

#[test]
fn what_asks_for_nothing_is_let_be() {
    let context = json!({"privileged": false, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": true});
    let container =
        json!({"name": "a", "securityContext": context, "ports": [{"containerPort": 1, "protocol": "TCP"}]});
    check(
        json!({"hostNetwork": false, "dnsPolicy": "ClusterFirst", "containers": [container], "securityContext": {}}),
        expect![[r#""#]],
    );
}

#[test]
fn every_rule_names_fields_that_there_are() {
    let root = |kind: &str| {
        let spec = crate::schema::for_kind("", "v1", kind).and_then(|node| node.field("spec"));
        spec.expect("the kind has a spec")
    };
    for (rules, root) in [(POD_SPEC, root("Pod")), (SERVICE, root("Service"))] {
        for rule in rules {
            let mut nodes = vec![root];
            for step in rule.path.split('.') {
                let (names, is_list) = step.strip_suffix("[*]").map_or((step, false), |names| (names, true));
                let below = |node: &&'static crate::schema::Node, name: &str| {
                    let child = node.child(name).unwrap_or_else(|| panic!("{}: no {name}", rule.path));
                    if is_list { child.items().unwrap() } else { child }
                };
                nodes = nodes.iter().flat_map(|node| names.split('|').map(|name| below(node, name))).collect();
            }
        }
    }
}
