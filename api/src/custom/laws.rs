//! What must hold of definitions and of the objects of their kinds, whatever they are: checked by fuzz targets and their
//! seeds.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::definition::CustomKind;
use super::schema::Schema;
use super::{cel, columns, crd, default, node, object, prune};
use crate::field::{Faults, Field};
use crate::kind::Kind;
use crate::nesting::{NESTING_MAX, depth};
use crate::schema::Node;

/// The definition of a kind that is nothing but its schema.
pub(crate) fn definition_of(schema: Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.shop.example.com"},
        "spec": {
            "group": "shop.example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

/// Of one that was accepted: its schemas have no rule and no pattern that was passed over, and know what their defaults
/// are made of; its columns show any object, the definition itself among them.
pub(crate) fn check_definition(crd: &Value) {
    for version in crd["spec"]["versions"].as_array().into_iter().flatten() {
        let written = &version["schema"]["openAPIV3Schema"];
        let schema = Schema::parse(written);
        check_read(written, &schema);
        let _: Node = node::of_kind(&schema);
        let mut made = json!({"metadata": {}});
        if default::default(&schema, &mut made).is_ok() {
            check_made(&schema, &mut made);
        }
        for column in version["additionalPrinterColumns"].as_array().into_iter().flatten() {
            let path = columns::template(column).expect("the path was checked");
            columns::cell(column["type"].as_str().unwrap_or_default(), &path, crd, Timestamp::UNIX_EPOCH);
        }
    }
}

fn check_read(written: &Value, schema: &Schema) {
    let rules = written["x-kubernetes-validations"].as_array().map_or(0, Vec::len);
    assert_eq!(schema.rules.len(), rules, "every rule of {written} was read");
    assert_eq!(schema.checks.pattern.is_some(), written["pattern"].is_string(), "the pattern of {written} was read");
    crd::each_child(&Field::root(written), schema, &mut |written, schema| check_read(written.value, schema));
}

/// An object whose defaults are filled in stays as it is: nothing is unknown, nothing more is made.
fn check_made(schema: &Schema, made: &mut Value) {
    assert!(!default::would_default(schema, made) && !prune::would_prune(schema, made), "{made}");
    let before = made.clone();
    assert_eq!(prune::prune(schema, made, true), Vec::<String>::new(), "pruned twice: {before}");
    default::default(schema, made).expect("twice is no more than once");
    assert_eq!(*made, before, "pruned and filled in twice is once");
}

/// An object of the kind whose schema is accepted, in the course of a write that replaces `old`: what is decoded is what
/// readers are shown, decoded again it stays, and what was valid is valid when nothing changes.
pub(crate) fn check_object(schema: Value, object: Value, old: Option<Value>) {
    let definition = definition_of(schema);
    if depth(&definition).max(depth(&object)) > NESTING_MAX || !object.is_object() {
        return;
    }
    let mut faults = Faults::default();
    crd::validate(&Field::root(&definition), &mut faults);
    if !faults.causes.is_empty() {
        return;
    }
    let kind = Kind::plain("shop.example.com", "v1", "Widget", "WidgetList", "widgets", "widget");
    let custom = CustomKind::new(&kind, &definition["spec"]["versions"][0]);
    let Some(object) = decoded(&kind, &custom, object) else { return };
    let old = old.filter(|old| old.is_object() && depth(old) <= NESTING_MAX);
    let old = old.and_then(|old| decoded(&kind, &custom, old));
    validated(&custom, &object, old.as_ref());
    if validated(&custom, &object, None).is_empty() {
        let again = super::validate::validate(&custom.schema, &object, Some(&object));
        assert!(again.is_empty(), "{object} was valid and is not any more: {again:?}");
    }
}

fn decoded(kind: &Kind, custom: &CustomKind, mut object: Value) -> Option<Value> {
    object["apiVersion"] = json!(kind.api_version());
    object["kind"] = json!(kind.kind);
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    let findings = object::decode(custom, &mut object).ok()?;
    if !findings.wrong_types.is_empty() {
        return None;
    }
    check_made(&custom.schema, &mut object);
    let shown = object::shown(kind, custom, &object);
    assert!(matches!(shown, Cow::Borrowed(_)), "{object} is shown as {shown}");
    Some(object)
}

fn validated(custom: &CustomKind, object: &Value, old: Option<&Value>) -> Vec<crate::Cause> {
    let mut faults = Faults::default();
    object::validate(custom, &Field::root(object), old, &mut faults);
    faults.causes
}

/// One rule about a value that no schema says anything of: it is refused, or says something of the value, now and where
/// there is an old one. There is no more to hold, since the language goes through maps in any order; what it costs is
/// bounded.
pub(crate) fn check_rule(rule: &str, value: &Value) {
    let written = json!({
        "type": "object", "x-kubernetes-preserve-unknown-fields": true, "x-kubernetes-validations": [{"rule": rule}],
    });
    let schema = Schema::parse(&written);
    let compiled = cel::compile(rule);
    assert_eq!(schema.rules.len(), usize::from(compiled.is_ok()), "{rule}");
    if compiled.is_ok_and(|compiled| cel::check_names(&compiled, &schema).is_ok()) {
        let old = json!({});
        let found = [None, Some(&old)].map(|old| cel::validate(&schema, value, old));
        assert!(found.iter().all(|causes| causes.len() <= 1), "one rule has one fault: {found:?}");
    }
}
