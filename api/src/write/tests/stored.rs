//! Kinds that are stored, and that nothing or little acts on.

use super::*;

fn template(restart: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "a"}},
        "spec": {"restartPolicy": restart, "containers": [{"name": "c", "image": "i:v1"}]},
    })
}

fn object(api_version: &str, kind: &str, spec: Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, "spec": spec})
}

fn job(more: Value) -> Value {
    let mut job = object("batch/v1", "Job", json!({"template": template("Never")}));
    json_patch::merge(&mut job["spec"], &more);
    job
}

fn cron_job(schedule: &str) -> Value {
    let template = json!({"spec": {"template": template("OnFailure")}});
    object("batch/v1", "CronJob", json!({"schedule": schedule, "jobTemplate": template}))
}

fn stateful_set(more: Value) -> Value {
    let spec = json!({"serviceName": "a", "selector": {"matchLabels": {"app": "a"}}, "template": template("Always")});
    let mut set = object("apps/v1", "StatefulSet", spec);
    json_patch::merge(&mut set["spec"], &more);
    set
}

fn daemon_set(more: Value) -> Value {
    let mut set = stateful_set(more);
    set["kind"] = json!("DaemonSet");
    set["spec"].as_object_mut().unwrap().remove("serviceName");
    set
}

fn autoscaler(more: Value) -> Value {
    let spec =
        json!({"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}});
    let mut autoscaler = object("autoscaling/v2", "HorizontalPodAutoscaler", spec);
    json_patch::merge(&mut autoscaler["spec"], &more);
    autoscaler
}

/// Spec without the spec of pods, which is the same everywhere, and status.
#[track_caller]
fn check_shape(value: Value, expected: Expect) {
    let mut value = created(value).unwrap().value;
    for path in ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec"] {
        if let Some(spec) = value.pointer_mut(path) {
            assert_eq!(spec["dnsPolicy"], "ClusterFirst", "{path} has defaults");
            *spec = json!("…");
        }
    }
    expected.assert_eq(&format!("{}\n{}", value["spec"], value["status"]));
}

#[test]
fn defaults_of_workloads() {
    check_shape(
        job(json!({})),
        expect![[r#"
        {"backoffLimit":6,"completionMode":"NonIndexed","completions":1,"manualSelector":false,"parallelism":1,"podReplacementPolicy":"TerminatingOrFailed","selector":{"matchLabels":{"batch.kubernetes.io/controller-uid":"uid-1"}},"suspend":false,"template":{"metadata":{"labels":{"app":"a","batch.kubernetes.io/controller-uid":"uid-1","batch.kubernetes.io/job-name":"a","controller-uid":"uid-1","job-name":"a"}},"spec":"…"}}
        {}"#]],
    );
    check_shape(
        cron_job("@hourly"),
        expect![[r#"
        {"concurrencyPolicy":"Allow","failedJobsHistoryLimit":1,"jobTemplate":{"spec":{"template":{"metadata":{"labels":{"app":"a"}},"spec":"…"}}},"schedule":"@hourly","successfulJobsHistoryLimit":3,"suspend":false}
        {}"#]],
    );
    check_shape(
        stateful_set(json!({"volumeClaimTemplates": [{"metadata": {"name": "d"}}]})),
        expect![[r#"
        {"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain","whenScaled":"Retain"},"podManagementPolicy":"OrderedReady","replicas":1,"revisionHistoryLimit":10,"selector":{"matchLabels":{"app":"a"}},"serviceName":"a","template":{"metadata":{"labels":{"app":"a"}},"spec":"…"},"updateStrategy":{"rollingUpdate":{"partition":0},"type":"RollingUpdate"},"volumeClaimTemplates":[{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"d"},"spec":{"volumeMode":"Filesystem"},"status":{"phase":"Pending"}}]}
        {"availableReplicas":0,"replicas":0}"#]],
    );
    check_shape(
        daemon_set(json!({})),
        expect![[r#"
        {"revisionHistoryLimit":10,"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":"…"},"updateStrategy":{"rollingUpdate":{"maxSurge":0,"maxUnavailable":1},"type":"RollingUpdate"}}
        {"currentNumberScheduled":0,"desiredNumberScheduled":0,"numberMisscheduled":0,"numberReady":0}"#]],
    );
    let spec = json!({"template": template("Always")});
    check_shape(
        object("v1", "ReplicationController", spec),
        expect![[r#"
        {"replicas":1,"selector":{"app":"a"},"template":{"metadata":{"labels":{"app":"a"}},"spec":"…"}}
        {"replicas":0}"#]],
    );
}

#[test]
fn defaults_of_autoscalers_and_budgets() {
    check_shape(
        autoscaler(json!({})),
        expect![[r#"
        {"maxReplicas":3,"metrics":[{"resource":{"name":"cpu","target":{"averageUtilization":80,"type":"Utilization"}},"type":"Resource"}],"minReplicas":1,"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"d"}}
        {"desiredReplicas":0}"#]],
    );
    check_shape(
        autoscaler(json!({"behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}}})),
        expect![[r#"
        {"behavior":{"scaleDown":{"policies":[{"periodSeconds":15,"type":"Percent","value":100}],"selectPolicy":"Max","stabilizationWindowSeconds":5},"scaleUp":{"policies":[{"periodSeconds":15,"type":"Pods","value":4},{"periodSeconds":15,"type":"Percent","value":100}],"selectPolicy":"Max","stabilizationWindowSeconds":0}},"maxReplicas":3,"metrics":[{"resource":{"name":"cpu","target":{"averageUtilization":80,"type":"Utilization"}},"type":"Resource"}],"minReplicas":1,"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"d"}}
        {"desiredReplicas":0}"#]],
    );
    let spec = json!({"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}});
    check_shape(
        object("policy/v1", "PodDisruptionBudget", spec),
        expect![[r#"
        {"minAvailable":1,"selector":{"matchLabels":{"app":"a"}}}
        {"currentHealthy":0,"desiredHealthy":0,"disruptionsAllowed":0,"expectedPods":0}"#]],
    );
}

#[test]
fn who_creates_what_nothing_acts_on_is_told() {
    for (value, about) in [
        (job(json!({})), "Jobs"),
        (cron_job("@daily"), "CronJobs"),
        (stateful_set(json!({})), "StatefulSets"),
        (daemon_set(json!({})), "DaemonSets"),
        (autoscaler(json!({})), "HorizontalPodAutoscalers"),
    ] {
        let warnings = created(value.clone()).unwrap().warnings;
        assert!(warnings[0].starts_with(&format!("no controller of wasmk runs {about} yet")), "{warnings:?}");
        let changed = updated(&stored(value), Part::Main, |value| value["metadata"]["labels"] = json!({"a": "b"}));
        assert_eq!(changed.unwrap().warnings, Vec::<String>::new(), "once is enough");
    }
}

#[test]
fn workloads_that_cannot_be() {
    check_refused(
        created(job(json!({"template": {"spec": {"restartPolicy": "Always"}}, "parallelism": -1}))),
        expect![[r#"
            422 Invalid
            spec.parallelism: Invalid value: -1: must be greater than or equal to 0
            spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"
        "#]],
    );
    check_refused(
        created(job(json!({"completionMode": "Indexed", "parallelism": 2}))),
        expect![[r#"
        422 Invalid
        spec.completions: Required value: when completion mode is Indexed
    "#]],
    );
    check_refused(
        created(job(
            json!({"selector": {"matchLabels": {"app": "a"}}, "manualSelector": true, "template": {"metadata": {"labels": {"app": "b"}}}}),
        )),
        expect![[r#"
            422 Invalid
            spec.template.metadata.labels: Invalid value: {"app":"b"}: `selector` does not match template `labels`
        "#]],
    );
    check_refused(
        created(cron_job("61 * * * *")),
        expect![[r#"
        422 Invalid
        spec.schedule: Invalid value: "61 * * * *": end of range (61) above maximum (59): 61
    "#]],
    );
    let mut long = cron_job("TZ=UTC 1 * * * *");
    long["metadata"]["name"] = json!("a".repeat(53));
    long["spec"]["concurrencyPolicy"] = json!("Sometimes");
    long["spec"]["jobTemplate"]["spec"]["selector"] = json!({"matchLabels": {"a": "b"}});
    check_refused(
        created(long),
        expect![[r#"
        422 Invalid
        metadata.name: Invalid value: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": must be no more than 52 characters
        spec.schedule: Invalid value: "TZ=UTC 1 * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead
        spec.concurrencyPolicy: Unsupported value: "Sometimes": supported values: "Allow", "Forbid", "Replace"
        spec.jobTemplate.spec.selector: Invalid value: {"matchLabels":{"a":"b"}}: `selector` will be auto-generated
    "#]],
    );
    check_refused(
        created(stateful_set(
            json!({"podManagementPolicy": "x", "updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}, "selector": {"matchLabels": {"app": "b"}}}),
        )),
        expect![[r#"
            422 Invalid
            spec.podManagementPolicy: Invalid value: "x": must be 'OrderedReady' or 'Parallel'
            spec.updateStrategy.rollingUpdate: Invalid value: {"partition":1}: only allowed for updateStrategy 'RollingUpdate'
            spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`
        "#]],
    );
    let rolling = |rolling: Value| daemon_set(json!({"updateStrategy": {"rollingUpdate": rolling}}));
    check_refused(
        created(rolling(json!({"maxUnavailable": 0}))),
        expect![[r#"
        422 Invalid
        spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0
    "#]],
    );
    check_refused(
        created(rolling(json!({"maxSurge": "120%"}))),
        expect![[r#"
        422 Invalid
        spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: "120%": must not be greater than 100%
        spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: "120%": may not be set when maxUnavailable is non-zero
    "#]],
    );
    let mut controller = object("v1", "ReplicationController", json!({"replicas": -1}));
    check_refused(
        created(controller.clone()),
        expect![[r#"
        422 Invalid
        spec.replicas: Invalid value: -1: must be greater than or equal to 0
        spec.selector: Required value
        spec.template: Required value
    "#]],
    );
    controller["spec"] = json!({"selector": {"app": "b"}, "template": template("Never")});
    check_refused(
        created(controller),
        expect![[r#"
        422 Invalid
        spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`
        spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"
    "#]],
    );
}

#[test]
fn autoscalers_and_budgets_that_cannot_be() {
    let metrics = json!([{"type": "Pods"}, {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}, {"type": "x"}]);
    check_refused(
        created(autoscaler(json!({"minReplicas": 5, "scaleTargetRef": {"kind": "a/b"}, "metrics": metrics}))),
        expect![[r#"
            422 Invalid
            spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`
            spec.scaleTargetRef.kind: Invalid value: "a/b": may not contain '/' or '%'
            spec.metrics[0].pods: Required value: must populate information for the given metric source
            spec.metrics[1].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization
            spec.metrics[2].type: Unsupported value: "x": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"
        "#]],
    );
    let spec = json!({"minAvailable": 1, "maxUnavailable": "x", "selector": {"matchLabels": {"app": "?"}}});
    check_refused(
        created(object("policy/v1", "PodDisruptionBudget", spec)),
        expect![[r#"
        422 Invalid
        spec: Invalid value: {"maxUnavailable":"x","minAvailable":1,"selector":{"matchLabels":{"app":"?"}}}: minAvailable and maxUnavailable cannot be both set
        spec.maxUnavailable: Invalid value: "x": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')
        spec.selector.matchLabels[app]: Invalid value: "?": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')
    "#]],
    );
}

#[test]
fn what_may_not_change() {
    let refused = |value: Value, change: fn(&mut Value)| updated(&stored(value), Part::Main, change);
    let status = refused(job(json!({})), |job| {
        job["spec"]["completions"] = json!(2);
        job["spec"]["template"]["spec"]["containers"][0]["image"] = json!("i:v2");
    })
    .unwrap_err();
    assert!(status.causes.iter().all(|cause| cause.message.ends_with(": field is immutable")));
    let fields: Vec<&str> = status.causes.iter().map(|cause| cause.field.as_str()).collect();
    assert_eq!(fields, ["spec.completions", "spec.template"]);
    assert!(
        refused(job(json!({"completionMode": "Indexed", "completions": 1})), |job| {
            job["spec"]["completions"] = json!(2);
            job["spec"]["parallelism"] = json!(2);
        })
        .is_ok()
    );
    assert!(
        refused(job(json!({"suspend": true})), |job| {
            job["spec"]["template"]["spec"]["nodeSelector"] = json!({"a": "b"});
        })
        .is_ok()
    );
    check_refused(
        refused(stateful_set(json!({})), |set| set["spec"]["serviceName"] = json!("b")),
        expect![[r#"
        422 Invalid
        spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden
    "#]],
    );
    let revision = json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": "a"}, "revision": 1, "data": {"a": 1}});
    check_refused(
        refused(revision, |revision| revision["data"] = json!({"a": 2})),
        expect![[r#"
        422 Invalid
        data: Invalid value: {"a":2}: field is immutable
    "#]],
    );
}

#[test]
fn jobs_and_replication_controllers_leave_their_pods_behind_unless_told() {
    for value in [job(json!({})), object("v1", "ReplicationController", json!({"template": template("Always")}))] {
        let current = stored(value);
        let deleted_with = |propagation| deleted(&current, DeleteOptions { propagation, ..Default::default() });
        assert_eq!(deleted_with(None).value["metadata"]["finalizers"], json!(["orphan"]));
        assert_eq!(deleted_with(Some(Propagation::Background)).effect, Effect::Remove);
    }
}
