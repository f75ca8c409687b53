//! What expressions may call: the standard library, strings, and Kubernetes' own functions on lists and texts. Those that
//! are absent are listed in `docs/compatibility.md`.

use std::sync::{Arc, LazyLock};

use cel::common::types::{CelBool, CelString, DYN_TYPE, INT_TYPE, LIST_TYPE, STRING_TYPE};
use cel::common::value::CowVal;
use cel::{DeclarationError, Env, ExecutionError, Value, extensions};

use super::paid::check_size;
use super::search;
use crate::custom::validate::is_uri;

/// The language of rules.
pub(super) static ENV: LazyLock<Arc<Env>> =
    LazyLock::new(|| Arc::new(env().expect("invariant: each name is declared once")));

/// Functions whose work or whose result can be the product of what they are given; an expression calls a [`guarded`] one
/// instead.
pub(super) const GUARDED: [&str; 7] = ["replace", "join", "matches", "find", "findAll", "indexOf", "lastIndexOf"];

/// Functions whose result can be some times as large as what they are given; it pays for its size.
pub(super) const GROWING: [&str; 6] = ["replace", "join", "format", "quote", "split", "string"];

pub(super) fn guarded(name: &str) -> String {
    format!("@{name}")
}

/// Functions beyond the operators.
const NAMES: [&str; 49] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "has",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "bool",
    "dyn",
    "type",
    "duration",
    "timestamp",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
    "charAt",
    "indexOf",
    "lastIndexOf",
    "lowerAscii",
    "upperAscii",
    "replace",
    "split",
    "join",
    "substring",
    "trim",
    "format",
    "reverse",
    "strings.quote",
    "isSorted",
    "sum",
    "min",
    "max",
    "find",
    "findAll",
    "isURL",
    "isIP",
    "isCIDR",
    "value",
];

pub(super) fn is_known(name: &str) -> bool {
    let is_operator = !name.starts_with(|c: char| c.is_ascii_alphabetic());
    is_operator
        || NAMES.contains(&name)
        || [
            "hasValue",
            "orValue",
            "or",
            "of",
            "none",
            "optional.of",
            "optional.none",
            "optional.ofNonZeroValue",
            "ofNonZeroValue",
        ]
        .contains(&name)
}

fn env() -> Result<Env, DeclarationError> {
    let mut env = Env::stdlib();
    env.add_extension(extensions::strings)?;
    env.add_member_overload("isSorted", "list.isSorted()", LIST_TYPE, vec![], is_sorted)?;
    env.add_member_overload("sum", "list.sum()", LIST_TYPE, vec![], sum)?;
    env.add_member_overload("min", "list.min()", LIST_TYPE, vec![], |args| extreme(args, "min", |a, b| a < b))?;
    env.add_member_overload("max", "list.max()", LIST_TYPE, vec![], |args| extreme(args, "max", |a, b| a > b))?;
    let searches: [(&str, Function); 2] = [("indexOf", search::index_of), ("lastIndexOf", search::last_index_of)];
    for (name, function) in searches {
        for (target, arguments) in
            [(LIST_TYPE, vec![DYN_TYPE]), (STRING_TYPE, vec![STRING_TYPE]), (STRING_TYPE, vec![STRING_TYPE, INT_TYPE])]
        {
            let id = format!("{}.@{name}({})", target.name(), arguments.len());
            env.add_member_overload(&guarded(name), &id, target, arguments, function)?;
        }
    }
    for arguments in [vec![STRING_TYPE, STRING_TYPE], vec![STRING_TYPE, STRING_TYPE, INT_TYPE]] {
        let id = format!("string.@replace({})", arguments.len());
        env.add_member_overload(&guarded("replace"), &id, STRING_TYPE, arguments, replace)?;
    }
    for arguments in [vec![], vec![STRING_TYPE]] {
        let id = format!("list.@join({})", arguments.len());
        env.add_member_overload(&guarded("join"), &id, LIST_TYPE, arguments, join)?;
    }
    cel::add_overload!(env, fn is_url: (CelString) -> CelBool, name = "isURL")?;
    cel::add_overload!(env, fn is_ip: (CelString) -> CelBool, name = "isIP")?;
    cel::add_overload!(env, fn is_cidr: (CelString) -> CelBool, name = "isCIDR")?;
    Ok(env)
}

pub(super) type Arguments<'b, 'v> = Vec<CowVal<'b, 'v>>;
pub(super) type Answer<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;
type Function = for<'b, 'v> fn(Arguments<'b, 'v>) -> Answer<'b, 'v>;

fn is_sorted<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let items = list(&args)?;
    answer(Value::Bool(items.windows(2).all(|pair| pair[0] <= pair[1])))
}

fn sum<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let items = list(&args)?;
    let mut total = match items.first() {
        Some(Value::Float(_)) => Value::Float(0.0),
        Some(Value::UInt(_)) => Value::UInt(0),
        Some(Value::Duration(_)) => Value::Duration(chrono::Duration::zero()),
        _ => Value::Int(0),
    };
    let overflow = || ExecutionError::function_error("sum", "the sum is too large, or of values that have none");
    for item in items.iter() {
        total = match (total, item) {
            (Value::Int(a), Value::Int(b)) => Value::Int(a.checked_add(*b).ok_or_else(overflow)?),
            (Value::UInt(a), Value::UInt(b)) => Value::UInt(a.checked_add(*b).ok_or_else(overflow)?),
            (Value::Float(a), Value::Float(b)) => Value::Float(a + b),
            (Value::Duration(a), Value::Duration(b)) => Value::Duration(a.checked_add(b).ok_or_else(overflow)?),
            _ => return Err(overflow()),
        };
    }
    answer(total)
}

fn extreme<'b, 'v>(args: Arguments<'b, 'v>, name: &str, wins: fn(&Value, &Value) -> bool) -> Answer<'b, 'v> {
    let items = list(&args)?;
    let best = items.iter().reduce(|best, item| if wins(item, best) { item } else { best });
    let empty = || ExecutionError::function_error(name, format!("{name} called on empty list"));
    answer(best.cloned().ok_or_else(empty)?)
}

fn replace<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let (this, from, to) = (text(&args, 0)?, text(&args, 1)?, text(&args, 2)?);
    let limit = match args.get(3) {
        Some(_) => match argument(&args, 3)? {
            Value::Int(limit) => usize::try_from(limit).ok(),
            _ => None,
        },
        None => None,
    };
    let places = this.matches(from.as_str()).count().min(limit.unwrap_or(usize::MAX));
    check_size("replace", this.len().saturating_add(places.saturating_mul(to.len())) as u64)?;
    let replaced = match limit {
        Some(limit) => this.replacen(from.as_str(), &to, limit),
        None => this.replace(from.as_str(), &to),
    };
    answer(Value::String(Arc::new(replaced)))
}

fn join<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let separator = if args.len() > 1 { text(&args, 1)? } else { Arc::default() };
    let mut parts = Vec::new();
    for item in list(&args)?.iter() {
        match item {
            Value::String(text) => parts.push(text.clone()),
            _ => return Err(ExecutionError::function_error("join", "a list of strings is needed")),
        }
    }
    let texts: usize = parts.iter().map(|part| part.len()).sum();
    check_size("join", texts.saturating_add(parts.len().saturating_mul(separator.len())) as u64)?;
    let parts: Vec<&str> = parts.iter().map(|part| part.as_str()).collect();
    answer(Value::String(Arc::new(parts.join(&separator))))
}

fn is_url(text: &CelString<'_>) -> CelBool {
    is_uri(text.inner()).into()
}

fn is_ip(text: &CelString<'_>) -> CelBool {
    text.inner().parse::<std::net::IpAddr>().is_ok().into()
}

fn is_cidr(text: &CelString<'_>) -> CelBool {
    crate::custom::validate::is_cidr(text.inner()).into()
}

pub(super) fn argument(args: &Arguments, index: usize) -> Result<Value, ExecutionError> {
    let argument = args.get(index).ok_or_else(|| ExecutionError::invalid_argument_count(index + 1, args.len()))?;
    argument.as_ref().try_into()
}

pub(super) fn list(args: &Arguments) -> Result<Arc<Vec<Value>>, ExecutionError> {
    match argument(args, 0)? {
        Value::List(items) => Ok(items),
        other => Err(ExecutionError::not_supported_as_method("list", other)),
    }
}

pub(super) fn text(args: &Arguments, index: usize) -> Result<Arc<String>, ExecutionError> {
    match argument(args, index)? {
        Value::String(text) => Ok(text),
        other => Err(ExecutionError::unsupported_target_type(other)),
    }
}

pub(super) fn answer<'b, 'v>(value: Value) -> Answer<'b, 'v> {
    Ok(CowVal::Owned(value.try_into()?))
}
