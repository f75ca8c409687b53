use super::*;
use crate::patch::apply_strategic_merge;

#[track_caller]
fn check(pod_spec: Value, patch: Value, expected: Value) {
    let pod = json!({"kind": "Pod", "spec": pod_spec});
    let patch = json!({"spec": patch});
    let patched = apply_strategic_merge(&pod, &patch, type_of(&pod)).unwrap();
    assert_eq!(patched["spec"], expected);
    let again = apply_strategic_merge(&patched, &patch, type_of(&pod)).unwrap();
    assert_eq!(again, patched, "patched twice");
}

#[track_caller]
fn check_refused(pod_spec: Value, patch: Value, words: &str) {
    let pod = json!({"kind": "Pod", "spec": pod_spec});
    let status = apply_strategic_merge(&pod, &json!({"spec": patch}), type_of(&pod)).unwrap_err();
    assert!(status.code == 400 && status.message.contains(words), "{status:?}");
}

/// A new item of the patch comes before what only the server has, as upstream; clients that care send an order.
#[test]
fn lists_of_objects_merge_by_their_key() {
    check(
        json!({"containers": [{"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}]}),
        json!({"containers": [{"name": "a", "image": "a:2", "env": [{"name": "Y", "value": "2"}]}]}),
        json!({"containers": [
            {"name": "a", "image": "a:2", "env": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}]},
            {"name": "b"},
        ]}),
    );
}

#[test]
fn lists_without_a_key_are_replaced() {
    check(
        json!({"tolerations": [{"key": "a"}], "containers": [{"name": "a", "args": ["1", "2"]}]}),
        json!({"tolerations": [{"key": "b"}], "containers": [{"name": "a", "args": ["3"]}]}),
        json!({"tolerations": [{"key": "b"}], "containers": [{"name": "a", "args": ["3"]}]}),
    );
}

#[test]
fn null_deletes_and_leaves_no_trace() {
    check(
        json!({"nodeName": "n", "nodeSelector": {"a": "b", "c": "d"}}),
        json!({"nodeName": null, "nodeSelector": {"a": null}, "affinity": {"nodeAffinity": null}}),
        json!({"nodeSelector": {"c": "d"}, "affinity": {}}),
    );
}

#[test]
fn patch_directives_on_lists_and_maps() {
    let spec = || json!({"containers": [{"name": "a"}, {"name": "b"}], "nodeSelector": {"a": "b"}});
    check(
        spec(),
        json!({"containers": [{"name": "a", "$patch": "delete"}], "nodeSelector": {"$patch": "replace", "x": "y"}}),
        json!({"containers": [{"name": "b"}], "nodeSelector": {"x": "y"}}),
    );
    check(
        spec(),
        json!({"containers": [{"$patch": "replace"}, {"name": "c"}], "nodeSelector": {"$patch": "delete"}}),
        json!({"containers": [{"name": "c"}], "nodeSelector": {}}),
    );
    check(
        spec(),
        json!({"containers": [{"name": "a", "image": "i", "$patch": "merge"}]}),
        json!({"containers": [{"name": "a", "image": "i"}, {"name": "b"}], "nodeSelector": {"a": "b"}}),
    );
    check_refused(spec(), json!({"nodeSelector": {"$patch": "burn"}}), "unknown patch type found: burn");
    check_refused(spec(), json!({"containers": [{"image": "i"}]}), "does not contain declared merge key: name");
}

#[test]
fn element_order_is_that_of_the_directive() {
    check(
        json!({"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}),
        json!({"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}], "containers": [{"name": "c", "image": "i"}]}),
        json!({"containers": [{"name": "b"}, {"name": "c", "image": "i"}, {"name": "a"}]}),
    );
    check(
        json!({"containers": [{"name": "a"}, {"name": "b"}]}),
        json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "new"}, {"name": "a"}],
               "containers": [{"name": "new"}]}),
        json!({"containers": [{"name": "b"}, {"name": "new"}, {"name": "a"}]}),
    );
    check_refused(
        json!({"containers": [{"name": "a"}]}),
        json!({"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "z"}]}),
        "doesn't match $setElementOrder/containers",
    );
}

#[test]
fn retain_keys_clears_the_others() {
    check(
        json!({"volumes": [{"name": "v", "emptyDir": {}}]}),
        json!({"volumes": [{"name": "v", "configMap": {"name": "c"}, "$retainKeys": ["name", "configMap"]}]}),
        json!({"volumes": [{"name": "v", "configMap": {"name": "c"}}]}),
    );
    check_refused(
        json!({"volumes": [{"name": "v"}]}),
        json!({"volumes": [{"name": "v", "emptyDir": {}, "$retainKeys": ["name"]}]}),
        "retainKeys",
    );
}

#[test]
fn primitive_lists_unite_and_can_lose_items() {
    let object = json!({"kind": "ConfigMap", "metadata": {"finalizers": ["a", "b"]}});
    let patch = json!({"metadata": {"finalizers": ["b", "c"], "$deleteFromPrimitiveList/finalizers": ["a"]}});
    let patched = apply_strategic_merge(&object, &patch, type_of(&object)).unwrap();
    assert_eq!(patched["metadata"]["finalizers"], json!(["b", "c"]));
}

/// As `kubectl set image`, `rollout restart`, `cordon` and `taint` send them.
#[test]
fn patches_of_clients() {
    let live = deployment(json!([{"name": "web", "image": "web:1", "resources": {}}]));
    let set_image = json!({"spec": {"template": {"spec": {
        "$setElementOrder/containers": [{"name": "web"}], "containers": [{"image": "web:2", "name": "web"}]}}}});
    let patched = apply_strategic_merge(&live, &set_image, type_of(&live)).unwrap();
    assert_eq!(containers(&patched), &json!([{"name": "web", "image": "web:2", "resources": {}}]));
    let restart =
        json!({"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "t"}}}}});
    let patched = apply_strategic_merge(&live, &restart, type_of(&live)).unwrap();
    assert_eq!(patched["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"], "t");
}
