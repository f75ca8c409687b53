//! The jsonpath templates of kubectl: text, `{.path}`, `{range .items[*]}…{end}`, `{"\n"}`, filters.
//! Grammar after <https://kubernetes.io/docs/reference/kubectl/jsonpath/>. Left out: script expressions, unions.

use std::str::FromStr;

use serde_json::Value;

/// Text with paths into an object between its braces.
#[derive(Clone, Debug, PartialEq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Path(Vec<Step>),
    Range(Vec<Step>, Vec<Piece>),
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    /// Every value below, at any depth.
    Descend,
    /// `[?(@.type=="Ready")]`: keeps the elements for which the comparison holds.
    Filter(Vec<Step>, Option<(bool, Value)>),
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("jsonpath {template}: {fault}")]
pub struct TemplateError {
    template: String,
    fault: String,
}

type Result<T> = std::result::Result<T, String>;

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> std::result::Result<Self, TemplateError> {
        // `-o jsonpath=.spec.x` without braces is what people type; kubectl takes it too.
        let text = if text.contains('{') { text.to_owned() } else { format!("{{{text}}}") };
        let mut rest = text.as_str();
        match pieces(&mut rest, false) {
            Ok(pieces) => Ok(Self(pieces)),
            Err(fault) => Err(TemplateError { template: text, fault }),
        }
    }
}

impl Template {
    pub fn render(&self, value: &Value) -> String {
        let mut text = String::new();
        render(&self.0, value, &mut text);
        text
    }

    /// What the first path of the template finds, for comparisons.
    pub fn values<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let first = self.0.iter().find_map(|piece| if let Piece::Path(steps) = piece { Some(steps) } else { None });
        first.map(|steps| walk(steps, value)).unwrap_or_default()
    }
}

fn render(pieces: &[Piece], value: &Value, text: &mut String) {
    for piece in pieces {
        match piece {
            Piece::Text(literal) => text.push_str(literal),
            Piece::Path(steps) => {
                let found: Vec<String> = walk(steps, value).into_iter().map(plain).collect();
                text.push_str(&found.join(" "));
            }
            Piece::Range(steps, body) => walk(steps, value).into_iter().for_each(|item| render(body, item, text)),
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn walk<'a>(steps: &[Step], value: &'a Value) -> Vec<&'a Value> {
    steps.iter().fold(vec![value], |found, step| found.into_iter().flat_map(|value| take(step, value)).collect())
}

fn take<'a>(step: &Step, value: &'a Value) -> Vec<&'a Value> {
    match (step, value) {
        (Step::Field(name), Value::Object(map)) => map.get(name).into_iter().collect(),
        (Step::Index(index), Value::Array(items)) => {
            let index = if *index < 0 { index + items.len() as i64 } else { *index };
            usize::try_from(index).ok().and_then(|index| items.get(index)).into_iter().collect()
        }
        (Step::All, Value::Array(items)) => items.iter().collect(),
        (Step::All, Value::Object(map)) => map.values().collect(),
        (Step::Descend, _) => descend(value),
        (Step::Filter(path, comparison), Value::Array(items)) => {
            let holds = |item: &&Value| {
                let found = walk(path, item);
                match comparison {
                    None => !found.is_empty(),
                    Some((wanted, constant)) => found.contains(&constant) == *wanted,
                }
            };
            items.iter().filter(holds).collect()
        }
        _ => Vec::new(),
    }
}

fn descend(value: &Value) -> Vec<&Value> {
    let below: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(map) => map.values().collect(),
        _ => Vec::new(),
    };
    std::iter::once(value).chain(below.into_iter().flat_map(descend)).collect()
}

fn pieces(rest: &mut &str, in_range: bool) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let Some(open) = rest.find('{') else {
            pieces.push(Piece::Text(std::mem::take(rest).to_owned()));
            break;
        };
        if open > 0 {
            pieces.push(Piece::Text(rest[..open].to_owned()));
        }
        let close = open + closing_brace(&rest[open..]).ok_or("a { has no }")?;
        let inside = rest[open + 1..close].trim();
        *rest = &rest[close + 1..];
        match inside {
            "end" if in_range => return Ok(pieces),
            "end" => return Err("{end} without {range}".to_owned()),
            _ if inside.starts_with("range ") => {
                let path = steps(inside["range ".len()..].trim())?;
                pieces.push(Piece::Range(path, self::pieces(rest, true)?));
            }
            _ if inside.starts_with(['"', '\'']) => pieces.push(Piece::Text(unquote(inside)?)),
            _ => pieces.push(Piece::Path(steps(inside)?)),
        }
    }
    if in_range { Err("{range} without {end}".to_owned()) } else { Ok(pieces) }
}

fn closing_brace(text: &str) -> Option<usize> {
    let mut quote = None;
    for (index, character) in text.char_indices() {
        match (quote, character) {
            (None, '}') => return Some(index),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
    }
    None
}

fn unquote(text: &str) -> Result<String> {
    let inner = text.get(1..text.len().saturating_sub(1)).ok_or("an empty text")?;
    Ok(inner.replace("\\n", "\n").replace("\\t", "\t").replace("\\\"", "\""))
}

fn steps(text: &str) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = text.trim_start_matches(['$', '@']);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("..") {
            steps.push(Step::Descend);
            rest = after;
            if !rest.starts_with('[') {
                let (name, after) = field(rest);
                steps.push(Step::Field(name));
                rest = after;
            }
        } else if let Some(after) = rest.strip_prefix('.') {
            let (name, after) = field(after);
            if !name.is_empty() {
                steps.push(if name == "*" { Step::All } else { Step::Field(name) });
            }
            rest = after;
        } else if let Some(after) = rest.strip_prefix('[') {
            let end = closing_bracket(after).ok_or("a [ has no ]")?;
            steps.push(subscript(&after[..end])?);
            rest = &after[end + 1..];
        } else {
            let (name, after) = field(rest);
            if name.is_empty() {
                return Err(format!("cannot read {rest}"));
            }
            steps.push(Step::Field(name));
            rest = after;
        }
    }
    Ok(steps)
}

/// A field name; `\.` is a dot that belongs to it.
fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '\\' => name.extend(characters.next().map(|(_, escaped)| escaped)),
            '.' | '[' => return (name, &text[index..]),
            _ => name.push(character),
        }
    }
    (name, "")
}

fn closing_bracket(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (index, character) in text.char_indices() {
        match character {
            '[' => depth += 1,
            ']' if depth == 0 => return Some(index),
            ']' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn subscript(text: &str) -> Result<Step> {
    let text = text.trim();
    if text == "*" {
        return Ok(Step::All);
    }
    if text.starts_with(['"', '\'']) {
        return Ok(Step::Field(unquote(text)?));
    }
    if let Some(filter) = text.strip_prefix("?(").and_then(|text| text.strip_suffix(')')) {
        let split = |operator: &str| filter.split_once(operator).map(|(path, constant)| (path.trim(), constant.trim()));
        let (path, comparison) = match (split("=="), split("!=")) {
            (Some((path, constant)), _) => (path, Some((true, literal(constant)?))),
            (_, Some((path, constant))) => (path, Some((false, literal(constant)?))),
            _ => (filter, None),
        };
        return Ok(Step::Filter(steps(path)?, comparison));
    }
    Ok(Step::Index(text.parse().map_err(|_| format!("[{text}] is no index, name or filter"))?))
}

fn literal(text: &str) -> Result<Value> {
    if text.starts_with(['"', '\'']) {
        return Ok(Value::String(unquote(text)?));
    }
    serde_json::from_str(text).map_err(|_| format!("{text} is no string, number or boolean"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(template: &str, expected: &str) {
        let value = json!({
            "items": [
                {"metadata": {"name": "a", "labels": {"x.io/y": "1"}}, "ready": true},
                {"metadata": {"name": "b"}, "conditions": [{"type": "Ready", "status": "True"}]},
            ],
        });
        assert_eq!(template.parse::<Template>().unwrap().render(&value), expected);
    }

    #[test]
    fn paths_ranges_and_filters() {
        check("{.items[*].metadata.name}", "a b");
        check(".items[-1].metadata.name", "b");
        check("{range .items[*]}{.metadata.name}{\"\\n\"}{end}", "a\nb\n");
        check("{.items[*].conditions[?(@.type==\"Ready\")].status}", "True");
        check("{.items[?(@.ready==true)].metadata.name}", "a");
        check("{.items[0].metadata.labels.x\\.io/y}", "1");
        check("{.items[0].metadata.labels['x.io/y']}", "1");
        check("{..name}", "a b");
        check("{.missing.path}", "");
    }

    #[test]
    fn a_broken_template_says_what_is_wrong() {
        let error = "{.items".parse::<Template>().unwrap_err();
        assert!(format!("{error:#}").contains("has no }"), "{error:#}");
        assert!("{range .items[*]}x".parse::<Template>().is_err());
    }
}
