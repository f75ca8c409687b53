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
    check_refused(
        spec(),
        json!({"nodeSelector": {"$patch": "burn"}}),
        "unknown patch type: burn in map: map[$patch:burn]",
    );
    check_refused(
        spec(),
        json!({"containers": [{"image": "i"}]}),
        "map: map[image:i] does not contain declared merge key: name",
    );
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
        "The order in patch list:\n[map[name:z]]\n doesn't match $setElementOrder list:\n[map[name:a]]\n",
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
        "invalid patch format of retainKeys",
    );
}

#[test]
fn primitive_lists_unite_and_can_lose_items() {
    let object = json!({"kind": "ConfigMap", "metadata": {"finalizers": ["a", "b"]}});
    let patch = json!({"metadata": {"finalizers": ["b", "c"], "$deleteFromPrimitiveList/finalizers": ["a"]}});
    let patched = apply_strategic_merge(&object, &patch, type_of(&object)).unwrap();
    assert_eq!(patched["metadata"]["finalizers"], json!(["b", "c"]));
}

/// No list item has two of these keys; the first one found is the one that is patched.
#[test]
fn the_merge_key_is_one_even_where_apply_has_several() {
    check(
        json!({"containers": [{"name": "a", "ports": [
            {"containerPort": 53, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]}]}),
        json!({"containers": [{"name": "a", "ports": [{"containerPort": 53, "name": "dns"}]}]}),
        json!({"containers": [{"name": "a", "ports": [
            {"containerPort": 53, "protocol": "TCP", "name": "dns"}, {"containerPort": 53, "protocol": "UDP"}]}]}),
    );
}

#[test]
fn a_patch_may_change_types_as_far_as_the_field_does() {
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"strategy": {"rollingUpdate": {"maxSurge": 1}}}});
    let patch = json!({"spec": {"strategy": {"rollingUpdate": {"maxSurge": "25%"}}}});
    let patched = apply_strategic_merge(&object, &patch, type_of(&object)).unwrap();
    assert_eq!(patched["spec"]["strategy"]["rollingUpdate"]["maxSurge"], "25%");
    let patch = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    let patched = apply_strategic_merge(&object, &patch, type_of(&object)).unwrap();
    assert_eq!(patched["spec"]["strategy"], json!({"type": "Recreate"}));
}

#[test]
fn a_map_of_the_replace_strategy_is_replaced() {
    let object = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "spec": {"selector": {"matchLabels": {"a": "b"}}}});
    let patch = json!({"spec": {"selector": {"matchLabels": {"c": "d"}}}});
    let patched = apply_strategic_merge(&object, &patch, type_of(&object)).unwrap();
    assert_eq!(
        patched,
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "spec": {"selector": {"matchLabels": {"c": "d"}}}})
    );
}

#[test]
fn an_order_alone_moves_items_and_an_empty_one_asks_for_nothing() {
    let spec = || json!({"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}]});
    check(
        spec(),
        json!({"$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}]}),
        json!({"containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}]}),
    );
    check(
        spec(),
        json!({"$setElementOrder/containers": [], "containers": [{"name": "b", "image": "i"}]}),
        json!({"containers": [{"name": "a"}, {"name": "b", "image": "i"}, {"name": "c"}]}),
    );
    check_refused(
        spec(),
        json!({"$setElementOrder/containers": "a"}),
        "expected a []interface {}, but received a string",
    );
    check_refused(
        spec(),
        json!({"$setElementOrder/containers": [{"image": "x"}], "containers": [{"name": "b"}]}),
        "map: map[image:x] does not contain declared merge key: name",
    );
}

#[test]
fn items_of_primitive_lists_are_ordered_and_deleted() {
    let patched = |finalizers: Value, patch: Value| {
        let object = json!({"kind": "ConfigMap", "metadata": {"finalizers": finalizers}});
        let patched = apply_strategic_merge(&object, &json!({"metadata": patch}), type_of(&object)).unwrap();
        patched["metadata"]["finalizers"].clone()
    };
    let order = |finalizers: &[&str]| json!({"$setElementOrder/finalizers": finalizers});
    assert_eq!(patched(json!(["a", "x", "b"]), order(&["b", "a"])), json!(["x", "b", "a"]));
    assert_eq!(patched(json!(["a", "b"]), json!({"finalizers": ["b", "c"]})), json!(["a", "b", "c"]));
    let delete = json!({"$deleteFromPrimitiveList/finalizers": ["b"], "$setElementOrder/finalizers": ["c", "a"], "finalizers": ["c"]});
    assert_eq!(patched(json!(["a", "b"]), delete), json!(["c", "a"]));
    let object = json!({"kind": "ConfigMap", "metadata": {"finalizers": ["a"]}});
    let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": "a"}});
    let refused = apply_strategic_merge(&object, &patch, type_of(&object)).unwrap_err();
    assert_eq!(refused.message, "invalid patch format of primitive list");
}

#[test]
fn items_of_one_list_are_of_one_type() {
    let object = json!({"kind": "ConfigMap", "metadata": {"finalizers": ["a"]}});
    let patched = |finalizers: Value| {
        apply_strategic_merge(&object, &json!({"metadata": {"finalizers": finalizers}}), type_of(&object)).unwrap_err()
    };
    assert_eq!(patched(json!([1])).message, "list element types are not identical: [[a] [1]]");
    let object = json!({"kind": "ConfigMap", "metadata": {"finalizers": []}});
    let patch = json!({"metadata": {"finalizers": [["a"]]}});
    assert_eq!(apply_strategic_merge(&object, &patch, type_of(&object)).unwrap_err().code, 422);
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
