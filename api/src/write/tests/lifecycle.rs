use super::*;

fn config(metadata: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}})
}

fn running_pod() -> std::sync::Arc<Object> {
    let pod = stored(pod(json!({"containers": [{"name": "c", "image": "x"}]})));
    let mut value = pod.value().clone();
    value["spec"]["nodeName"] = json!("n1");
    Object::new(pod.key().clone(), 9, value)
}

#[test]
fn a_new_object_gets_its_identity_from_the_server() {
    let given = json!({"generateName": "a-", "uid": "mine", "resourceVersion": "5", "deletionTimestamp": "2020-01-01T00:00:00Z"});
    check_value(
        &created(config(given)).unwrap().value["metadata"],
        expect![[r#"
        {
          "creationTimestamp": "2026-11-20T12:00:00Z",
          "generateName": "a-",
          "name": "a-abcde",
          "namespace": "default",
          "uid": "uid-1"
        }
    "#]],
    );
}

#[test]
fn a_write_that_changes_nothing_is_none() {
    let object = stored(config(json!({"name": "a"})));
    assert_eq!(updated(&object, Part::Main, |_| {}).unwrap().effect, Effect::Unchanged);
    let deployment = stored(workloads::deployment(json!({})));
    let sparse = |value: &mut Value| *value = workloads::deployment(json!({}));
    let prepared = updated(&deployment, Part::Main, sparse).unwrap();
    assert_eq!(prepared.effect, Effect::Unchanged, "{:#}", prepared.value);
}

#[test]
fn generation_counts_changes_of_the_spec_only() {
    let deployment = stored(workloads::deployment(json!({})));
    let generation = |result: Result<Prepared, Status>| result.unwrap().value["metadata"]["generation"].clone();
    assert_eq!(generation(updated(&deployment, Part::Main, |value| value["spec"]["replicas"] = json!(2))), 2);
    assert_eq!(
        generation(updated(&deployment, Part::Main, |value| value["metadata"]["labels"] = json!({"a": "b"}))),
        1
    );
    assert_eq!(generation(updated(&deployment, Part::Status, |value| value["status"]["replicas"] = json!(2))), 1);
}

#[test]
fn spec_and_status_are_written_apart() {
    let deployment = stored(workloads::deployment(json!({})));
    let change = |value: &mut Value| {
        value["spec"]["replicas"] = json!(9);
        value["status"]["replicas"] = json!(9);
        value["metadata"]["labels"] = json!({"a": "b"});
    };
    let replicas = |part: Part| {
        let value = updated(&deployment, part, change).unwrap().value;
        (value["spec"]["replicas"].clone(), value["status"]["replicas"].clone(), value["metadata"]["labels"].clone())
    };
    assert_eq!(replicas(Part::Main), (json!(9), json!(null), json!({"a": "b"})));
    assert_eq!(replicas(Part::Status), (json!(1), json!(9), json!(null)));
    assert_eq!(replicas(Part::Both), (json!(9), json!(9), json!({"a": "b"})));
}

#[test]
fn an_update_must_mean_this_object_in_this_version() {
    let object = stored(config(json!({"name": "a"})));
    let change = |field: &'static str, text: &'static str| {
        updated(&object, Part::Main, |value| value["metadata"][field] = json!(text))
    };
    check_refused(
        change("resourceVersion", "6"),
        expect![[r#"
        409 Conflict
        Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again
    "#]],
    );
    check_refused(
        change("resourceVersion", "x"),
        expect![[r#"
        422 Invalid
        metadata.resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax
    "#]],
    );
    check_refused(
        change("uid", "other"),
        expect![[r#"
        409 Conflict
        Operation cannot be fulfilled on configmaps "a": Precondition failed: UID in precondition: other, UID in object meta: uid-1
    "#]],
    );
    check_refused(
        change("name", "b"),
        expect![[r#"
        400 BadRequest
        the name of the object (b) does not match the name on the URL (a)
    "#]],
    );
    let unconditional = |value: &mut Value| {
        *value = config(json!({"name": "a", "creationTimestamp": null}));
        value["data"]["a"] = json!("2");
    };
    let prepared = updated(&object, Part::Main, unconditional).unwrap();
    assert_eq!(prepared.effect, Effect::Put);
    assert_eq!(prepared.value["metadata"]["uid"], "uid-1");
    assert_eq!(prepared.value["metadata"]["creationTimestamp"], "2026-11-20T12:00:00Z");
}

#[test]
fn finalizers_hold_an_object_until_the_last_is_cleared() {
    let object = stored(config(json!({"name": "a", "finalizers": ["x/y"]})));
    let marked = deleted(&object, DeleteOptions::default());
    assert_eq!(marked.effect, Effect::Put);
    check_value(
        &marked.value["metadata"],
        expect![[r#"
        {
          "creationTimestamp": "2026-11-20T12:00:00Z",
          "deletionGracePeriodSeconds": 0,
          "deletionTimestamp": "2026-11-20T12:00:00Z",
          "finalizers": [
            "x/y"
          ],
          "name": "a",
          "namespace": "default",
          "resourceVersion": "8",
          "uid": "uid-1"
        }
    "#]],
    );
    let object = Object::new(object.key().clone(), 9, marked.value);
    assert_eq!(deleted(&object, DeleteOptions::default()).effect, Effect::Unchanged);
    let more = updated(&object, Part::Main, |value| value["metadata"]["finalizers"] = json!(["x/y", "z/z"]));
    check_refused(
        more,
        expect![[r#"
        422 Invalid
        metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"z/z"}
    "#]],
    );
    let cleared = updated(&object, Part::Main, |value| value["metadata"]["finalizers"] = json!([]));
    assert_eq!(cleared.unwrap().effect, Effect::Remove);
    let revived = updated(&object, Part::Main, |value| {
        value["metadata"]["deletionTimestamp"] = json!(null);
        value["data"]["a"] = json!("2");
    });
    assert!(revived.unwrap().value["metadata"]["deletionTimestamp"].is_string());
}

#[test]
fn propagation_is_a_finalizer_for_the_garbage_collector() {
    let object = stored(config(json!({"name": "a"})));
    let with = |propagation| deleted(&object, DeleteOptions { propagation: Some(propagation), ..Default::default() });
    assert_eq!(with(Propagation::Background).effect, Effect::Remove);
    assert_eq!(with(Propagation::Foreground).value["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    assert_eq!(with(Propagation::Orphan).value["metadata"]["finalizers"], json!(["orphan"]));
}

#[test]
fn a_running_pod_gets_its_grace_and_others_go_at_once() {
    let pod = running_pod();
    let grace = |seconds: Option<i64>| DeleteOptions { grace_period_seconds: seconds, ..Default::default() };
    let marked = deleted(&pod, grace(None));
    assert_eq!(marked.effect, Effect::Put);
    assert_eq!(marked.value["metadata"]["deletionTimestamp"], "2026-11-20T12:00:30Z");
    assert_eq!(marked.value["metadata"]["deletionGracePeriodSeconds"], 30);
    assert_eq!(deleted(&pod, grace(Some(0))).effect, Effect::Remove);
    let marked = Object::new(pod.key().clone(), 10, marked.value);
    assert_eq!(deleted(&marked, grace(Some(60))).effect, Effect::Unchanged);
    assert_eq!(deleted(&marked, grace(Some(5))).value["metadata"]["deletionGracePeriodSeconds"], 5);
    assert_eq!(deleted(&marked, grace(Some(0))).effect, Effect::Remove);
    let unscheduled = stored(super::pod(json!({"containers": [{"name": "c", "image": "x"}]})));
    assert_eq!(deleted(&unscheduled, grace(None)).effect, Effect::Remove);
    let mut ended = pod.value().clone();
    ended["status"]["phase"] = json!("Succeeded");
    assert_eq!(deleted(&Object::new(pod.key().clone(), 9, ended), grace(None)).effect, Effect::Remove);
}

#[test]
fn a_grace_period_beyond_all_time_ends_with_it() {
    let mut value = running_pod().value().clone();
    value["spec"]["terminationGracePeriodSeconds"] = json!(i64::MAX);
    let pod = Object::new(running_pod().key().clone(), 9, value);
    for asked in [None, Some(i64::MAX)] {
        let marked = deleted(&pod, DeleteOptions { grace_period_seconds: asked, ..Default::default() });
        assert_eq!(marked.value["metadata"]["deletionTimestamp"], "9999-12-30T22:00:00Z");
        assert_eq!(marked.value["metadata"]["deletionGracePeriodSeconds"], i64::MAX);
    }
}

#[test]
fn a_deletion_may_name_its_object() {
    let object = stored(config(json!({"name": "a"})));
    let options = DeleteOptions { uid: Some("other".to_owned()), ..Default::default() };
    let result = with(&cluster([]), |context| delete(kind_of(object.value()), &object, &options, context));
    assert_eq!(result.unwrap_err().code, 409);
}

#[test]
fn a_namespace_goes_when_it_is_finalized() {
    let namespace = stored(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}));
    check_value(
        namespace.value(),
        expect![[r#"
        {
          "apiVersion": "v1",
          "kind": "Namespace",
          "metadata": {
            "creationTimestamp": "2026-11-20T12:00:00Z",
            "labels": {
              "kubernetes.io/metadata.name": "a"
            },
            "name": "a",
            "resourceVersion": "8",
            "uid": "uid-1"
          },
          "spec": {
            "finalizers": [
              "kubernetes"
            ]
          },
          "status": {
            "phase": "Active"
          }
        }
    "#]],
    );
    let marked = deleted(&namespace, DeleteOptions::default());
    assert_eq!((marked.effect, &marked.value["status"]["phase"]), (Effect::Put, &json!("Terminating")));
    let marked = Object::new(namespace.key().clone(), 9, marked.value);
    let clear = |value: &mut Value| value["spec"]["finalizers"] = json!([]);
    assert_eq!(updated(&marked, Part::Main, clear).unwrap().effect, Effect::Unchanged);
    assert_eq!(updated(&marked, Part::Finalize, clear).unwrap().effect, Effect::Remove);
}

#[test]
fn a_pod_is_bound_once() {
    let pod = stored(pod(json!({"containers": [{"name": "c", "image": "x"}]})));
    let bound = with(&cluster([]), |context| bind(&pod, "n1", None, context)).unwrap();
    assert_eq!((&bound.value["spec"]["nodeName"], &bound.value["metadata"]["generation"]), (&json!("n1"), &json!(2)));
    check_value(
        &bound.value["status"],
        expect![[r#"
        {
          "conditions": [
            {
              "lastTransitionTime": "2026-11-20T12:00:00Z",
              "status": "True",
              "type": "PodScheduled"
            }
          ],
          "phase": "Pending",
          "qosClass": "BestEffort"
        }
    "#]],
    );
    let bound = Object::new(pod.key().clone(), 9, bound.value);
    check_refused(
        with(&cluster([]), |context| bind(&bound, "n2", None, context)),
        expect![[r#"
        409 Conflict
        Operation cannot be fulfilled on pods/binding "a": pod a is already assigned to node "n1"
    "#]],
    );
}

#[test]
fn a_scale_is_a_view_of_the_replicas() {
    let deployment = stored(workloads::deployment(json!({})));
    check_value(
        &scale(kind_of(deployment.value()), &deployment),
        expect![[r#"
        {
          "apiVersion": "autoscaling/v1",
          "kind": "Scale",
          "metadata": {
            "creationTimestamp": "2026-11-20T12:00:00Z",
            "name": "d",
            "namespace": "default",
            "resourceVersion": "8",
            "uid": "uid-1"
          },
          "spec": {
            "replicas": 1
          },
          "status": {
            "replicas": 0,
            "selector": "app=d"
          }
        }
    "#]],
    );
    let kind = kind_of(deployment.value());
    let set = |replicas: i64| {
        let wanted = json!({"spec": {"replicas": replicas}});
        with(&cluster([]), |context| set_scale(kind, &deployment, &wanted, context))
    };
    assert_eq!(set(4).unwrap().value["spec"]["replicas"], 4);
    check_refused(
        set(-1),
        expect![[r#"
        422 Invalid
        spec.replicas: Invalid value: -1: must be greater than or equal to 0
    "#]],
    );
}

#[test]
fn the_writer_of_fields_is_recorded() {
    let snapshot = cluster([]);
    let kind = kind::by_gvk("", "v1", "ConfigMap").unwrap();
    let value = with(&snapshot, |context| {
        let context = Context { field_manager: Some("kubectl"), ..*context };
        create(kind, "default", config(json!({"name": "a"})), &context).unwrap().value
    });
    check_value(
        &value["metadata"]["managedFields"],
        expect![[r#"
        [
          {
            "apiVersion": "v1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
              "f:data": {
                ".": {},
                "f:a": {}
              }
            },
            "manager": "kubectl",
            "operation": "Update",
            "time": "2026-11-20T12:00:00Z"
          }
        ]
    "#]],
    );
}
