use expect_test::expect;
use jiff::SignedDuration;

use super::*;

#[test]
fn a_first_rollout_ends_complete() {
    let mut sim = Sim::new().only(ONLY);
    sim.put("deployments.apps", deployment(2, rolling("25%", "25%")));
    settle_ready(&mut sim);
    expect![[r#"
        create replicasets.apps/default/web-7766cf99 (NewReplicaSetCreated)
        update deployments.apps/default/web Both (StatusChanged)
        Normal ScalingReplicaSet deployments.apps/default/web: Scaled up replica set web-7766cf99 from 0 to 2
        wake at 2026-01-01T00:10:00Z
        create pods/default/web-7766cf99-2ltlz (SuccessfulCreate)
        create pods/default/web-7766cf99-ng29x (SuccessfulCreate)
        update replicasets.apps/default/web-7766cf99 Status (StatusChanged)
        Normal SuccessfulCreate replicasets.apps/default/web-7766cf99: Created pod: web-7766cf99-2ltlz
        Normal SuccessfulCreate replicasets.apps/default/web-7766cf99: Created pod: web-7766cf99-ng29x
        update deployments.apps/default/web Status (StatusChanged)
        wake at 2026-01-01T00:10:00Z
        update replicasets.apps/default/web-7766cf99 Status (StatusChanged)
        update deployments.apps/default/web Status (StatusChanged)
    "#]]
    .assert_eq(&sim.take_log());
    let deployment = sim.get(&key()).value();
    assert_eq!(deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
    expect![[r#"
        {
          "availableReplicas": 2,
          "conditions": [
            {
              "lastTransitionTime": "2026-01-01T00:00:00Z",
              "lastUpdateTime": "2026-01-01T00:00:00Z",
              "message": "Deployment has minimum availability.",
              "reason": "MinimumReplicasAvailable",
              "status": "True",
              "type": "Available"
            },
            {
              "lastTransitionTime": "2026-01-01T00:00:00Z",
              "lastUpdateTime": "2026-01-01T00:00:00Z",
              "message": "ReplicaSet \"web-7766cf99\" has successfully progressed.",
              "reason": "NewReplicaSetAvailable",
              "status": "True",
              "type": "Progressing"
            }
          ],
          "observedGeneration": 1,
          "readyReplicas": 2,
          "replicas": 2,
          "updatedReplicas": 2
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&deployment["status"]).unwrap());
    let set = &sim.list("replicasets.apps")[0];
    expect![[r#"
        {
          "apiVersion": "apps/v1",
          "kind": "ReplicaSet",
          "metadata": {
            "annotations": {
              "deployment.kubernetes.io/desired-replicas": "2",
              "deployment.kubernetes.io/max-replicas": "3",
              "deployment.kubernetes.io/revision": "1",
              "kubernetes.io/change-cause": "first"
            },
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "generation": 1,
            "labels": {
              "app": "web",
              "pod-template-hash": "7766cf99"
            },
            "managedFields": [
              {
                "apiVersion": "apps/v1",
                "fieldsType": "FieldsV1",
                "fieldsV1": {
                  "f:metadata": {
                    "f:annotations": {
                      ".": {},
                      "f:deployment.kubernetes.io/desired-replicas": {},
                      "f:deployment.kubernetes.io/max-replicas": {},
                      "f:deployment.kubernetes.io/revision": {},
                      "f:kubernetes.io/change-cause": {}
                    },
                    "f:labels": {
                      ".": {},
                      "f:app": {},
                      "f:pod-template-hash": {}
                    },
                    "f:ownerReferences": {
                      ".": {},
                      "k:{\"uid\":\"uid-2\"}": {}
                    }
                  },
                  "f:spec": {
                    "f:replicas": {},
                    "f:selector": {},
                    "f:template": {
                      "f:metadata": {
                        "f:labels": {
                          ".": {},
                          "f:app": {},
                          "f:pod-template-hash": {}
                        }
                      },
                      "f:spec": {
                        "f:containers": {
                          "k:{\"name\":\"web\"}": {
                            ".": {},
                            "f:image": {},
                            "f:imagePullPolicy": {},
                            "f:name": {},
                            "f:resources": {},
                            "f:terminationMessagePath": {},
                            "f:terminationMessagePolicy": {}
                          }
                        },
                        "f:dnsPolicy": {},
                        "f:restartPolicy": {},
                        "f:schedulerName": {},
                        "f:securityContext": {},
                        "f:terminationGracePeriodSeconds": {}
                      }
                    }
                  }
                },
                "manager": "wasmk-controllers",
                "operation": "Update",
                "time": "2026-01-01T00:00:00Z"
              },
              {
                "apiVersion": "apps/v1",
                "fieldsType": "FieldsV1",
                "fieldsV1": {
                  "f:status": {
                    "f:availableReplicas": {},
                    "f:fullyLabeledReplicas": {},
                    "f:observedGeneration": {},
                    "f:readyReplicas": {},
                    "f:replicas": {}
                  }
                },
                "manager": "wasmk-controllers",
                "operation": "Update",
                "subresource": "status",
                "time": "2026-01-01T00:00:00Z"
              }
            ],
            "name": "web-7766cf99",
            "namespace": "default",
            "ownerReferences": [
              {
                "apiVersion": "apps/v1",
                "blockOwnerDeletion": true,
                "controller": true,
                "kind": "Deployment",
                "name": "web",
                "uid": "uid-2"
              }
            ],
            "resourceVersion": "8",
            "uid": "uid-3"
          },
          "spec": {
            "replicas": 2,
            "selector": {
              "matchLabels": {
                "app": "web",
                "pod-template-hash": "7766cf99"
              }
            },
            "template": {
              "metadata": {
                "labels": {
                  "app": "web",
                  "pod-template-hash": "7766cf99"
                }
              },
              "spec": {
                "containers": [
                  {
                    "image": "web:v1",
                    "imagePullPolicy": "IfNotPresent",
                    "name": "web",
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
          },
          "status": {
            "availableReplicas": 2,
            "fullyLabeledReplicas": 2,
            "observedGeneration": 1,
            "readyReplicas": 2,
            "replicas": 2
          }
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(set).unwrap());
}

#[test]
fn a_new_template_rolls_and_undo_brings_the_old_set_back() {
    let mut sim = Sim::new().only(ONLY);
    sim.put("deployments.apps", deployment(3, rolling(1, 0)));
    settle_ready(&mut sim);
    set_image(&mut sim, "web:v2");
    sim.settle();
    assert_eq!(sets(&sim), ["1 web:v1 x3", "2 web:v2 x1"]);
    assert_eq!(progress(&sim).1, "ReplicaSetUpdated");
    settle_ready(&mut sim);
    assert_eq!(sets(&sim), ["1 web:v1 x0", "2 web:v2 x3"]);
    assert_eq!(progress(&sim), ("True".to_owned(), "NewReplicaSetAvailable".to_owned()));
    set_image(&mut sim, "web:v1");
    settle_ready(&mut sim);
    assert_eq!(sets(&sim), ["2 web:v2 x0", "3 web:v1 x3"]);
    let set = sim.list("replicasets.apps").into_iter().find(|set| set["spec"]["replicas"] == 3).unwrap();
    assert_eq!(set["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"], "1");
}

#[test]
fn history_beyond_the_limit_is_deleted() {
    let mut sim = Sim::new().only(ONLY);
    sim.put("deployments.apps", deployment(1, rolling(1, 0)));
    for image in ["web:v1", "web:v2", "web:v3", "web:v4", "web:v5"] {
        set_image(&mut sim, image);
        settle_ready(&mut sim);
    }
    assert_eq!(sets(&sim), ["3 web:v3 x0", "4 web:v4 x0", "5 web:v5 x1"]);
}

#[test]
fn recreate_waits_for_the_last_old_pod() {
    let mut sim = Sim::new().only(ONLY);
    sim.put("deployments.apps", deployment(2, json!({"type": "Recreate"})));
    settle_ready(&mut sim);
    for key in active_pods(&sim) {
        sim.edit(&key, |pod| pod["spec"]["nodeName"] = json!("n1"));
    }
    set_image(&mut sim, "web:v2");
    sim.settle();
    assert_eq!(sets(&sim), ["1 web:v1 x0"]);
    let terminating: Vec<Key> = sim.snapshot.list(&"pods".into(), None).map(|pod| pod.key().clone()).collect();
    assert_eq!(terminating.len(), 2);
    sim.remove(&terminating[0]);
    sim.settle();
    assert_eq!(sets(&sim).len(), 1);
    sim.remove(&terminating[1]);
    settle_ready(&mut sim);
    assert_eq!(sets(&sim), ["1 web:v1 x0", "2 web:v2 x2"]);
}

#[test]
fn a_paused_deployment_scales_but_does_not_roll() {
    let mut sim = Sim::new().only(ONLY);
    sim.put("deployments.apps", deployment(2, rolling(1, 0)));
    settle_ready(&mut sim);
    sim.edit(&key(), |value| value["spec"]["paused"] = json!(true));
    set_image(&mut sim, "web:v2");
    sim.edit(&key(), |value| value["spec"]["replicas"] = json!(4));
    settle_ready(&mut sim);
    assert_eq!(sets(&sim), ["1 web:v1 x4"]);
    assert_eq!(progress(&sim), ("Unknown".to_owned(), "DeploymentPaused".to_owned()));
    sim.edit(&key(), |value| value["spec"]["paused"] = json!(false));
    settle_ready(&mut sim);
    assert_eq!(sets(&sim), ["1 web:v1 x0", "2 web:v2 x4"]);
}

#[test]
fn scaling_amid_a_rollout_keeps_the_proportion() {
    let mut sim = Sim::new().only(ONLY);
    sim.put("deployments.apps", deployment(10, rolling(3, 2)));
    settle_ready(&mut sim);
    set_image(&mut sim, "web:broken");
    sim.settle();
    assert_eq!(sets(&sim), ["1 web:v1 x8", "2 web:broken x5"]);
    sim.edit(&key(), |value| value["spec"]["replicas"] = json!(15));
    sim.settle();
    // As in Kubernetes' own documentation of proportional scaling.
    assert_eq!(sets(&sim), ["1 web:v1 x11", "2 web:broken x7"]);
}

#[test]
fn a_rollout_without_progress_times_out_and_recovers() {
    let mut sim = Sim::new().only(ONLY);
    sim.put("deployments.apps", deployment(1, rolling(1, 0)));
    sim.settle();
    sim.settle_for(SignedDuration::from_secs(599));
    assert_eq!(progress(&sim).0, "True");
    sim.settle_for(SignedDuration::from_secs(2));
    assert_eq!(progress(&sim), ("False".to_owned(), "ProgressDeadlineExceeded".to_owned()));
    settle_ready(&mut sim);
    assert_eq!(progress(&sim), ("True".to_owned(), "NewReplicaSetAvailable".to_owned()));
}

#[test]
fn a_name_that_is_taken_costs_a_collision() {
    let mut sim = Sim::new().only(ONLY);
    sim.put("deployments.apps", deployment(1, rolling(1, 0)));
    let hash = crate::names::template_hash(&sim.get(&key()).value()["spec"]["template"], 0);
    let stranger = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": format!("web-{hash}"), "namespace": "default", "labels": {"app": "other"}},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "other"}}, "template": {"metadata": {"labels": {"app": "other"}}}},
    });
    sim.put("replicasets.apps", stranger);
    settle_ready(&mut sim);
    assert_eq!(sim.get(&key()).value()["status"]["collisionCount"], 1);
    assert_eq!(sim.list("replicasets.apps").len(), 2);
    assert_eq!(active_pods(&sim).len(), 1);
}

#[test]
fn orphaned_sets_are_adopted_with_their_pods() {
    let mut sim = Sim::new().only(ONLY);
    let first = deployment(2, rolling(1, 0));
    sim.put("deployments.apps", first.clone());
    settle_ready(&mut sim);
    let pods = active_pods(&sim);
    let set = sim.snapshot.list(&"replicasets.apps".into(), None).next().unwrap().key().clone();
    sim.remove(&key());
    sim.edit(&set, |set| drop(set["metadata"].as_object_mut().unwrap().remove("ownerReferences")));
    sim.put("deployments.apps", first);
    settle_ready(&mut sim);
    assert_eq!(active_pods(&sim), pods);
    assert_eq!(sim.list("replicasets.apps").len(), 1);
    assert!(sim.get(&set).controller_uid().is_some());
}

#[test]
fn percentages_round_as_kubernetes_does_and_never_to_a_standstill() {
    let limits = |replicas: i64, strategy: Value| {
        let value = deployment(replicas, strategy);
        let object = wasmk_api::Object::new(key(), 1, value);
        (super::super::strategy::max_surge(&object), super::super::strategy::max_unavailable(&object))
    };
    assert_eq!(limits(10, rolling("25%", "25%")), (3, 2));
    assert_eq!(limits(3, rolling("25%", "25%")), (1, 0));
    assert_eq!(limits(1, rolling(0, "10%")), (0, 1));
    assert_eq!(limits(0, rolling("25%", "25%")), (0, 0));
    assert_eq!(limits(4, rolling("100%", "100%")), (4, 4));
    assert_eq!(limits(4, json!({"type": "RollingUpdate"})), (1, 1));
}

#[test]
fn a_surge_beyond_all_numbers_is_as_large_as_a_number_of_replicas_can_be() {
    for surge in [json!(i64::MAX), json!("9223372036854775807%")] {
        let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": 0}});
        let object = wasmk_api::Object::new(key(), 1, deployment(3, strategy.clone()));
        assert_eq!(super::super::strategy::max_surge(&object), i64::from(i32::MAX), "{surge}");
        if surge.is_number() {
            // The API takes no such number any more.
            continue;
        }
        let mut sim = Sim::new().only(ONLY);
        sim.put("deployments.apps", deployment(3, strategy));
        settle_ready(&mut sim);
        set_image(&mut sim, "web:v2");
        sim.step();
        sim.edit(&key(), |web| web["spec"]["replicas"] = json!(5));
        settle_ready(&mut sim);
        assert_eq!(sets(&sim), ["1 web:v1 x0", "2 web:v2 x5"]);
    }
}

#[test]
fn a_revision_that_cannot_be_raised_stays() {
    let mut sim = Sim::new().only(ONLY);
    sim.put("deployments.apps", deployment(1, rolling(1, 0)));
    settle_ready(&mut sim);
    let set = sim.snapshot.list(&"replicasets.apps".into(), None).next().unwrap().key().clone();
    let last = i64::MAX.to_string();
    sim.edit(&set, |set| set["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!(last));
    set_image(&mut sim, "web:v2");
    settle_ready(&mut sim);
    assert_eq!(sets(&sim), [format!("{last} web:v1 x0"), format!("{last} web:v2 x1")]);
}
