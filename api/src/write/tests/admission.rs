//! What a new pod takes from objects beside it.

use super::*;

const CLASSES: &str = "priorityclasses.scheduling.k8s.io";

fn one_container() -> Value {
    json!({"containers": [{"name": "c", "image": "x:1"}]})
}

fn with_field(field: &str, value: Value) -> Value {
    let mut spec = one_container();
    spec[field] = value;
    pod(spec)
}

fn account(value: Value) -> (Key, Value) {
    (Key::new("serviceaccounts", "default", "bot"), value)
}

#[test]
fn an_account_must_be_there_but_for_the_one_that_every_namespace_gets() {
    check_refused(
        created(with_field("serviceAccountName", json!("bot"))),
        expect![[r#"
            403 Forbidden
            pods "a" is forbidden: error looking up service account default/bot: serviceaccount "bot" not found
        "#]],
    );
    assert!(created(pod(one_container())).is_ok());
    let secrets = json!({"metadata": {"name": "bot"}, "imagePullSecrets": [{"name": "s"}]});
    let found = created_in(&cluster([account(secrets)]), with_field("serviceAccountName", json!("bot"))).unwrap();
    assert_eq!(found.value["spec"]["imagePullSecrets"], json!([{"name": "s"}]));
}

#[test]
fn a_token_is_mounted_when_pod_or_account_asks_for_it() {
    let volumes = |account_says: Value, pod_says: Value| {
        let account = account(json!({"metadata": {"name": "bot"}, "automountServiceAccountToken": account_says}));
        let mut pod = with_field("serviceAccountName", json!("bot"));
        pod["spec"]["automountServiceAccountToken"] = pod_says;
        created_in(&cluster([account]), pod).unwrap().value["spec"].clone()
    };
    assert!(volumes(json!(null), json!(null))["volumes"].is_null());
    assert!(volumes(json!(true), json!(false))["volumes"].is_null());
    assert!(volumes(json!(true), json!(null))["volumes"].is_array());
    let spec = volumes(json!(false), json!(true));
    check_value(
        &json!([spec["containers"][0]["volumeMounts"], spec["volumes"][0]["name"]]),
        expect![[r#"
            [
              [
                {
                  "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                  "name": "kube-api-access-abcde",
                  "readOnly": true
                }
              ],
              "kube-api-access-abcde"
            ]
        "#]],
    );
}

#[test]
fn a_priority_comes_from_its_class() {
    let class = |name: &str, value: i64, is_default: bool| {
        let value = json!({"metadata": {"name": name}, "value": value, "globalDefault": is_default, "preemptionPolicy": "Never"});
        (Key::new(CLASSES, "", name), value)
    };
    let priority = |classes: Vec<(Key, Value)>, spec: Value| {
        created_in(&cluster(classes), spec).map(|made| {
            let spec = &made.value["spec"];
            json!([spec["priorityClassName"], spec["priority"], spec["preemptionPolicy"]])
        })
    };
    let high = || vec![class("high", 1000, false)];
    let named = with_field("priorityClassName", json!("high"));
    assert_eq!(priority(high(), named.clone()).unwrap(), json!(["high", 1000, "Never"]));
    assert_eq!(priority(high(), pod(one_container())).unwrap(), json!([null, 0, "PreemptLowerPriority"]));
    let default = vec![class("usual", 5, true)];
    assert_eq!(priority(default, pod(one_container())).unwrap(), json!(["usual", 5, "Never"]));
    check_refused(
        created(named),
        expect![[r#"
            403 Forbidden
            pods "a" is forbidden: no PriorityClass with name high was found
        "#]],
    );
    check_refused(
        created(with_field("priority", json!(7))),
        expect![[r#"
            403 Forbidden
            pods "a" is forbidden: the integer value of priority (7) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name
        "#]],
    );
}
