//! Rules: `x-kubernetes-validations`, in the Common Expression Language. Source of the meaning:
//! `apiextensions-apiserver/pkg/apiserver/schema/cel`.
//!
//! Each rule is compiled once, with its definition. What one write may cost is bounded: see [`budget`].

mod budget;
mod fields;
mod functions;
mod paid;
mod search;
mod value;

use cel::common::ast::IdedExpr;
use cel::common::types::CelOptional;
use cel::{Context, Value as CelValue};
use serde_json::Value;

use super::schema::{Schema, text_bytes};
use super::validate::Correlated;
use crate::Cause;
use crate::field::join;
use budget::Budget;

/// Characters of one expression. The longest known rules are a tenth of it.
pub(super) const EXPRESSION_LENGTH_MAX: usize = 10_000;

/// Characters outside of words, which are what an expression nests by: a bound before anything walks it.
const OPERATORS_MAX: usize = 1000;

/// How deep an expression nests: everything that walks it, down to its evaluation, goes as deep on the stack.
const DEPTH_MAX: usize = 100;

/// One rule of a schema.
pub(crate) struct Rule {
    text: Box<str>,
    expression: IdedExpr,
    operations: u64,
    /// It compares with what was there before, and is checked only when something was, unless `optional_old_self`.
    is_transition: bool,
    optional_old_self: bool,
    message: Option<Box<str>>,
    message_expression: Option<IdedExpr>,
    reason: &'static str,
    /// Below the value that the rule is about, with its leading dot.
    field_path: Box<str>,
}

impl Rule {
    /// The rules of one schema. Those that do not compile, which the check of the definition refuses, are passed over.
    pub(super) fn parse_all(schema: &Value) -> Vec<Self> {
        let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
        rules.filter_map(Self::parse).collect()
    }

    fn parse(rule: &Value) -> Option<Self> {
        let text = rule["rule"].as_str()?;
        let expression = compile(text).ok()?;
        Some(Self {
            text: text.into(),
            is_transition: uses_old_self(&expression),
            operations: budget::operations(&expression),
            expression,
            optional_old_self: rule["optionalOldSelf"] == true,
            message: rule["message"].as_str().map(Box::from),
            message_expression: rule["messageExpression"].as_str().and_then(|text| compile(text).ok()),
            reason: rule["reason"].as_str().map_or("FieldValueInvalid", known_reason),
            field_path: rule["fieldPath"].as_str().unwrap_or_default().into(),
        })
    }
}

/// The reasons that a rule may give.
pub(super) const REASONS: [&str; 4] =
    ["FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate"];

fn known_reason(reason: &str) -> &'static str {
    REASONS.into_iter().find(|known| *known == reason).unwrap_or(REASONS[0])
}

/// Reads an expression, or says what is wrong with it.
pub(super) fn compile(text: &str) -> Result<IdedExpr, String> {
    if text.len() > EXPRESSION_LENGTH_MAX {
        return Err(format!("an expression may have at most {EXPRESSION_LENGTH_MAX} characters"));
    }
    let is_operator = |c: &u8| c.is_ascii_punctuation() && !b"_'\"".contains(c);
    if text.bytes().filter(|c| is_operator(c)).count() > OPERATORS_MAX {
        return Err(format!("an expression may have at most {OPERATORS_MAX} operators"));
    }
    let program = functions::ENV.compile(text).map_err(|errors| errors.to_string())?;
    if fields::depth(program.expression()) > DEPTH_MAX {
        return Err(format!("an expression may nest at most {DEPTH_MAX} deep"));
    }
    let references = program.references();
    if let Some(unknown) = references.functions().into_iter().find(|name| !functions::is_known(name)) {
        return Err(format!("undeclared reference to '{unknown}' (in container '')"));
    }
    let mut expression = program.expression().clone();
    budget::charge(&mut expression);
    Ok(expression)
}

pub(super) fn uses_old_self(expression: &IdedExpr) -> bool {
    expression.references().has_variable("oldSelf")
}

/// As in Kubernetes: an expression names only what there is, and selects only fields that the schema knows.
pub(super) fn check_names(expression: &IdedExpr, schema: &Schema) -> Result<(), String> {
    fields::check(expression, schema)
}

/// What the rules of a schema, and of all below, say of an object.
pub(super) fn validate(schema: &Schema, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut walk = Walk { budget: Budget::new(), faults: Vec::new() };
    walk.visit(schema, object, old, "", true);
    walk.faults
}

struct Walk {
    budget: Budget,
    faults: Vec<Cause>,
}

impl Walk {
    fn visit(&mut self, schema: &Schema, value: &Value, old: Option<&Value>, path: &str, is_resource: bool) {
        if value.is_null() || !schema.has_rules || self.budget.is_spent() {
            return;
        }
        if !schema.rules.is_empty() {
            let is_resource = is_resource || schema.embedded_resource;
            self.rules(schema, value, old, path, is_resource);
        }
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if let Some(child) = schema.child(name) {
                        let old = old.and_then(|old| old.get(name));
                        self.visit(child, value, old, &join(path, name), false);
                    }
                }
            }
            Value::Array(items) => {
                let Some(child) = schema.items.as_deref() else { return };
                let old = Correlated::new(&schema.list_type, old);
                for (index, item) in items.iter().enumerate() {
                    self.visit(child, item, old.get(item), &format!("{path}[{index}]"), false);
                }
            }
            _ => {}
        }
    }

    fn rules(&mut self, schema: &Schema, value: &Value, old: Option<&Value>, path: &str, is_resource: bool) {
        let size = text_bytes(value) + old.map_or(0, text_bytes);
        let new_self = value::to_cel(schema, value, is_resource);
        let old_self = old.map(|old| value::to_cel(schema, old, is_resource));
        for rule in &schema.rules {
            let applies = if rule.is_transition { old.is_some() || rule.optional_old_self } else { old != Some(value) };
            if !applies {
                continue;
            }
            let mut context = paid::context(&self.budget, size);
            context.add_variable_from_value("self", new_self.clone());
            add_old_self(&mut context, rule, old_self.clone());
            self.rule(rule, &context, schema, path, size);
            if self.budget.is_spent() {
                let detail =
                    "validation failed due to running out of cost budget, no further validation rules will be run";
                return self.faults.push(fault("FieldValueInvalid", path, schema, detail));
            }
        }
    }

    fn rule(&mut self, rule: &Rule, context: &Context, schema: &Schema, path: &str, size: u64) {
        let place = join_path(path, &rule.field_path);
        self.budget.spend_rule(size, rule.operations);
        match CelValue::resolve(&rule.expression, context) {
            Ok(CelValue::Bool(true)) => {}
            Ok(CelValue::Bool(false)) => {
                let detail = rule.explain(context);
                self.faults.push(fault(rule.reason, &place, schema, &detail));
            }
            Ok(_) => {
                let detail = format!("the rule does not evaluate to a bool: {}", rule.text);
                self.faults.push(fault("FieldValueInvalid", &place, schema, &detail));
            }
            // What the budget ended is told of once.
            Err(_) if self.budget.is_spent() => {}
            Err(error) => {
                let detail = format!("{error} evaluating rule: {}", rule.text);
                self.faults.push(fault("FieldValueInvalid", &place, schema, &detail));
            }
        }
    }
}

impl Rule {
    /// The message that the rule computes, else the one that it has, else the rule itself.
    fn explain(&self, context: &Context) -> String {
        let computed = self.message_expression.as_ref().map(|expression| CelValue::resolve(expression, context));
        if let Some(Ok(CelValue::String(text))) = computed
            && !text.trim().is_empty()
            && !text.contains('\n')
        {
            return text.trim().to_owned();
        }
        match &self.message {
            Some(message) => message.trim().to_owned(),
            None => format!("failed rule: {}", self.text.trim()),
        }
    }
}

fn add_old_self(context: &mut Context, rule: &Rule, old: Option<CelValue>) {
    if !rule.optional_old_self {
        if let Some(old) = old {
            context.add_variable_from_value("oldSelf", old);
        }
        return;
    }
    let old = old.and_then(|old| old.try_into().ok());
    context.add_variable_as_val("oldSelf", Box::new(old.map_or_else(CelOptional::none, CelOptional::of)));
}

/// Kubernetes shows the type of the value, not the value.
fn fault(reason: &str, path: &str, schema: &Schema, detail: &str) -> Cause {
    let shown = Value::from(&*schema.json_type);
    match reason {
        "FieldValueForbidden" => Cause::forbidden(path, detail),
        "FieldValueRequired" => Cause::required(path, detail),
        "FieldValueDuplicate" => Cause::duplicate(path, &shown),
        _ => Cause::invalid(path, &shown, detail),
    }
}

fn join_path(path: &str, below: &str) -> String {
    match below.strip_prefix('.') {
        Some(below) => join(path, below),
        None => format!("{path}{below}"),
    }
}
