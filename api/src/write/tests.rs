use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::*;
use crate::{Object, Snapshot, Status, kind};

mod admission;
mod definitions;
mod inert;
mod lifecycle;
mod robustness;
mod services;
mod stored;
mod workloads;

/// A snapshot at revision 7 with two namespaces, one of which is on its way out.
pub(super) fn cluster(more: impl IntoIterator<Item = (Key, Value)>) -> Snapshot {
    let namespaces = [
        (Key::new("namespaces", "", "default"), json!({"metadata": {"name": "default"}})),
        (
            Key::new("namespaces", "", "leaving"),
            json!({"metadata": {"name": "leaving", "deletionTimestamp": "2026-01-01T00:00:00Z"}}),
        ),
    ];
    let objects = namespaces.into_iter().chain(more).map(|(key, value)| Object::new(key, 7, value));
    Snapshot::from_objects(7, objects)
}

pub(super) fn with<T>(snapshot: &Snapshot, act: impl FnOnce(&Context) -> T) -> T {
    let (uid, suffix) = (|| "uid-1".to_owned(), || "abcde".to_owned());
    act(&Context {
        now: "2026-11-20T12:00:00.5Z".parse().unwrap(),
        uid: &uid,
        name_suffix: &suffix,
        field_manager: None,
        validation: FieldValidation::Warn,
        snapshot,
        settings: &Settings::default(),
    })
}

pub(super) fn kind_of(value: &Value) -> &'static Kind {
    kind::by_api_version(value["apiVersion"].as_str().unwrap(), value["kind"].as_str().unwrap()).unwrap()
}

pub(super) fn created(value: Value) -> Result<Prepared, Status> {
    created_in(&cluster([]), value)
}

pub(super) fn created_in(snapshot: &Snapshot, value: Value) -> Result<Prepared, Status> {
    let kind = kind_of(&value);
    let namespace = if kind.namespaced { value["metadata"]["namespace"].as_str().unwrap_or("default") } else { "" };
    with(snapshot, |context| create(kind, namespace, value.clone(), context))
}

/// What is stored after a create.
pub(super) fn stored(value: Value) -> std::sync::Arc<Object> {
    let prepared = created(value).unwrap();
    let kind = kind_of(&prepared.value);
    Object::new(prepared.key(kind), 8, prepared.value)
}

pub(super) fn updated(current: &Object, part: Part, change: impl FnOnce(&mut Value)) -> Result<Prepared, Status> {
    let mut value = current.value().clone();
    change(&mut value);
    with(&cluster([]), |context| update(kind_of(current.value()), current, value, part, context))
}

pub(super) fn deleted(current: &Object, options: DeleteOptions) -> Prepared {
    with(&cluster([]), |context| delete(kind_of(current.value()), current, &options, context)).unwrap()
}

#[track_caller]
pub(super) fn check_refused(result: Result<Prepared, Status>, expected: Expect) {
    let status = result.expect_err("refused");
    let mut text = format!("{} {:?}\n", status.code, status.reason);
    if status.causes.is_empty() {
        text.push_str(&format!("{}\n", status.message));
    }
    for cause in &status.causes {
        text.push_str(&format!("{}: {}\n", cause.field, cause.message));
    }
    expected.assert_eq(&text);
}

#[track_caller]
pub(super) fn check_value(value: &Value, expected: Expect) {
    expected.assert_eq(&(serde_json::to_string_pretty(value).unwrap() + "\n"));
}

pub(super) fn pod(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec})
}

#[test]
fn a_namespace_must_be_there_and_stay() {
    let config = |namespace: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": namespace}});
    check_refused(
        created(config("nowhere")),
        expect![[r#"
        404 NotFound
        namespaces "nowhere" not found
    "#]],
    );
    check_refused(
        created(config("leaving")),
        expect![[r#"
        403 Forbidden
        metadata.namespace: namespace leaving is being terminated
    "#]],
    );
}

#[test]
fn identity_and_fields_are_checked() {
    let kind = kind::by_gvk("", "v1", "ConfigMap").unwrap();
    let snapshot = cluster([]);
    let create = |value: Value, validation: FieldValidation| {
        with(&snapshot, |context| create(kind, "default", value, &Context { validation, ..*context }))
    };
    let unknown = json!({"metadata": {"name": "a"}, "foo": 1, "data": {"b": "c"}});
    let warned = create(unknown.clone(), FieldValidation::Warn).unwrap();
    assert_eq!(warned.warnings, ["unknown field \"foo\""]);
    assert!(warned.value.get("foo").is_none());
    check_refused(
        create(unknown, FieldValidation::Strict),
        expect![[r#"
        400 BadRequest
        ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "foo"
    "#]],
    );
    check_refused(
        create(json!({"kind": "Pod"}), FieldValidation::Warn),
        expect![[r#"
        400 BadRequest
        kind in the data (Pod) does not match the expected kind (ConfigMap)
    "#]],
    );
    check_refused(
        create(json!({"data": {"b": 1}}), FieldValidation::Warn),
        expect![[r#"
        400 BadRequest
        data.b: json: cannot unmarshal number into Go struct field ConfigMap.data.b of type string
    "#]],
    );
    let elsewhere = json!({"metadata": {"name": "a", "namespace": "b"}});
    check_refused(
        create(elsewhere, FieldValidation::Warn),
        expect![[r#"
        400 BadRequest
        the namespace of the provided object does not match the namespace sent on the request
    "#]],
    );
}

#[test]
fn metadata_is_checked() {
    let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": true});
    let metadata = json!({
        "name": "A_b", "labels": {"a b": "c", "d": "-"}, "annotations": {"/": ""}, "finalizers": ["mine"],
        "ownerReferences": [owner, owner, {"apiVersion": "v1", "kind": "Pod", "name": "", "uid": "v"}],
    });
    check_refused(
        created(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})),
        expect![[r#"
        422 Invalid
        metadata.name: Invalid value: "A_b": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
        metadata.labels: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
        metadata.labels: Invalid value: "-": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')
        metadata.annotations: Invalid value: "/": prefix part must be non-empty
        metadata.annotations: Invalid value: "/": name part must be non-empty
        metadata.annotations: Invalid value: "/": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
        metadata.finalizers[0]: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified
        metadata.ownerReferences: Invalid value: [{"apiVersion":"v1","controller":true,"kind":"Pod","name":"p","uid":"u"},{"apiVersion":"v1","controller":true,"kind":"Pod","name":"p","uid":"u"},{"apiVersion":"v1","kind":"Pod","name":"","uid":"v"}]: Only one reference can have Controller set to true. Found "true" in references for Pod and Pod
        metadata.ownerReferences[2].name: Invalid value: "": name must not be empty
    "#]],
    );
    check_refused(
        created(json!({"apiVersion": "v1", "kind": "ConfigMap"})),
        expect![[r#"
        422 Invalid
        metadata.name: Required value: name or generateName is required
    "#]],
    );
}

#[test]
fn config_is_checked() {
    let config = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"},
        "data": {"a/b": "", "c": "x"}, "binaryData": {"c": "eA=="},
    });
    check_refused(
        created(config),
        expect![[r#"
        422 Invalid
        data[a/b]: Invalid value: "a/b": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')
        data[c]: Invalid value: "c": duplicate of key present in binaryData
    "#]],
    );
    let large = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "x".repeat((1 << 20) + 1)}});
    check_refused(
        created(large),
        expect![[r#"
        422 Invalid
        : Too long: may not be more than 1048576 bytes
    "#]],
    );
    let fixed = stored(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "immutable": true, "data": {"a": "1"},
    }));
    check_refused(
        updated(&fixed, Part::Main, |value| value["data"]["a"] = json!("2")),
        expect![[r#"
        422 Invalid
        data: Forbidden: field is immutable when `immutable` is set
    "#]],
    );
}

#[test]
fn a_secrets_plain_text_becomes_data() {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"a": "eA=="}, "stringData": {"b": "hi"},
    });
    let secret = created(secret).unwrap().value;
    assert_eq!(secret["data"], json!({"a": "eA==", "b": "aGk="}));
    assert_eq!((secret["type"].as_str(), secret.get("stringData")), (Some("Opaque"), None));
    let tls = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "type": "kubernetes.io/tls"});
    check_refused(
        created(tls),
        expect![[r#"
        422 Invalid
        data[tls.crt]: Required value
        data[tls.key]: Required value
    "#]],
    );
}

#[test]
fn the_namespaces_that_the_cluster_lives_in_stay() {
    let namespace = |name: &str| {
        let value = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "uid": "u"}, "spec": {"finalizers": ["kubernetes"]}});
        let current = Object::new(Key::new("namespaces", "", name), 1, value);
        let options = DeleteOptions::default();
        with(&cluster([]), |context| delete(kind_of(current.value()), &current, &options, context)).map(drop)
    };
    for kept in ["default", "kube-system", "kube-public"] {
        assert!(namespace(kept).unwrap_err().message.contains("may not be deleted"));
    }
    assert!(namespace("mine").is_ok());
}
