use axum::body::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use wasmk_api::kind::{self, Kind};
use wasmk_api::write::{self, Context, Effect, FieldValidation, Part};
use wasmk_api::{Key, Object, Snapshot};

use crate::request::{Body, BodyType, Document};
use crate::respond::yaml;

/// A body in JSON or YAML: what is read can be written and read again, and what can be created is complete.
pub fn documents(bytes: &[u8]) {
    let read = |media_type| Body { media_type, bytes: Bytes::copy_from_slice(bytes) }.document("Object").ok();
    for Document { value, .. } in [read(BodyType::Json), read(BodyType::Yaml)].into_iter().flatten() {
        check_readable(&value);
        check_writes(value);
    }
}

/// A body in Kubernetes' protobuf.
pub fn protobuf(bytes: &[u8]) {
    if let Ok(value) = crate::protobuf::decode(bytes) {
        check_readable(&value);
        check_writes(value);
    }
}

/// Fractions are not compared: `serde_json` reads some of them one unit off, unless it is built to be slower.
fn check_readable(value: &Value) {
    if has_fractions(value) {
        return;
    }
    for (media_type, text) in [(BodyType::Json, value.to_string()), (BodyType::Yaml, yaml(value))] {
        let again = Body { media_type, bytes: Bytes::from(text.clone()) }.document("Object").map(|read| read.value);
        assert_eq!(again.as_ref(), Ok(value), "{text}");
    }
}

fn has_fractions(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_fractions),
        Value::Object(map) => map.values().any(has_fractions),
        _ => false,
    }
}

/// What a create makes of the object is refused or stays as it is: no default, no rule asks for more the second time.
fn check_writes(value: Value) {
    let word = |field: &str| value[field].as_str().unwrap_or_default();
    let Some(kind) = kind::by_api_version(word("apiVersion"), word("kind")) else { return };
    let snapshot = snapshot();
    let (uid, suffix) = (|| "uid".to_owned(), || "abcde".to_owned());
    let context = Context {
        now: Timestamp::UNIX_EPOCH,
        uid: &uid,
        name_suffix: &suffix,
        field_manager: Some("fuzz"),
        validation: FieldValidation::Warn,
        snapshot: &snapshot,
        settings: &Default::default(),
    };
    let namespace = if kind.namespaced { "default" } else { "" };
    let Ok(created) = write::create(kind, namespace, value, &context) else { return };
    let object = Object::new(created.key(kind), 1, created.value);
    check_update(kind, &object, &context);
}

fn check_update(kind: &'static Kind, object: &Object, context: &Context) {
    let updated = write::update(kind, object, object.value().clone(), Part::Main, context);
    let updated = updated.unwrap_or_else(|refused| panic!("{refused}: {}", object.value()));
    assert_eq!(updated.effect, Effect::Unchanged, "{} became {}", object.value(), updated.value);
}

fn snapshot() -> Snapshot {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}});
    Snapshot::from_objects(1, [Object::new(Key::new("namespaces", "", "default"), 1, namespace)])
}
