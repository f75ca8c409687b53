//! What the rules of one object may cost together.
//!
//! CEL has no loops but over what is there, so what is slow are nested comprehensions over large values, and values that
//! an expression makes ever larger. Each comprehension therefore pays for all its rounds when it begins: a round costs a
//! little, and more the larger the values are that it can see, since one operation may look at all of one; a comprehension
//! that makes a list pays for the copies. What can grow (a sum, the items of a list or a map, the results of some
//! functions) pays for its size, and has a largest one. Regular expressions pay for being compiled.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cel::Value as CelValue;
use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use regex::{Regex, RegexBuilder};

use super::fields::below;
use super::functions::{GROWING, GUARDED, guarded};

/// Well below a second of a slow machine, and room for 100,000 rounds over small values.
const BUDGET: u64 = 100_000_000;
const RULE_COST: u64 = 1000;
const ROUND_COST: u64 = 200;
const OPERATION_COST: u64 = 20;
/// Of compiling a regular expression, once, when it is small as nearly all are, and when it is not.
const PATTERN_COST: u64 = 50_000;
const LARGE_PATTERN_COST: u64 = 1_000_000;
/// Of each byte of a text that a large pattern is tried on: it may be at thousands of its places at once.
const LARGE_PATTERN_BYTE_COST: u64 = 1000;
const SMALL_PATTERN_BYTES: usize = 64 * 1024;
/// What one compiles to; `\w{100}` takes half of it.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;
/// Of a value that an expression makes: more than any object may hold.
pub(super) const MADE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// What a value takes beside its text, in memory and in the time to make it.
const VALUE_BYTES: u64 = 64;

/// The function that stands around the range of every comprehension. Nobody can name it: it is no identifier.
pub(super) const SPEND: &str = "@spend";
/// As [`SPEND`], around a range that a list is made from.
pub(super) const SPEND_COPYING: &str = "@spendCopying";
/// Stands around values that are copied or that were made, and gives them back.
pub(super) const MADE: &str = "@made";
/// In the place of the operator.
pub(super) const ADD: &str = "@add";

#[derive(Clone)]
pub(super) struct Budget(Arc<Purse>);

struct Purse {
    left: AtomicU64,
    /// The size of the largest value that an expression has made.
    largest: AtomicU64,
    patterns: Mutex<HashMap<String, Arc<Pattern>>>,
}

/// A regular expression that was paid for. It is shared: a copy would begin without what this one has learnt.
pub(super) struct Pattern {
    pub(super) regex: Regex,
    byte_cost: u64,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self(Arc::new(Purse { left: AtomicU64::new(BUDGET), largest: AtomicU64::new(0), patterns: Mutex::default() }))
    }

    pub(super) fn is_spent(&self) -> bool {
        self.0.left.load(Ordering::Relaxed) == 0
    }

    /// `size` is that of the values that the rule is about.
    pub(super) fn spend_rule(&self, size: u64, operations: u64) {
        self.spend(RULE_COST + size + OPERATION_COST.saturating_mul(operations));
    }

    /// False when there is not enough left; then nothing is.
    pub(super) fn spend_rounds(&self, rounds: usize, operations: u64, size: u64, copying: bool) -> bool {
        let size = size.max(self.0.largest.load(Ordering::Relaxed));
        let looks = if copying { size } else { size / 8 };
        let round = OPERATION_COST.saturating_mul(operations).saturating_add(ROUND_COST + looks);
        self.spend(round.saturating_mul(rounds as u64))
    }

    /// Pays for something of `size` that is made; false when it may not be.
    pub(super) fn spend_made(&self, size: u64) -> bool {
        self.0.largest.fetch_max(size, Ordering::Relaxed);
        self.spend(size)
    }

    /// Compiles a pattern that is not among those of before; as often as it is new, it pays.
    pub(super) fn pattern(&self, text: &str) -> Result<Arc<Pattern>, String> {
        let mut patterns = self.0.patterns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = patterns.get(text) {
            return Ok(known.clone());
        }
        let compile = |bytes: usize| RegexBuilder::new(text).size_limit(bytes).build();
        let paid = |cost| if self.spend(cost) { Ok(()) } else { Err("it costs too much".to_owned()) };
        let wrong = |error| format!("'{text}' not a valid regex:\n{error}");
        paid(PATTERN_COST)?;
        let pattern = match compile(SMALL_PATTERN_BYTES) {
            Err(regex::Error::CompiledTooBig(_)) => {
                paid(LARGE_PATTERN_COST)?;
                let regex = compile(PATTERN_BYTES_MAX).map_err(wrong)?;
                Pattern { regex, byte_cost: LARGE_PATTERN_BYTE_COST }
            }
            compiled => Pattern { regex: compiled.map_err(wrong)?, byte_cost: 0 },
        };
        let pattern = Arc::new(pattern);
        patterns.insert(text.to_owned(), pattern.clone());
        Ok(pattern)
    }

    /// Pays for trying a pattern on a text, beyond what is paid for looking at the text.
    pub(super) fn spend_trying(&self, pattern: &Pattern, text: &str) -> bool {
        self.spend(pattern.byte_cost.saturating_mul(text.len() as u64))
    }

    fn spend(&self, cost: u64) -> bool {
        let left = self.0.left.load(Ordering::Relaxed);
        self.0.left.store(left.saturating_sub(cost), Ordering::Relaxed);
        cost <= left
    }
}

/// About how many bytes a value takes.
pub(super) fn size(value: &CelValue) -> u64 {
    let below = match value {
        CelValue::String(text) => text.len() as u64,
        CelValue::Bytes(bytes) => bytes.len() as u64,
        CelValue::List(items) => items.iter().map(size).sum(),
        CelValue::Map(map) => map.map.iter().map(|(key, value)| key.to_string().len() as u64 + size(value)).sum(),
        _ => 0,
    };
    VALUE_BYTES + below
}

/// How many operations evaluating it once takes, each comprehension counted as one round.
pub(super) fn operations(expression: &IdedExpr) -> u64 {
    let (mut waiting, mut count) = (vec![expression], 0);
    while let Some(expression) = waiting.pop() {
        count += 1;
        waiting.extend(below(expression));
    }
    count
}

/// Makes every comprehension pay, and the functions whose results can be much larger than what they are given check that.
pub(super) fn charge(expression: &mut IdedExpr) {
    match &mut expression.expr {
        Expr::Call(call) => {
            call.target.iter_mut().for_each(|target| charge(target));
            call.args.iter_mut().for_each(charge);
            charge_call(expression);
        }
        Expr::Comprehension(comprehension) => {
            let copying = matches!(comprehension.accu_init.expr, Expr::List(_));
            let name = if copying { SPEND_COPYING } else { SPEND };
            let round = operations(&comprehension.loop_cond) + operations(&comprehension.loop_step);
            let round = i64::try_from(round).unwrap_or(i64::MAX);
            for part in [
                &mut comprehension.iter_range,
                &mut comprehension.accu_init,
                &mut comprehension.loop_cond,
                &mut comprehension.loop_step,
                &mut comprehension.result,
            ] {
                charge(part);
            }
            // A comprehension over nothing is how `cel.bind` and the like are made.
            let range = std::mem::take(&mut comprehension.iter_range);
            let round = IdedExpr { id: 0, expr: Expr::Literal(LiteralValue::Int(round.into())) };
            comprehension.iter_range = call(name, vec![range, round]);
        }
        Expr::List(list) => list.elements.iter_mut().for_each(charge_copy),
        Expr::Map(map) => map.entries.iter_mut().for_each(|entry| charge_entry(&mut entry.expr)),
        Expr::Struct(made) => made.entries.iter_mut().for_each(|entry| charge_entry(&mut entry.expr)),
        Expr::Select(select) => charge(&mut select.operand),
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
    }
}

fn charge_call(expression: &mut IdedExpr) {
    let Expr::Call(call) = &mut expression.expr else { return };
    let name = call.func_name.clone();
    if name == operators::ADD {
        // A comprehension appends to the list that it makes in place.
        let appends =
            call.args.first().is_some_and(|first| matches!(&first.expr, Expr::Ident(name) if name.starts_with('@')));
        if !appends {
            call.func_name = ADD.to_owned();
        }
    }
    if GUARDED.contains(&name.as_str()) {
        call.func_name = guarded(&name);
    }
    if GROWING.contains(&name.as_str()) {
        wrap(MADE, expression);
    }
}

/// An item of a list or a map: what is named there is copied.
fn charge_copy(item: &mut IdedExpr) {
    charge(item);
    if matches!(item.expr, Expr::Ident(_) | Expr::Select(_) | Expr::Call(_)) {
        wrap(MADE, item);
    }
}

fn charge_entry(entry: &mut EntryExpr) {
    match entry {
        EntryExpr::StructField(field) => charge_copy(&mut field.value),
        EntryExpr::MapEntry(entry) => {
            charge_copy(&mut entry.key);
            charge_copy(&mut entry.value);
        }
    }
}

fn wrap(name: &str, expression: &mut IdedExpr) {
    let inner = std::mem::take(expression);
    *expression = call(name, vec![inner]);
}

fn call(name: &str, args: Vec<IdedExpr>) -> IdedExpr {
    let call = CallExpr { func_name: name.to_owned(), target: None, args };
    IdedExpr { id: 0, expr: Expr::Call(call) }
}
