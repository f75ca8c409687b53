use super::*;

/// A small Deployment with `more` in its spec.
pub(super) fn deployment(more: Value) -> Value {
    let mut value = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {
            "selector": {"matchLabels": {"app": "d"}},
            "template": {
                "metadata": {"labels": {"app": "d"}},
                "spec": {"containers": [{"name": "c", "image": "d:v1"}]},
            },
        },
    });
    for (field, given) in more.as_object().unwrap() {
        value["spec"][field] = given.clone();
    }
    value
}

#[test]
fn a_pod_gets_kubernetes_defaults() {
    let probe = json!({"httpGet": {"port": 80}});
    let container = json!({
        "name": "c", "image": "x", "ports": [{"containerPort": 80}], "readinessProbe": probe,
        "resources": {"limits": {"cpu": "1", "memory": "64Mi"}},
        "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}, {"name": "B", "value": "b"}],
    });
    let volumes = json!([{"name": "e"}, {"name": "s", "secret": {"secretName": "s"}}]);
    let value = created(pod(json!({"containers": [container], "volumes": volumes}))).unwrap().value;
    check_value(
        &json!({"spec": value["spec"], "status": value["status"]}),
        expect![[r#"
        {
          "spec": {
            "containers": [
              {
                "env": [
                  {
                    "name": "A",
                    "valueFrom": {
                      "fieldRef": {
                        "apiVersion": "v1",
                        "fieldPath": "metadata.name"
                      }
                    }
                  },
                  {
                    "name": "B",
                    "value": "b"
                  }
                ],
                "image": "x",
                "imagePullPolicy": "Always",
                "name": "c",
                "ports": [
                  {
                    "containerPort": 80,
                    "protocol": "TCP"
                  }
                ],
                "readinessProbe": {
                  "failureThreshold": 3,
                  "httpGet": {
                    "path": "/",
                    "port": 80,
                    "scheme": "HTTP"
                  },
                  "periodSeconds": 10,
                  "successThreshold": 1,
                  "timeoutSeconds": 1
                },
                "resources": {
                  "limits": {
                    "cpu": "1",
                    "memory": "64Mi"
                  },
                  "requests": {
                    "cpu": "1",
                    "memory": "64Mi"
                  }
                },
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File"
              }
            ],
            "dnsPolicy": "ClusterFirst",
            "enableServiceLinks": true,
            "preemptionPolicy": "PreemptLowerPriority",
            "priority": 0,
            "restartPolicy": "Always",
            "schedulerName": "default-scheduler",
            "securityContext": {},
            "serviceAccount": "default",
            "serviceAccountName": "default",
            "terminationGracePeriodSeconds": 30,
            "tolerations": [
              {
                "effect": "NoExecute",
                "key": "node.kubernetes.io/not-ready",
                "operator": "Exists",
                "tolerationSeconds": 1
              },
              {
                "effect": "NoExecute",
                "key": "node.kubernetes.io/unreachable",
                "operator": "Exists",
                "tolerationSeconds": 1
              }
            ],
            "volumes": [
              {
                "emptyDir": {},
                "name": "e"
              },
              {
                "name": "s",
                "secret": {
                  "defaultMode": 420,
                  "secretName": "s"
                }
              }
            ]
          },
          "status": {
            "phase": "Pending",
            "qosClass": "Guaranteed"
          }
        }
    "#]],
    );
}

#[test]
fn a_deployment_gets_kubernetes_defaults() {
    let value = created(deployment(json!({}))).unwrap().value;
    check_value(
        &value["spec"],
        expect![[r#"
        {
          "progressDeadlineSeconds": 600,
          "replicas": 1,
          "revisionHistoryLimit": 10,
          "selector": {
            "matchLabels": {
              "app": "d"
            }
          },
          "strategy": {
            "rollingUpdate": {
              "maxSurge": "25%",
              "maxUnavailable": "25%"
            },
            "type": "RollingUpdate"
          },
          "template": {
            "metadata": {
              "labels": {
                "app": "d"
              }
            },
            "spec": {
              "containers": [
                {
                  "image": "d:v1",
                  "imagePullPolicy": "IfNotPresent",
                  "name": "c",
                  "resources": {},
                  "terminationMessagePath": "/dev/termination-log",
                  "terminationMessagePolicy": "File"
                }
              ],
              "dnsPolicy": "ClusterFirst",
              "restartPolicy": "Always",
              "schedulerName": "default-scheduler",
              "securityContext": {},
              "terminationGracePeriodSeconds": 30
            }
          }
        }
    "#]],
    );
}

#[test]
fn images_are_pulled_anew_when_their_tag_moves() {
    let policy = |image: &str| {
        let value = created(pod(json!({"containers": [{"name": "c", "image": image}]}))).unwrap().value;
        value["spec"]["containers"][0]["imagePullPolicy"].as_str().unwrap().to_owned()
    };
    let images = ["x", "x:latest", "x:v1", "localhost:5000/x", "r/x@sha256:0"];
    assert_eq!(images.map(policy), ["Always", "Always", "IfNotPresent", "Always", "IfNotPresent"]);
}

#[test]
fn quality_of_service_follows_the_resources() {
    let class = |resources: Value| {
        let container = json!({"name": "c", "image": "x", "resources": resources});
        created(pod(json!({"containers": [container]}))).unwrap().value["status"]["qosClass"].clone()
    };
    assert_eq!(class(json!({})), "BestEffort");
    assert_eq!(class(json!({"requests": {"cpu": "1"}})), "Burstable");
    assert_eq!(class(json!({"limits": {"cpu": "1", "memory": "1Gi"}})), "Guaranteed");
}

#[test]
fn a_bad_pod_is_told_every_fault() {
    let probe = json!({"httpGet": {"port": 0}, "tcpSocket": {"port": "http"}, "successThreshold": 2});
    let first = json!({
        "name": "C", "ports": [{"containerPort": 70000, "name": "p"}, {"containerPort": 1, "name": "p", "protocol": "x"}],
        "env": [{"name": "A=", "value": "1"}, {"name": "B", "value": "2", "valueFrom": {"secretKeyRef": {"name": "s", "key": ""}}}],
        "volumeMounts": [{"name": "gone", "mountPath": "/a"}, {"name": "v", "mountPath": "/a", "subPath": "../x"}],
        "resources": {"requests": {"cpu": "2", "gpu": 1}, "limits": {"cpu": "1"}},
        "livenessProbe": probe, "imagePullPolicy": "Sometimes",
    });
    let spec = json!({
        "containers": [first, {"name": "d", "image": "x"}, {"name": "d", "image": "x"}],
        "volumes": [{"name": "v", "configMap": {}}, {"name": "v", "emptyDir": {}, "secret": {"secretName": "s"}}],
        "restartPolicy": "Maybe", "tolerations": [{"operator": "Equal"}, {"key": "a", "tolerationSeconds": 1}],
    });
    check_refused(
        created(pod(spec)),
        expect![[r#"
            422 Invalid
            spec.volumes[0].configMap.name: Required value
            spec.volumes[1].name: Duplicate value: "v"
            spec.volumes[1].secret: Forbidden: may not specify more than 1 volume type
            spec.containers[0].name: Invalid value: "C": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
            spec.containers[0].image: Required value
            spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"
            spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive
            spec.containers[0].ports[1].name: Duplicate value: "p"
            spec.containers[0].ports[1].protocol: Unsupported value: "x": supported values: "SCTP", "TCP", "UDP"
            spec.containers[0].env[0].name: Invalid value: "A=": a valid environment variable name must consist only of printable ASCII characters other than '='
            spec.containers[0].env[1].valueFrom: Invalid value: {"secretKeyRef":{"key":"","name":"s"}}: may not be specified when `value` is not empty
            spec.containers[0].env[1].valueFrom.secretKeyRef.key: Required value
            spec.containers[0].volumeMounts[0].name: Not found: "gone"
            spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/a": must be unique
            spec.containers[0].volumeMounts[1].subPath: Invalid value: "../x": must not contain '..'
            spec.containers[0].resources.requests[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified
            spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1
            spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type
            spec.containers[0].livenessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive
            spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1
            spec.containers[2].name: Duplicate value: "d"
            spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"
            spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"
            spec.tolerations[1].effect: Invalid value: "": effect must be 'NoExecute' when `tolerationSeconds` is set
        "#]],
    );
    check_refused(
        created(pod(json!({}))),
        expect![[r#"
        422 Invalid
        spec.containers: Required value
    "#]],
    );
}

#[test]
fn a_pods_spec_is_fixed_but_for_a_few_fields() {
    let pod = stored(pod(json!({"containers": [{"name": "c", "image": "x"}]})));
    let image = updated(&pod, Part::Main, |value| value["spec"]["containers"][0]["image"] = json!("y"));
    assert_eq!(image.unwrap().value["metadata"]["generation"], 2);
    let tolerate = |value: &mut Value| {
        value["spec"]["tolerations"].as_array_mut().unwrap().push(json!({"key": "a", "operator": "Exists"}));
    };
    assert_eq!(updated(&pod, Part::Main, tolerate).unwrap().effect, Effect::Put);
    let other = updated(&pod, Part::Main, |value| value["spec"]["containers"][0]["args"] = json!(["-v"]));
    check_refused(
        other,
        expect![[r#"
        422 Invalid
        spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)
    "#]],
    );
    check_refused(
        updated(&pod, Part::Main, |value| value["spec"]["nodeName"] = json!("n1")),
        expect![[r#"
        422 Invalid
        spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)
    "#]],
    );
}

#[test]
fn a_bad_deployment_is_told_every_fault() {
    let template = json!({"metadata": {"labels": {"app": "x"}}, "spec": {"restartPolicy": "Never", "containers": []}});
    let strategy = json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}});
    check_refused(
        created(deployment(json!({"replicas": -1, "template": template, "strategy": strategy}))),
        expect![[r#"
            422 Invalid
            spec.replicas: Invalid value: -1: must be greater than or equal to 0
            spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`
            spec.template.spec.containers: Required value
            spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"
            spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0
        "#]],
    );
    let strategy = json!({"type": "Recreate", "rollingUpdate": {"maxSurge": "many"}});
    check_refused(
        created(deployment(json!({"selector": {}, "strategy": strategy}))),
        expect![[r#"
        422 Invalid
        spec.selector: Invalid value: {}: empty selector is invalid for deployment
        spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'
        spec.strategy.rollingUpdate.maxSurge: Invalid value: "many": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')
    "#]],
    );
    check_refused(
        created(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}})),
        expect![[r#"
            422 Invalid
            spec.selector: Required value
            spec.template.spec.containers: Required value
        "#]],
    );
}

#[test]
fn a_selector_is_for_ever() {
    let deployment = stored(deployment(json!({})));
    let change = |value: &mut Value| {
        value["spec"]["selector"]["matchLabels"] = json!({"app": "e"});
        value["spec"]["template"]["metadata"]["labels"] = json!({"app": "e"});
    };
    check_refused(
        updated(&deployment, Part::Main, change),
        expect![[r#"
        422 Invalid
        spec.selector: Invalid value: {"matchLabels":{"app":"e"}}: field is immutable
    "#]],
    );
}

#[test]
fn what_is_not_supported_is_warned_of_once() {
    let template = json!({
        "metadata": {"labels": {"app": "d"}},
        "spec": {"runtimeClassName": "x", "containers": [{"name": "c", "image": "x"}]},
    });
    let prepared = created(deployment(json!({"template": template}))).unwrap();
    assert_eq!(
        prepared.warnings,
        ["spec.template.spec.runtimeClassName: not supported by wasmk: every pod runs on wasmk's own runtime"]
    );
    let stored = Object::new(prepared.key(kind_of(&prepared.value)), 8, prepared.value);
    let again = updated(&stored, Part::Main, |value| value["spec"]["replicas"] = json!(2)).unwrap();
    assert!(again.warnings.is_empty(), "{:?}", again.warnings);
}
