//! Functions that pay for what they do. See [`super::budget`].

use std::sync::Arc;

use cel::common::value::Val;
use cel::extractors::This;
use cel::{Context, ExecutionError, Value};
use regex::Regex;

use super::budget::{ADD, Budget, MADE, MADE_BYTES_MAX, SPEND, SPEND_COPYING, size};
use super::functions::{ENV, guarded};

/// With the functions that pay, and so need to know what the rule is about: `about` is the size of its values.
pub(super) fn context(budget: &Budget, about: u64) -> Context<'static, 'static> {
    let mut context = Context::with_env(ENV.clone());
    for (name, copying) in [(SPEND, false), (SPEND_COPYING, true)] {
        let budget = budget.clone();
        let spend = move |range: Value, operations: i64| {
            let rounds = match &range {
                Value::List(items) => items.len(),
                Value::Map(map) => map.map.len(),
                _ => 0,
            };
            let operations = u64::try_from(operations).unwrap_or(u64::MAX);
            if budget.spend_rounds(rounds, operations, about, copying) { Ok(range) } else { Err(too_much()) }
        };
        // None of these can fail: the environment declares no such name.
        let _ = context.add_function(name, spend);
    }
    let own = budget.clone();
    let _ = context.add_function(MADE, move |value: Value| spend_made(&own, "rule", size(&value)).map(|()| value));
    let own = budget.clone();
    let add = move |one: Value, other: Value| {
        spend_made(&own, "add", size(&one).saturating_add(size(&other)))?;
        sum_of(one, other)
    };
    let _ = context.add_function(ADD, add);
    add_regex(&mut context, budget, "matches", |regex, text| Value::Bool(regex.is_match(text)));
    add_regex(&mut context, budget, "find", |regex, text| {
        Value::from(regex.find(text).map_or("", |found| found.as_str()).to_owned())
    });
    add_regex(&mut context, budget, "findAll", |regex, text| {
        Value::List(Arc::new(regex.find_iter(text).map(|found| Value::from(found.as_str().to_owned())).collect()))
    });
    context
}

fn add_regex(context: &mut Context, budget: &Budget, name: &'static str, apply: fn(&Regex, &str) -> Value) {
    let budget = budget.clone();
    let function = move |This(text): This<Arc<String>>, pattern: Arc<String>| {
        let pattern = budget.pattern(&pattern).map_err(|why| ExecutionError::function_error(name, why))?;
        if !budget.spend_trying(&pattern, &text) {
            return Err(too_much());
        }
        let found = apply(&pattern.regex, &text);
        spend_made(&budget, name, (text.len() as u64).max(size(&found)))?;
        Ok(found)
    };
    let _ = context.add_function(&guarded(name), function);
}

fn spend_made(budget: &Budget, function: &str, size: u64) -> Result<(), ExecutionError> {
    check_size(function, size)?;
    if budget.spend_made(size) { Ok(()) } else { Err(too_much()) }
}

/// As the operator has it.
fn sum_of(one: Value, other: Value) -> Result<Value, ExecutionError> {
    let (left, right): (Box<dyn Val>, Box<dyn Val>) = (one.clone().try_into()?, other.clone().try_into()?);
    let adder = left.as_adder().ok_or(ExecutionError::UnsupportedBinaryOperator("add", one, other))?;
    adder.add(right.as_ref())?.as_ref().try_into()
}

fn too_much() -> ExecutionError {
    ExecutionError::function_error("rule", "it costs too much")
}

pub(super) fn check_size(function: &str, bytes: u64) -> Result<(), ExecutionError> {
    let message = format!("its result is larger than {MADE_BYTES_MAX} bytes");
    if bytes > MADE_BYTES_MAX { Err(ExecutionError::function_error(function, message)) } else { Ok(()) }
}
