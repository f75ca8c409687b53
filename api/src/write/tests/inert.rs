//! Kinds that are stored for tools and nobody acts on yet: their defaults and what they refuse.

use super::*;

fn object(api_version: &str, kind: &str, body: Value) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}});
    for (field, value) in body.as_object().into_iter().flatten() {
        object[field] = value.clone();
    }
    object
}

#[test]
fn an_ingress_leads_somewhere() {
    let ingress = |spec: Value| created(object("networking.k8s.io/v1", "Ingress", json!({"spec": spec})));
    let path = |backend: Value| json!({"path": "/", "pathType": "Prefix", "backend": backend});
    let rules = |path: Value| json!({"rules": [{"host": "a.example", "http": {"paths": [path]}}]});
    let service = json!({"service": {"name": "web", "port": {"number": 80}}});
    let made = ingress(rules(path(service))).unwrap();
    assert_eq!(made.warnings, ["nothing acts on Ingresses: use a Service of type NodePort or LoadBalancer"]);
    check_refused(
        ingress(rules(json!({"path": "x", "pathType": "Exact", "backend": {"service": {"name": "web", "port": {}}}}))),
        expect![[r#"
            422 Invalid
            spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path
            spec.rules[0].http.paths[0].backend.service.port: Required value: port name or number is required
        "#]],
    );
    check_refused(
        ingress(json!({"rules": []})),
        expect![[r#"
            422 Invalid
            spec: Invalid value: {}: either `defaultBackend` or `rules` must be specified
        "#]],
    );
}

#[test]
fn a_network_policy_says_what_it_is_about() {
    let policy = |spec: Value| created(object("networking.k8s.io/v1", "NetworkPolicy", json!({"spec": spec})));
    let types = |spec: Value| policy(spec).unwrap().value["spec"]["policyTypes"].clone();
    assert_eq!(types(json!({"podSelector": {}})), json!(["Ingress"]));
    let block = |except: &str| json!({"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": [except]}}]});
    assert_eq!(types(json!({"podSelector": {}, "egress": [block("10.1.0.0/16")]})), json!(["Ingress", "Egress"]));
    check_refused(
        policy(json!({"podSelector": {}, "egress": [block("192.0.2.0/24")], "ingress": [{"from": [{}]}]})),
        expect![[r#"
            422 Invalid
            spec.ingress[0].from[0]: Required value: must specify a peer
            spec.egress[0].to[0].ipBlock.except[0]: Invalid value: "192.0.2.0/24": must be a strict subset of `cidr`: 10.0.0.0/8
        "#]],
    );
}

#[test]
fn claims_take_the_default_class_and_keep_their_spec() {
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    let claim = object("v1", "PersistentVolumeClaim", json!({"spec": spec}));
    let class =
        json!({"metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}});
    let classes = cluster([(Key::new("storageclasses.storage.k8s.io", "", "fast"), class)]);
    let made = created_in(&classes, claim.clone()).unwrap().value;
    assert_eq!((&made["spec"]["storageClassName"], &made["status"]["phase"]), (&json!("fast"), &json!("Pending")));
    check_refused(
        created(object("v1", "PersistentVolumeClaim", json!({"spec": {}}))),
        expect![[r#"
            422 Invalid
            spec.accessModes: Required value: at least 1 access mode is required
            spec.resources.requests[storage]: Required value
        "#]],
    );
    check_refused(
        updated(&stored(claim), Part::Main, |claim| claim["spec"]["accessModes"] = json!(["ReadOnlyMany"])),
        expect![[r#"
            422 Invalid
            spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims
        "#]],
    );
}

#[test]
fn a_volume_comes_from_one_place() {
    let volume = |spec: Value| created(object("v1", "PersistentVolume", json!({"spec": spec})));
    let spec = json!({"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/a"}});
    let made = volume(spec).unwrap().value;
    assert_eq!(made["spec"]["persistentVolumeReclaimPolicy"], "Retain");
    check_refused(
        volume(json!({"accessModes": ["Never"], "capacity": {"cpu": "1"}})),
        expect![[r#"
            422 Invalid
            spec.accessModes[0]: Unsupported value: "Never": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"
            spec.capacity: Unsupported value: "cpu": supported values: "storage"
            spec: Required value: must specify a volume type
        "#]],
    );
}

#[test]
fn the_systems_priorities_are_the_systems() {
    let class = |name: &str, value: i64| {
        let mut class = object("scheduling.k8s.io/v1", "PriorityClass", json!({"value": value}));
        class["metadata"]["name"] = json!(name);
        class
    };
    assert!(created(class("system-node-critical", 2_000_001_000)).is_ok());
    check_refused(
        created(class("system-mine", 1)),
        expect![[r#"
            422 Invalid
            metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only
        "#]],
    );
    check_refused(
        created(class("mine", 1_000_000_001)),
        expect![[r#"
            422 Invalid
            value: Forbidden: maximum allowed value of a user defined priority is 1000000000
        "#]],
    );
    check_refused(
        updated(&stored(class("mine", 1)), Part::Main, |class| class["value"] = json!(2)),
        expect![[r#"
            422 Invalid
            value: Forbidden: may not be changed in an update.
        "#]],
    );
}

#[test]
fn limits_and_quotas_are_in_order() {
    let limit = json!({"type": "Container", "max": {"cpu": "1"}, "min": {"memory": "1Mi"}});
    let made = created(object("v1", "LimitRange", json!({"spec": {"limits": [limit]}}))).unwrap().value;
    let limit = &made["spec"]["limits"][0];
    assert_eq!((&limit["default"]["cpu"], &limit["defaultRequest"]["memory"]), (&json!("1"), &json!("1Mi")));
    check_refused(
        created(object(
            "v1",
            "LimitRange",
            json!({"spec": {"limits": [{"type": "Pod", "min": {"cpu": "2"}, "max": {"cpu": "1"}}]}}),
        )),
        expect![[r#"
            422 Invalid
            spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1
        "#]],
    );
    check_refused(
        created(object("v1", "ResourceQuota", json!({"spec": {"hard": {"pods": "-1"}}}))),
        expect![[r#"
            422 Invalid
            spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0
        "#]],
    );
}

#[test]
fn endpoints_have_addresses_and_ports() {
    let subsets = |subsets: Value| created(object("v1", "Endpoints", json!({"subsets": subsets})));
    let made = subsets(json!([{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}])).unwrap();
    assert_eq!(made.value["subsets"][0]["ports"][0]["protocol"], "TCP");
    assert!(made.warnings.is_empty());
    check_refused(
        subsets(json!([{"ports": [{"port": 0}]}])),
        expect![[r#"
            422 Invalid
            subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`
            subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive
        "#]],
    );
}

#[test]
fn a_secret_for_a_token_names_its_account() {
    check_refused(
        created(object("v1", "Secret", json!({"type": "kubernetes.io/service-account-token"}))),
        expect![[r#"
            422 Invalid
            metadata.annotations[kubernetes.io/service-account.name]: Required value
        "#]],
    );
}
