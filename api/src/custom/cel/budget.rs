//! What the rules of one object may cost together.
//!
//! CEL has no loops but over what is there, so only nested comprehensions over large values are slow. Each comprehension
//! therefore pays for all its rounds when it begins: a round costs a little, and more the larger the value is that the
//! rule is about, since one operation may look at all of it; a comprehension that makes a list pays for the copies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr};
use serde_json::Value;

/// Well below a second of a slow machine, and room for 100,000 rounds over small values.
const BUDGET: u64 = 100_000_000;
const RULE_COST: u64 = 1000;
const ROUND_COST: u64 = 200;

/// The function that stands around the range of every comprehension. Nobody can name it: it is no identifier.
pub(super) const SPEND: &str = "@spend";
/// As [`SPEND`], around a range that a list is made from.
pub(super) const SPEND_COPYING: &str = "@spendCopying";

#[derive(Clone)]
pub(super) struct Budget(Arc<AtomicU64>);

impl Budget {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(BUDGET)))
    }

    pub(super) fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// `size` is that of the values that the rule is about.
    pub(super) fn spend_rule(&self, size: u64) {
        self.spend(RULE_COST + size);
    }

    /// False when there is not enough left; then nothing is.
    pub(super) fn spend_rounds(&self, rounds: usize, size: u64, copying: bool) -> bool {
        let round = ROUND_COST + if copying { size } else { size / 8 };
        self.spend(round.saturating_mul(rounds as u64))
    }

    fn spend(&self, cost: u64) -> bool {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(cost), Ordering::Relaxed);
        cost <= left
    }
}

/// About how many bytes of text a value is.
pub(super) fn size(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.len() as u64 + 2,
        Value::Array(items) => items.iter().map(size).sum::<u64>() + 2,
        Value::Object(fields) => fields.iter().map(|(key, value)| key.len() as u64 + size(value)).sum::<u64>() + 2,
        _ => 4,
    }
}

/// Makes every comprehension pay, and the functions whose results can be much larger than what they are given check that.
pub(super) fn charge(expression: &mut IdedExpr) {
    match &mut expression.expr {
        Expr::Call(call) => {
            if call.target.is_some() && super::functions::GUARDED.contains(&call.func_name.as_str()) {
                call.func_name = super::functions::guarded(&call.func_name);
            }
            call.target.iter_mut().for_each(|target| charge(target));
            call.args.iter_mut().for_each(charge);
        }
        Expr::Comprehension(comprehension) => {
            let copying = matches!(comprehension.accu_init.expr, Expr::List(_));
            let name = if copying { SPEND_COPYING } else { SPEND };
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
            comprehension.iter_range = call(name, range);
        }
        Expr::List(list) => list.elements.iter_mut().for_each(charge),
        Expr::Map(map) => map.entries.iter_mut().for_each(|entry| charge_entry(&mut entry.expr)),
        Expr::Struct(made) => made.entries.iter_mut().for_each(|entry| charge_entry(&mut entry.expr)),
        Expr::Select(select) => charge(&mut select.operand),
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
    }
}

fn charge_entry(entry: &mut EntryExpr) {
    match entry {
        EntryExpr::StructField(field) => charge(&mut field.value),
        EntryExpr::MapEntry(entry) => {
            charge(&mut entry.key);
            charge(&mut entry.value);
        }
    }
}

fn call(name: &str, argument: IdedExpr) -> IdedExpr {
    let call = CallExpr { func_name: name.to_owned(), target: None, args: vec![argument] };
    IdedExpr { id: 0, expr: Expr::Call(call) }
}
