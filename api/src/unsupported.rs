//! What wasmk does not do, by name: each such field is refused or warned of, never silently ignored.

mod table;

use serde_json::Value;

use crate::Cause;
use crate::field::{Faults, Field};
use crate::kind::Kind;

use table::{POD_SPEC, SERVICE};

/// One field that wasmk does not act on.
struct Rule {
    /// Below the root of its table; `[*]` stands for every item, `a|b` for either field.
    path: &'static str,
    when: When,
    verdict: Verdict,
    reason: &'static str,
}

#[derive(Clone, Copy)]
enum When {
    /// There is something in it.
    Set,
    True,
    Is(&'static str),
    IsNot(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The object would not do what it says.
    Refuse,
    /// The object does what it says but for this.
    Warn,
}

/// Adds what is refused to `faults` and answers with the warnings.
pub(crate) fn check(kind: &Kind, object: &Field, faults: &mut Faults) -> Vec<String> {
    let (root, rules): (Field, &[Rule]) = match (kind.pod_spec, kind.resource().as_str()) {
        (Some(path), _) => (path.split('.').fold(object.clone(), |field, step| field.get(step)), POD_SPEC),
        (None, "services") => (object.get("spec"), SERVICE),
        _ => return Vec::new(),
    };
    let mut warnings = Vec::new();
    for rule in rules {
        let mut found = Vec::new();
        select(&root, rule.path, &mut found);
        for field in found.iter().filter(|field| rule.when.holds(field.value)) {
            let message = format!("not supported by wasmk: {}", rule.reason);
            match rule.verdict {
                Verdict::Refuse => faults.push(Cause::new("FieldValueNotSupported", &field.path, message)),
                Verdict::Warn => warnings.push(format!("{}: {message}", field.path)),
            }
        }
    }
    warnings
}

impl When {
    fn holds(self, value: &Value) -> bool {
        match self {
            Self::Set => match value {
                Value::Array(items) => !items.is_empty(),
                Value::String(text) => !text.is_empty(),
                other => !other.is_null(),
            },
            Self::True => value == true,
            Self::Is(text) => value == text,
            Self::IsNot(text) => value.as_str().is_some_and(|found| !found.is_empty() && found != text),
        }
    }
}

/// Every present field that `path` stands for.
fn select<'a>(field: &Field<'a>, path: &str, found: &mut Vec<Field<'a>>) {
    let (step, rest) = path.split_once('.').map_or((path, None), |(step, rest)| (step, Some(rest)));
    let (names, is_list) = step.strip_suffix("[*]").map_or((step, false), |names| (names, true));
    for name in names.split('|') {
        let child = field.get(name);
        let children: Vec<Field> = if is_list { child.items().collect() } else { vec![child] };
        for child in children.into_iter().filter(Field::is_set) {
            match rest {
                Some(rest) => select(&child, rest, found),
                None => found.push(child),
            }
        }
    }
}

#[cfg(test)]
mod tests;
