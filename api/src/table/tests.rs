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
fn jobs_and_what_starts_them() {
    let template = json!({"spec": {"containers": [{"name": "c", "image": "i:1"}]}});
    let job = |spec: Value, status: Value| {
        let mut job = json!({"spec": spec, "status": status});
        job["spec"]["template"] = template.clone();
        job["spec"]["selector"] = json!({"matchLabels": {"u": "1"}});
        job
    };
    let running = json!({"succeeded": 1, "startTime": "2026-01-01T00:58:00Z"});
    check(&JOB, job(json!({"completions": 3}), running), expect!["x|Running|1/3|2m|60m|c|i:1|u=1"]);
    let complete = json!({
        "succeeded": 1, "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:09Z",
        "conditions": [{"type": "Complete", "status": "True"}],
    });
    check(&JOB, job(json!({"parallelism": 2}), complete), expect!["x|Complete|1/1 of 2|9s|60m|c|i:1|u=1"]);
    check(&JOB, job(json!({"parallelism": 1}), json!({})), expect!["x|Running|0/1||60m|c|i:1|u=1"]);
    let spec = json!({"schedule": "@daily", "suspend": false, "jobTemplate": {"spec": {"template": template}}});
    let status = json!({"active": [{}], "lastScheduleTime": "2026-01-01T00:55:00Z"});
    check(&CRONJOB, json!({"spec": spec, "status": status}), expect!["x|@daily|<none>|False|1|5m|60m|c|i:1|<none>"]);
}

#[test]
fn sets_of_pods_and_their_histories() {
    let template = json!({
        "metadata": {"labels": {"a": "b"}},
        "spec": {"nodeSelector": {"disk": "fast"}, "containers": [{"name": "c", "image": "i:1"}]},
    });
    let spec = json!({"replicas": 3, "selector": {"matchLabels": {"a": "b"}}, "template": template});
    check(&STATEFULSET, json!({"spec": spec, "status": {"readyReplicas": 2}}), expect!["x|2/3|60m|c|i:1"]);
    let status = json!({"desiredNumberScheduled": 4, "currentNumberScheduled": 3, "numberReady": 2});
    check(&DAEMONSET, json!({"spec": spec, "status": status}), expect!["x|4|3|2|0|0|disk=fast|60m|c|i:1|a=b"]);
    let plain = json!({"replicas": 3, "selector": {"a": "b"}, "template": template});
    check(&REPLICATIONCONTROLLER, json!({"spec": plain, "status": {"replicas": 1}}), expect!["x|3|1|0|60m|c|i:1|a=b"]);
    check(&PODTEMPLATE, json!({"template": template}), expect!["x|c|i:1|a=b"]);
    let owners = json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "w", "controller": true}]);
    let revision = json!({"metadata": {"ownerReferences": owners}, "revision": 2});
    check(&CONTROLLERREVISION, revision, expect!["x|statefulset.apps/w|2|60m"]);
}

#[test]
fn autoscalers_and_budgets() {
    let resource =
        |name: &str, target: Value| json!({"type": "Resource", "resource": {"name": name, "target": target}});
    let metrics = json!([
        resource("cpu", json!({"averageUtilization": 80})),
        resource("memory", json!({"averageValue": "1Gi"})),
        {"type": "External", "external": {"metric": {"name": "q"}, "target": {"averageValue": "5"}}},
    ]);
    let spec = json!({"maxReplicas": 5, "metrics": metrics, "scaleTargetRef": {"kind": "Deployment", "name": "d"}});
    let current = json!([{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 40}}}]);
    let status = json!({"currentReplicas": 2, "currentMetrics": current});
    check(
        &HORIZONTALPODAUTOSCALER,
        json!({"spec": spec, "status": status}),
        expect!["x|Deployment/d|cpu: 40%/80%, memory: <unknown>/1Gi + 1 more...|<unset>|5|2|60m"],
    );
    let budget = json!({"spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 1}});
    check(&PODDISRUPTIONBUDGET, budget, expect!["x|50%|N/A|1|60m"]);
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
