use super::*;
use crate::patch::same_but_for_times;

#[test]
fn applied_fields_are_owned_as_recorded() {
    let created = apply(None, &config_map(json!({"a": "1"})), "m1").unwrap();
    let expected = json!([{"manager": "m1", "operation": "Apply", "apiVersion": "v1", "time": "2023-11-14T22:13:20Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:a": {}}}}]);
    assert_eq!(created["metadata"]["managedFields"], expected);
    assert_eq!(created["data"], json!({"a": "1"}));
}

#[test]
fn another_value_of_an_owned_field_is_a_conflict_unless_forced() {
    let live = apply(None, &config_map(json!({"a": "1"})), "m1").unwrap();
    let other = config_map(json!({"a": "2"}));
    let refused = apply(Some(&live), &other, "m2").unwrap_err();
    assert_eq!(refused.message, "Apply failed with 1 conflict: conflict with \"m1\": .data.a");
    let cause = &refused.to_json()["details"]["causes"][0];
    assert_eq!(
        *cause,
        json!({"reason": "FieldManagerConflict", "message": "conflict with \"m1\"", "field": ".data.a"})
    );
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    let forced = ssa(Some(&live), &other, "m2", true, 1).unwrap();
    assert_eq!((&forced["data"], owners(&forced)), (&json!({"a": "2"}), vec!["m2 Apply: .data.a".to_owned()]));
}

#[test]
fn several_conflicts_are_listed_by_manager() {
    let live = write(None, config_map(json!({"a": "1", "b": "1"})), "ed");
    let refused = apply(Some(&live), &config_map(json!({"a": "2", "b": "2"})), "m").unwrap_err();
    assert_eq!(refused.message, "Apply failed with 2 conflicts: conflicts with \"ed\" using v1:\n- .data.a\n- .data.b");
}

#[test]
fn the_same_value_is_shared() {
    let live = apply(None, &config_map(json!({"a": "1"})), "m1").unwrap();
    let shared = apply(Some(&live), &config_map(json!({"a": "1"})), "m2").unwrap();
    assert_eq!(owners(&shared), ["m1 Apply: .data.a", "m2 Apply: .data.a"]);
    let left = apply(Some(&shared), &config_map(json!({})), "m1").unwrap();
    assert_eq!(
        (&left["data"], owners(&left)),
        (&json!({"a": "1"}), vec!["m1 Apply: .data".to_owned(), "m2 Apply: .data.a".to_owned()])
    );
}

#[test]
fn what_is_no_longer_applied_goes_when_nobody_else_owns_it() {
    let live = apply(None, &config_map(json!({"a": "1", "b": "1"})), "m").unwrap();
    let edited = write(Some(&live), with(&live, "/data/c", json!("3")), "ed");
    let applied = apply(Some(&edited), &config_map(json!({"b": "1"})), "m").unwrap();
    assert_eq!(applied["data"], json!({"b": "1", "c": "3"}));
    assert_eq!(owners(&applied), ["m Apply: .data.b", "ed Update: .data.c"]);
}

#[test]
fn a_map_that_only_the_applier_filled_goes_whole() {
    let labelled = |labels: Value| {
        let mut config = config_map(json!({"a": "1"}));
        config["metadata"]["labels"] = labels;
        config
    };
    let live = apply(None, &labelled(json!({"x": "y"})), "m").unwrap();
    let applied = apply(Some(&live), &config_map(json!({"a": "1"})), "m").unwrap();
    assert_eq!(applied["metadata"].get("labels"), None);
}

#[test]
fn keyed_list_items_are_merged_removed_and_kept_in_order() {
    let live =
        apply(None, &deployment(json!([{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}])), "m").unwrap();
    let sidecar = deployment(json!([{"name": "side", "image": "s"}]));
    let both = apply(Some(&live), &sidecar, "injector").unwrap();
    assert_eq!(containers(&both).as_array().unwrap().len(), 3);
    let fewer = apply(Some(&both), &deployment(json!([{"name": "b", "image": "b:2"}])), "m").unwrap();
    assert_eq!(containers(&fewer), &json!([{"name": "b", "image": "b:2"}, {"name": "side", "image": "s"}]));
    let mine = r#".spec.template.spec.containers[name="b"]"#;
    assert_eq!(owners(&fewer)[1], format!("m Apply: {mine} {mine}.image {mine}.name"));
}

#[test]
fn ports_are_told_apart_with_the_default_protocol() {
    let service = |ports: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": ports}});
    let live =
        apply(None, &service(json!([{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}])), "m").unwrap();
    let applied = apply(Some(&live), &service(json!([{"port": 53, "name": "dns"}])), "n").unwrap();
    assert_eq!(applied["spec"]["ports"][0], json!({"port": 53, "protocol": "TCP", "name": "dns"}));
    let refused = apply(None, &service(json!([{"port": 1}, {"port": 1, "protocol": "TCP"}])), "m").unwrap_err();
    assert!(refused.message.contains(".spec.ports: duplicate entries for key [port=1,protocol=\"TCP\"]"), "{refused}");
    let refused = apply(None, &service(json!([{"name": "x"}])), "m").unwrap_err();
    assert!(refused.message.contains("omits key field \"port\""), "{refused}");
}

#[test]
fn atomic_values_are_owned_as_a_whole() {
    let service = |selector: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"selector": selector}});
    let live = apply(None, &service(json!({"a": "1"})), "m").unwrap();
    assert_eq!(owners(&live), ["m Apply: .spec.selector"]);
    let refused = apply(Some(&live), &service(json!({"b": "2"})), "n").unwrap_err();
    assert_eq!(refused.causes[0].field, ".spec.selector");
    let forced = ssa(Some(&live), &service(json!({"b": "2"})), "n", true, 0).unwrap();
    assert_eq!(forced["spec"]["selector"], json!({"b": "2"}));
}

#[test]
fn applying_again_changes_nothing_not_even_times() {
    let config = deployment(json!([{"name": "a", "image": "a:1", "args": ["x"], "resources": {}}]));
    let live = ssa(None, &config, "m", false, 0).unwrap();
    assert_eq!(ssa(Some(&live), &config, "m", false, 60).unwrap(), live);
}

#[test]
fn an_ordinary_write_takes_what_it_changes() {
    let live = apply(None, &config_map(json!({"a": "1", "b": "1"})), "m").unwrap();
    let edited = write(Some(&live), with(&live, "/data/a", json!("2")), "ed");
    assert_eq!(owners(&edited), ["m Apply: .data.b", "ed Update: .data.a"]);
    let refused = apply(Some(&edited), &config_map(json!({"a": "1", "b": "1"})), "m").unwrap_err();
    assert_eq!(refused.message, "Apply failed with 1 conflict: conflict with \"ed\" using v1: .data.a");
}

#[test]
fn a_created_object_is_its_creators() {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"a": "b"}, "uid": "u"},
        "spec": {"containers": [{"name": "c", "image": "i"}], "nodeSelector": {"n": "x"}}, "status": {"phase": "Pending"}});
    let created = write(None, pod, "curl");
    let fields = &created["metadata"]["managedFields"][0]["fieldsV1"];
    assert_eq!(fields["f:metadata"], json!({"f:labels": {".": {}, "f:a": {}}}));
    assert_eq!(fields["f:spec"]["f:nodeSelector"], json!({}));
    assert_eq!(fields["f:spec"]["f:containers"]["k:{\"name\":\"c\"}"], json!({".": {}, "f:image": {}, "f:name": {}}));
    assert_eq!(fields.get("f:status"), None);
}

#[test]
fn a_status_write_owns_status_only() {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"nodeName": "n"}});
    let live = write(None, pod, "curl");
    let new = with(&live, "/status", json!({"conditions": [{"type": "Ready", "status": "True"}]}));
    let status = FieldWrite { manager: "agent", subresource: "status", object_type: type_of(&live), now: at(1) };
    let written = status.record(Some(&live), new);
    let entry = &written["metadata"]["managedFields"][1];
    assert_eq!((&entry["manager"], &entry["subresource"]), (&json!("agent"), &json!("status")));
    assert_eq!(
        entry["fieldsV1"]["f:status"]["f:conditions"]["k:{\"type\":\"Ready\"}"],
        json!({".": {}, "f:status": {}, "f:type": {}})
    );
}

#[test]
fn tracking_can_be_ended_and_begins_with_the_first_apply() {
    let live = write(None, config_map(json!({"a": "1"})), "ed");
    let untracked = write(Some(&live), with(&live, "/metadata/managedFields", json!([{}])), "ed");
    assert_eq!(untracked["metadata"].get("managedFields"), None);
    let still = write(Some(&untracked), with(&untracked, "/data/a", json!("2")), "ed");
    assert_eq!(owners(&still), Vec::<String>::new());
    let refused = apply(Some(&still), &config_map(json!({"a": "3"})), "m").unwrap_err();
    assert_eq!(refused.message, "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .data.a");
}

#[test]
fn the_oldest_of_many_updaters_become_one() {
    let mut live = write(None, config_map(json!({})), "creator");
    for n in 0..15 {
        let new = with(&live, &format!("/data/k{n}"), json!("v"));
        let object_type = type_of(&live);
        let step = FieldWrite { manager: &format!("w{n}"), subresource: "", object_type, now: at(n) };
        live = step.record(Some(&live), new);
    }
    let owners = owners(&live);
    assert_eq!(owners.len(), 10, "{owners:#?}");
    assert!(owners.iter().any(|owner| owner.starts_with("ancient-changes Update: .data .data.k0")), "{owners:#?}");
}

#[test]
fn kubectl_takes_over_from_its_client_side_apply() {
    let annotated = |data: Value| {
        let mut object = config_map(data);
        let last = object.to_string();
        object["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": last});
        object
    };
    let live = write(None, annotated(json!({"a": "1"})), "kubectl-client-side-apply");
    let config = config_map(json!({"a": "2"}));
    assert!(apply(Some(&live), &config, "other").is_err());
    let taken = apply(Some(&live), &config, "kubectl").unwrap();
    assert_eq!(taken["data"], json!({"a": "2"}));
    let last = taken["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(last).unwrap(), config);
    let edited = write(Some(&live), with(&live, "/data/a", json!("9")), "ed");
    assert!(apply(Some(&edited), &config, "kubectl").is_err(), "an edit by another is still a conflict");
}

#[test]
fn kubectl_hears_only_of_conflicts_that_its_client_side_apply_did_not_make() {
    let mut live = config_map(json!({"a": "1", "b": "1"}));
    live["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": config_map(json!({"a": "1"})).to_string()});
    let live = write(None, live, "kubectl-client-side-apply");
    let refused = apply(Some(&live), &config_map(json!({"a": "2", "b": "2"})), "kubectl").unwrap_err();
    let words = "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using v1: .data.b";
    assert_eq!(refused.message, words);
    let mut other = live.clone();
    other["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] =
        json!(r#"{"apiVersion":"v2","data":{"a":"1"}}"#);
    let refused = apply(Some(&other), &config_map(json!({"a": "2"})), "kubectl").unwrap_err();
    assert_eq!(refused.causes.len(), 1, "what was applied in another version is not compared");
}

#[test]
fn the_last_applied_annotation_is_left_out_when_it_is_too_long() {
    let mut live = config_map(json!({"a": "1"}));
    live["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": live.to_string(), "x": "y"});
    let live = write(None, live, "kubectl-client-side-apply");
    let long = config_map(json!({"a": "x".repeat(300_000)}));
    assert_eq!(apply(Some(&live), &long, "kubectl").unwrap()["metadata"]["annotations"], json!({"x": "y"}));
}

#[test]
fn fields_that_the_type_does_not_have_cannot_be_applied() {
    let mut config = deployment(json!([{"name": "a", "foo": 1}]));
    config["metadata"]["namespace"] = json!("n");
    let refused = apply(None, &config, "m").unwrap_err();
    assert_eq!(
        refused.message,
        "failed to create typed patch object (n/web; apps/v1, Kind=Deployment): .spec.template.spec.containers[name=\"a\"].foo: field not declared in schema"
    );
    config["spec"]["bar"] = json!(1);
    let refused = apply(None, &config, "m").unwrap_err();
    assert!(refused.message.contains("): errors:\n  .spec.bar: field not"), "{refused}");
}

#[test]
fn a_writer_may_say_who_owns_what_if_he_can_be_understood() {
    let live = write(None, config_map(json!({"a": "1"})), "ed");
    let mut entry = live["metadata"]["managedFields"][0].clone();
    entry["manager"] = json!("somebody");
    let said = write(Some(&live), with(&live, "/metadata/managedFields", json!([entry])), "ed");
    assert_eq!(owners(&said), ["somebody Update: .data .data.a"]);
    for (field, value) in [("operation", "Guess"), ("fieldsType", "FieldsV2"), ("apiVersion", "")] {
        let mut odd = entry.clone();
        odd[field] = json!(value);
        let kept = write(Some(&live), with(&live, "/metadata/managedFields", json!([entry, odd])), "ed");
        assert_eq!(owners(&kept), ["ed Update: .data .data.a"], "{field}");
    }
}

#[test]
fn an_empty_list_of_managed_fields_ends_the_tracking_and_does_not_begin_without() {
    let live = write(None, with(&config_map(json!({"a": "1"})), "/metadata/managedFields", json!([])), "ed");
    assert_eq!(owners(&live), ["ed Update: .data .data.a"]);
    let untracked = write(Some(&live), with(&live, "/metadata/managedFields", json!([])), "ed");
    assert_eq!(untracked["metadata"].get("managedFields"), None);
}

#[test]
fn finalizers_are_owned_one_by_one() {
    let finalized = |finalizers: Value| with(&config_map(json!({})), "/metadata/finalizers", finalizers);
    let live = apply(None, &finalized(json!(["a/b"])), "m").unwrap();
    let both = apply(Some(&live), &finalized(json!(["c/d"])), "n").unwrap();
    assert_eq!(both["metadata"]["finalizers"], json!(["a/b", "c/d"]));
    let left = apply(Some(&both), &config_map(json!({})), "m").unwrap();
    assert_eq!(left["metadata"]["finalizers"], json!(["c/d"]));
}

#[test]
fn lists_that_nobody_can_take_apart_are_replaced() {
    let live = apply(None, &deployment(json!([{"name": "a", "args": ["x", "y"]}])), "m").unwrap();
    let shorter = deployment(json!([{"name": "a", "args": ["x"]}]));
    let refused = apply(Some(&live), &shorter, "n").unwrap_err();
    assert_eq!(refused.causes[0].field, ".spec.template.spec.containers[name=\"a\"].args");
    assert_eq!(containers(&ssa(Some(&live), &shorter, "n", true, 0).unwrap())[0]["args"], json!(["x"]));
}

#[test]
fn quantities_are_compared_by_value() {
    let limits = |cpu: &str| deployment(json!([{"name": "a", "resources": {"limits": {"cpu": cpu}}}]));
    let live = apply(None, &limits("1"), "m").unwrap();
    assert!(apply(Some(&live), &limits("1000m"), "n").is_ok());
    assert!(apply(Some(&live), &limits("2"), "n").is_err());
}

#[test]
fn what_clients_send_back_is_not_applied() {
    let mut config = config_map(json!({"a": "1"}));
    config["metadata"]["creationTimestamp"] = Value::Null;
    config["status"] = json!({});
    let mut live = apply(None, &config, "m").unwrap();
    assert_eq!(live.get("status"), None);
    live["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    let again = apply(Some(&live), &config, "m").unwrap();
    assert_eq!(again, live);
    config["metadata"]["managedFields"] = live["metadata"]["managedFields"].clone();
    assert_eq!(apply(Some(&live), &config, "m").unwrap_err().message, "metadata.managedFields must be nil");
}

#[test]
fn times_and_versions_alone_are_no_difference() {
    let a = ssa(None, &config_map(json!({"a": "1"})), "m", false, 0).unwrap();
    let mut b = ssa(None, &config_map(json!({"a": "1"})), "m", false, 9).unwrap();
    b["metadata"]["resourceVersion"] = json!("7");
    assert!(a != b && same_but_for_times(&a, &b) && same_but_for_times(&b, &a));
    b["data"]["a"] = json!("2");
    assert!(!same_but_for_times(&a, &b));
}

fn with(object: &Value, pointer: &str, value: Value) -> Value {
    let mut object = object.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[key] = value;
    object
}
