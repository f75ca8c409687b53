use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::custom::laws;
use crate::write::{self, Context, Effect, FieldValidation, Part};
use crate::{Object, Snapshot, kind};

/// A CustomResourceDefinition, or the schema of one, in JSON: what is accepted is complete, so that updating it with
/// itself changes nothing; everything that its schemas say was read; its printer columns show any object.
pub fn definitions(bytes: &[u8]) {
    let Ok(read) = serde_json::from_slice::<Value>(bytes) else { return };
    let crd = if read["kind"] == "CustomResourceDefinition" { read } else { laws::definition_of(read) };
    let snapshot = Snapshot::from_objects(1, []);
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
    let kind = kind::by_gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition").expect("a kind of the registry");
    let Ok(created) = write::create(kind, "", crd, &context) else { return };
    let object = Object::new(created.key(kind), 1, created.value);
    let updated = write::update(kind, &object, object.value().clone(), Part::Main, &context);
    let updated = updated.unwrap_or_else(|refused| panic!("{refused}: {}", object.value()));
    assert_eq!(updated.effect, Effect::Unchanged, "{} became {}", object.value(), updated.value);
    laws::check_definition(object.value());
}

/// JSON text of a list: the schema of a custom kind, an object, and one that it replaces: see [`laws`].
pub fn custom_objects(bytes: &[u8]) {
    let Ok(Value::Array(list)) = serde_json::from_slice(bytes) else { return };
    let mut list = list.into_iter();
    let (Some(schema), Some(object)) = (list.next(), list.next()) else { return };
    laws::check_object(schema, object, list.next());
}

/// A rule in the first line, the value that it is about in JSON after it.
pub fn rules(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (rule, value) = text.split_once('\n').unwrap_or((text, "null"));
    let value: BTreeMap<String, Value> = serde_json::from_str(value).unwrap_or_default();
    laws::check_rule(rule, &json!(value));
}
