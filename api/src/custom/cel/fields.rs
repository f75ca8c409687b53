//! What an expression names, and which fields it selects, against the schema. Where the type is not known, anything goes.

use cel::common::ast::{EntryExpr, Expr, IdedExpr};

use super::super::schema::Schema;
use super::budget;
use super::value::escape;

pub(super) fn check(expression: &IdedExpr, schema: &Schema) -> Result<(), String> {
    let mut scope = vec![("self", Some(schema)), ("oldSelf", Some(schema))];
    visit(expression, &mut scope).map(|_| ())
}

/// Types, and the first parts of the names of functions.
const GLOBAL: [&str; 14] = [
    "type",
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
    "dyn",
    "optional",
    "strings",
    "google",
];

/// How deep an expression nests. It walks without going as deep itself.
pub(super) fn depth(expression: &IdedExpr) -> usize {
    let (mut waiting, mut deepest) = (vec![(expression, 1)], 0);
    while let Some((expression, depth)) = waiting.pop() {
        deepest = deepest.max(depth);
        waiting.extend(below(expression).into_iter().map(|part| (part, depth + 1)));
    }
    deepest
}

pub(super) fn below(expression: &IdedExpr) -> Vec<&IdedExpr> {
    match &expression.expr {
        Expr::Select(select) => vec![&select.operand],
        Expr::Call(call) => call.target.iter().map(|target| &**target).chain(&call.args).collect(),
        Expr::Comprehension(made) => {
            vec![&made.iter_range, &made.accu_init, &made.loop_cond, &made.loop_step, &made.result]
        }
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(|entry| parts(&entry.expr)).collect(),
        Expr::Struct(made) => made.entries.iter().flat_map(|entry| parts(&entry.expr)).collect(),
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => Vec::new(),
    }
}

type Scope<'a> = Vec<(&'a str, Option<&'a Schema>)>;

/// The schema of what the expression evaluates to, when it is a part of the object.
fn visit<'a>(expression: &'a IdedExpr, scope: &mut Scope<'a>) -> Result<Option<&'a Schema>, String> {
    match &expression.expr {
        Expr::Ident(name) => match scope.iter().rev().find(|(known, _)| known == name) {
            Some((_, schema)) => Ok(*schema),
            None if GLOBAL.contains(&name.as_str()) => Ok(None),
            None => Err(format!("undeclared reference to '{name}' (in container '')")),
        },
        Expr::Select(select) => {
            let Some(schema) = visit(&select.operand, scope)? else { return Ok(None) };
            field(schema, &select.field)
        }
        Expr::Call(call) => {
            // What makes expressions pay gives back what it is given.
            if [budget::SPEND, budget::SPEND_COPYING, budget::MADE].contains(&call.func_name.as_str()) {
                return call.args.first().map_or(Ok(None), |given| visit(given, scope));
            }
            let target = call.target.iter().map(|target| &**target);
            visit_all(target.chain(&call.args), scope)
        }
        Expr::Comprehension(comprehension) => {
            let range = visit(&comprehension.iter_range, scope)?;
            visit(&comprehension.accu_init, scope)?;
            let depth = scope.len();
            let over_items = range.filter(|range| &*range.json_type == "array" && comprehension.iter_var2.is_none());
            scope.push((&comprehension.iter_var, over_items.and_then(|range| range.items.as_deref())));
            scope.extend(comprehension.iter_var2.as_deref().map(|name| (name, None)));
            scope.push((&comprehension.accu_var, None));
            for part in [&comprehension.loop_cond, &comprehension.loop_step, &comprehension.result] {
                visit(part, scope)?;
            }
            scope.truncate(depth);
            Ok(None)
        }
        Expr::List(list) => visit_all(list.elements.iter(), scope),
        Expr::Map(map) => visit_all(map.entries.iter().flat_map(|entry| parts(&entry.expr)), scope),
        Expr::Struct(made) => visit_all(made.entries.iter().flat_map(|entry| parts(&entry.expr)), scope),
        Expr::Literal(_) | Expr::Unspecified => Ok(None),
    }
}

fn visit_all<'a>(
    parts: impl Iterator<Item = &'a IdedExpr>,
    scope: &mut Scope<'a>,
) -> Result<Option<&'a Schema>, String> {
    for part in parts {
        visit(part, scope)?;
    }
    Ok(None)
}

fn parts(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}

fn field<'a>(schema: &'a Schema, name: &str) -> Result<Option<&'a Schema>, String> {
    if let Some(values) = &schema.values {
        return Ok(Some(values));
    }
    let found = schema.properties.iter().find(|(known, _)| escape(known) == name);
    match found {
        Some((_, below)) => Ok(Some(below)),
        None if schema.properties.is_empty() || schema.preserves_unknown => Ok(None),
        None if ["apiVersion", "kind", "metadata"].contains(&name) => Ok(None),
        None => Err(format!("undefined field '{name}'")),
    }
}
