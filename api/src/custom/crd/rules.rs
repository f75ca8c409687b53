//! The rules of a schema: they compile, and say what they must.

use super::structural::each_child;
use crate::Cause;
use crate::custom::cel::{self, EXPRESSION_LENGTH_MAX, REASONS};
use crate::custom::schema::Schema;
use crate::field::{Faults, Field};

/// Kubernetes' own bound on messages.
const MESSAGE_LENGTH_MAX: usize = 2048;

/// `schema` is sound in structure.
pub(super) fn validate(schema: &Field, parsed: &Schema, faults: &mut Faults) {
    visit(schema, parsed, true, faults);
}

/// `comparable`: what was there before can be told, so that rules may compare with it.
fn visit(schema: &Field, parsed: &Schema, comparable: bool, faults: &mut Faults) {
    let rules = schema.get("x-kubernetes-validations");
    rules.items().for_each(|rule| validate_rule(&rule, parsed, comparable, faults));
    let items_comparable = comparable && schema.value["x-kubernetes-list-type"] == "map";
    each_child(schema, parsed, &mut |child, parsed| {
        let is_items = child.path.ends_with(".items") && schema.value["type"] == "array";
        visit(child, parsed, if is_items { items_comparable } else { comparable }, faults);
    });
}

fn validate_rule(rule: &Field, schema: &Schema, comparable: bool, faults: &mut Faults) {
    let (text, message) = (rule.get("rule"), rule.get("message"));
    if text.text().trim().is_empty() {
        return faults.push(Cause::required(text.path, "rule is not specified"));
    }
    expression(&text, schema, comparable, faults);
    if rule.get("messageExpression").is_set() {
        expression(&rule.get("messageExpression"), schema, true, faults);
    }
    if message.is_set() {
        validate_message(&message, faults);
    } else if text.text().trim().contains('\n') {
        faults.push(Cause::required(message.path, "message must be specified if rule contains line breaks"));
    }
    faults.one_of(&rule.get("reason"), &REASONS);
    let path = rule.get("fieldPath");
    if path.is_set() && !path.text().starts_with(['.', '[']) {
        faults.invalid(&path, "fieldPath must be a valid path");
    }
    if rule.value["optionalOldSelf"] == true
        && !cel::compile(text.text()).is_ok_and(|compiled| cel::uses_old_self(&compiled))
    {
        faults.invalid(&rule.get("optionalOldSelf"), "may not be set if oldSelf is not used in rule");
    }
}

fn validate_message(message: &Field, faults: &mut Faults) {
    if message.text().trim().is_empty() {
        faults.invalid(message, "message must be non-empty if specified");
    } else if message.text().contains('\n') {
        faults.invalid(message, "message must not contain line breaks");
    } else if message.text().len() > MESSAGE_LENGTH_MAX {
        let fault = format!("Too long: may not be more than {MESSAGE_LENGTH_MAX} bytes");
        faults.push(Cause::new("FieldValueTooLong", &message.path, fault));
    }
}

fn expression(field: &Field, schema: &Schema, comparable: bool, faults: &mut Faults) {
    if field.text().len() > EXPRESSION_LENGTH_MAX {
        let message = format!("Too long: may not be more than {EXPRESSION_LENGTH_MAX} bytes");
        return faults.push(Cause::new("FieldValueTooLong", &field.path, message));
    }
    let compiled = cel::compile(field.text());
    let checked = compiled.as_ref().map_err(Clone::clone).and_then(|compiled| cel::check_names(compiled, schema));
    if let Err(fault) = checked {
        faults.invalid(field, &format!("compilation failed: {fault}"));
    } else if !comparable && compiled.is_ok_and(|compiled| cel::uses_old_self(&compiled)) {
        let detail = "oldSelf cannot be used on the uncorrelatable portion of the schema";
        faults.invalid(field, detail);
    }
}
