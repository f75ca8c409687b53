use expect_test::{Expect, expect};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-01-01T01:00:00Z";

/// The cells of one object, with a bar between.
#[track_caller]
fn check(columns: &Columns, mut object: Value, expected: Expect) {
    object["metadata"]["name"] = json!("x");
    object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    let cells = (columns.row)(&object, NOW.parse::<Timestamp>().unwrap());
    assert_eq!(cells.len(), columns.definitions.len());
    let cells: Vec<String> =
        cells.iter().map(|cell| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned)).collect();
    expected.assert_eq(&cells.join("|"));
}

fn pod(status: Value) -> Value {
    json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}], "nodeName": "n"}, "status": status})
}

#[test]
fn a_running_pod() {
    let status = json!({
        "phase": "Running", "podIP": "10.64.0.2",
        "containerStatuses": [
            {"ready": true, "restartCount": 2, "state": {"running": {}}, "lastState": {"terminated": {"finishedAt": "2026-01-01T00:57:00Z"}}},
            {"ready": false, "restartCount": 0, "state": {"running": {}}},
        ],
    });
    check(&POD, pod(status), expect!["x|1/2|Running|2 (3m ago)|60m|10.64.0.2|n|<none>|<none>"]);
}

#[test]
fn the_state_of_a_container_is_the_state_of_its_pod() {
    let one =
        |state: Value| pod(json!({"phase": "Running", "containerStatuses": [{"restartCount": 0, "state": state}]}));
    check(
        &POD,
        one(json!({"waiting": {"reason": "CrashLoopBackOff"}})),
        expect!["x|0/2|CrashLoopBackOff|0|60m|<none>|n|<none>|<none>"],
    );
    check(
        &POD,
        one(json!({"terminated": {"reason": "OOMKilled", "exitCode": 137}})),
        expect!["x|0/2|OOMKilled|0|60m|<none>|n|<none>|<none>"],
    );
    check(&POD, one(json!({"terminated": {"exitCode": 3}})), expect!["x|0/2|ExitCode:3|0|60m|<none>|n|<none>|<none>"]);
}

#[test]
fn init_containers_come_first() {
    let mut object = pod(
        json!({"phase": "Pending", "initContainerStatuses": [{"state": {"terminated": {"exitCode": 0}}}, {"state": {"running": {}}}]}),
    );
    object["spec"]["initContainers"] = json!([{"name": "i"}, {"name": "j"}]);
    check(&POD, object, expect!["x|0/2|Init:1/2|0|60m|<none>|n|<none>|<none>"]);
}

#[test]
fn a_pod_that_is_being_deleted_is_terminating() {
    let mut object = pod(json!({"phase": "Running"}));
    object["metadata"]["deletionTimestamp"] = json!(NOW);
    check(&POD, object, expect!["x|0/2|Terminating|0|60m|<none>|n|<none>|<none>"]);
}

#[test]
fn services_show_their_ports() {
    let spec = json!({"type": "NodePort", "clusterIP": "10.43.0.9", "selector": {"app": "x"}, "ports": [{"port": 80, "nodePort": 30080}, {"port": 53, "protocol": "UDP"}]});
    check(&SERVICE, json!({"spec": spec}), expect!["x|NodePort|10.43.0.9|<none>|80:30080/TCP,53/UDP|60m|app=x"]);
}

#[test]
fn workloads_nodes_and_events() {
    let spec = json!({"replicas": 3, "selector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "In", "values": ["d", "e"]}]},
                      "template": {"spec": {"containers": [{"name": "c", "image": "i:1"}]}}});
    check(
        &DEPLOYMENT,
        json!({"spec": spec, "status": {"readyReplicas": 2}}),
        expect!["x|2/3|0|0|60m|c|i:1|a=b,c in (d,e)"],
    );
    let node = json!({"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}, "spec": {"unschedulable": true},
                      "status": {"conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"kubeletVersion": "v1"}}});
    check(
        &NODE,
        node,
        expect!["x|Ready,SchedulingDisabled|control-plane|60m|v1|<none>|<none>|<unknown>|<unknown>|<unknown>"],
    );
    let event = json!({"type": "Warning", "reason": "BackOff", "message": "again", "count": 4, "involvedObject": {"kind": "Pod", "name": "p"},
                       "source": {"component": "kubelet", "host": "n"}, "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:59:30Z"});
    check(&EVENT, event, expect!["30s|Warning|BackOff|pod/p||kubelet, n|again|60m|4|x"]);
}

#[test]
fn durations_are_shortened_as_kubectl_does() {
    let cases = [
        (-1, "0s"),
        (59, "59s"),
        (125, "2m5s"),
        (180, "3m"),
        (3600, "60m"),
        (11_000, "3h3m"),
        (90_000, "25h"),
        (200_000, "2d7h"),
        (10_000_000, "115d"),
    ];
    for (seconds, expected) in cases {
        assert_eq!(human_duration(seconds), expected, "{seconds}");
    }
}
