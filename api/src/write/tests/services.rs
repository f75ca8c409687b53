use super::*;
use crate::{Op, Precondition, Transaction};

fn service(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec})
}

/// A snapshot in which the Service was committed, and the Service in it.
fn committed(value: Value) -> (Snapshot, std::sync::Arc<Object>) {
    let snapshot = cluster([]);
    let prepared = created_in(&snapshot, value).unwrap();
    let kind = kind_of(&prepared.value);
    let key = prepared.key(kind);
    let ops = prepared.into_ops(kind, Precondition::Absent);
    let (snapshot, _) = snapshot.apply(&Transaction { ops }).unwrap();
    let object = snapshot.get(&key).unwrap().clone();
    (snapshot, object)
}

fn keys(keys: &[Key]) -> Vec<String> {
    keys.iter().map(Key::to_string).collect()
}

#[test]
fn a_service_gets_defaults_an_address_and_ports() {
    let prepared = created(service(
        json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}, {"name": "b", "port": 81}]}),
    ));
    check_refused(
        prepared,
        expect![[r#"
        422 Invalid
        spec.ports[0].name: Required value
    "#]],
    );
    let (_, object) = committed(service(json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]})));
    let mut spec = object.value()["spec"].clone();
    let ip = spec["clusterIP"].as_str().unwrap().to_owned();
    assert!(ip.starts_with("10.43."), "{ip}");
    assert_eq!(spec["clusterIPs"], json!([ip]));
    spec["clusterIP"].take();
    spec["clusterIPs"].take();
    check_value(
        &spec,
        expect![[r#"
        {
          "clusterIP": null,
          "clusterIPs": null,
          "externalTrafficPolicy": "Cluster",
          "internalTrafficPolicy": "Cluster",
          "ipFamilies": [
            "IPv4"
          ],
          "ipFamilyPolicy": "SingleStack",
          "ports": [
            {
              "nodePort": 30080,
              "port": 80,
              "protocol": "TCP",
              "targetPort": 80
            }
          ],
          "sessionAffinity": "None",
          "type": "NodePort"
        }
    "#]],
    );
}

#[test]
fn what_a_service_has_is_its_own() {
    let (snapshot, first) = committed(service(json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]})));
    let ip = first.value()["spec"]["clusterIP"].clone();
    let second = |spec: Value| {
        let mut value = service(spec);
        value["metadata"]["name"] = json!("t");
        created_in(&snapshot, value)
    };
    check_refused(
        second(json!({"type": "NodePort", "ports": [{"port": 1, "nodePort": 30080}]})),
        expect![[r#"
        422 Invalid
        spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated
    "#]],
    );
    check_refused(
        second(json!({"type": "NodePort", "ports": [{"port": 1, "nodePort": 80}]})),
        expect![[r#"
        422 Invalid
        spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767
    "#]],
    );
    check_refused(
        second(json!({"clusterIP": "10.44.0.1", "ports": [{"port": 1}]})),
        expect![[r#"
        422 Invalid
        spec.clusterIPs: Invalid value: ["10.44.0.1"]: failed to allocate IP 10.44.0.1: the provided IP (10.44.0.1) is not in the valid range. The range of valid IPs is 10.43.0.0/16
    "#]],
    );
    let taken = second(json!({"clusterIP": ip, "ports": [{"port": 1}]})).unwrap_err();
    assert!(taken.message.ends_with("provided IP is already allocated"), "{taken}");
    let other = second(json!({"type": "LoadBalancer", "ports": [{"port": 1}]})).unwrap();
    assert_ne!(other.value["spec"]["clusterIP"], ip);
    assert_eq!(other.reservation.taken.len(), 2);
}

#[test]
fn two_writers_never_get_the_same_port() {
    let snapshot = cluster([]);
    let ops = |name: &str| {
        let mut value = service(json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}));
        value["metadata"]["name"] = json!(name);
        let prepared = created_in(&snapshot, value).unwrap();
        prepared.into_ops(kind::by_gvk("", "v1", "Service").unwrap(), Precondition::Absent)
    };
    let (after, _) = snapshot.apply(&Transaction { ops: ops("a") }).unwrap();
    assert!(after.apply(&Transaction { ops: ops("b") }).is_err());
}

#[test]
fn a_service_keeps_what_it_was_given() {
    let (snapshot, object) = committed(service(json!({"type": "NodePort", "ports": [{"port": 80}]})));
    let kind = kind_of(object.value());
    let write = |value: Value| with(&snapshot, |context| update(kind, &object, value, Part::Main, context));
    let same = write(service(json!({"type": "NodePort", "ports": [{"port": 80}]}))).unwrap();
    assert_eq!(same.effect, Effect::Unchanged, "{:#}", same.value);
    let more =
        write(service(json!({"type": "NodePort", "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]})))
            .unwrap();
    assert_eq!(more.value["spec"]["ports"][0]["nodePort"], object.value()["spec"]["ports"][0]["nodePort"]);
    assert_eq!((more.reservation.taken.len(), more.reservation.released.len()), (1, 0));
    let closed = write(service(json!({"type": "ClusterIP", "ports": [{"port": 80}]}))).unwrap();
    assert!(closed.value["spec"]["ports"][0].get("nodePort").is_none());
    assert_eq!(keys(&closed.reservation.released).len(), 1);
    let gone = write(service(json!({"type": "ExternalName", "externalName": "example.com"}))).unwrap();
    assert_eq!((gone.value["spec"].get("clusterIP"), gone.reservation.released.len()), (None, 2));
}

#[test]
fn a_deleted_service_gives_everything_back() {
    let (snapshot, object) =
        committed(service(json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]})));
    let kind = kind_of(object.value());
    let prepared = with(&snapshot, |context| delete(kind, &object, &DeleteOptions::default(), context)).unwrap();
    assert_eq!(prepared.effect, Effect::Remove);
    let ops = prepared.into_ops(kind, Precondition::Revision(object.revision()));
    let (after, _) = snapshot.apply(&Transaction { ops }).unwrap();
    assert_eq!(after.len(), cluster([]).len());
}

#[test]
fn a_headless_service_reserves_nothing() {
    let prepared = created(service(json!({"clusterIP": "None", "selector": {"a": "b"}}))).unwrap();
    assert_eq!(prepared.value["spec"]["clusterIPs"], json!(["None"]));
    let ops = prepared.into_ops(kind::by_gvk("", "v1", "Service").unwrap(), Precondition::Absent);
    assert!(matches!(ops[..], [Op::Put { .. }]));
}

#[test]
fn a_bad_service_is_told_every_fault() {
    let ports =
        json!([{"port": 0, "targetPort": "-"}, {"name": "A", "port": 1, "nodePort": 30001}, {"name": "A", "port": 1}]);
    check_refused(
        created(service(json!({"ports": ports, "sessionAffinity": "x"}))),
        expect![[r#"
        422 Invalid
        spec.ports[0].name: Required value
        spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive
        spec.ports[0].targetPort: Invalid value: "-": must contain at least one letter (a-z)
        spec.ports[0].targetPort: Invalid value: "-": must not begin or end with a hyphen
        spec.ports[1].name: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
        spec.ports[1].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'
        spec.ports[2].name: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
        spec.ports[2].name: Duplicate value: "A"
        spec.ports[2]: Duplicate value: {"port":1,"protocol":"TCP"}
        spec.sessionAffinity: Unsupported value: "x": supported values: "ClientIP", "None"
    "#]],
    );
    check_refused(
        created(service(json!({"type": "ExternalName"}))),
        expect![[r#"
        422 Invalid
        spec.externalName: Required value
    "#]],
    );
    check_refused(
        created(service(json!({"ports": [{"port": 53, "protocol": "UDP"}]}))),
        expect![[r#"
        422 Invalid
        spec.ports[0].protocol: not supported by wasmk: wasmk carries TCP and HTTP only
    "#]],
    );
}
