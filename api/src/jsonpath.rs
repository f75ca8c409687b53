//! The jsonpath templates of kubectl: text, `{.path}`, `{range .items[*]}…{end}`, `{"\n"}`, filters.
//! Grammar after <https://kubernetes.io/docs/reference/kubectl/jsonpath/>. Left out: script expressions, unions.

use std::cell::Cell;
use std::str::FromStr;

use serde_json::Value;

/// Text with paths into an object between its braces.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    pieces: Vec<Piece>,
    work_max: usize,
}

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
            Ok(pieces) => Ok(Self { pieces, work_max: usize::MAX }),
            Err(fault) => Err(TemplateError { template: text, fault }),
        }
    }
}

impl Template {
    /// For templates of people who are not asking for themselves: after `work_max` values that were looked at, or bytes
    /// that were written, nothing more is found. Paths that descend again and again find the same values without end.
    pub fn bounded(self, work_max: usize) -> Self {
        Self { work_max, ..self }
    }

    pub fn render(&self, value: &Value) -> String {
        let mut text = String::new();
        Search::new(self).render(&self.pieces, value, &mut text);
        text
    }

    /// What the first path of the template finds, for comparisons.
    pub fn values<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let first =
            self.pieces.iter().find_map(|piece| if let Piece::Path(steps) = piece { Some(steps) } else { None });
        first.map(|steps| Search::new(self).walk(steps, value)).unwrap_or_default()
    }
}

/// One use of a template, with the work that it may still do.
struct Search {
    left: Cell<usize>,
}

impl Search {
    fn new(template: &Template) -> Self {
        Self { left: Cell::new(template.work_max) }
    }

    /// False when there is not enough left; then nothing is.
    fn spend(&self, work: usize) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(work));
        work < left
    }

    fn render(&self, pieces: &[Piece], value: &Value, text: &mut String) {
        for piece in pieces {
            match piece {
                _ if self.left.get() == 0 => return,
                Piece::Text(literal) if self.spend(literal.len()) => text.push_str(literal),
                Piece::Text(_) => {}
                Piece::Path(steps) => {
                    let found = self.walk(steps, value).into_iter().map(plain);
                    let found: Vec<String> = found.take_while(|found| self.spend(found.len())).collect();
                    text.push_str(&found.join(" "));
                }
                Piece::Range(steps, body) => {
                    self.walk(steps, value).into_iter().for_each(|item| self.render(body, item, text));
                }
            }
        }
    }

    fn walk<'a>(&self, steps: &[Step], value: &'a Value) -> Vec<&'a Value> {
        let step = |found: Vec<&'a Value>, step| {
            let found = found.into_iter().flat_map(|value| self.take(step, value));
            found.take_while(|_| self.spend(1)).collect()
        };
        steps.iter().fold(vec![value], step)
    }

    fn take<'a>(&self, step: &Step, value: &'a Value) -> Vec<&'a Value> {
        match (step, value) {
            _ if !self.spend(1) => Vec::new(),
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
                    let found = self.walk(path, item);
                    match comparison {
                        None => !found.is_empty(),
                        Some((wanted, constant)) => found.contains(&constant) == *wanted,
                    }
                };
                items.iter().take_while(|_| self.spend(1)).filter(holds).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
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
    fn a_bounded_template_ends_however_often_it_descends() {
        let deep = (0..100).fold(json!(1), |below, _| json!({ "a": below }));
        for template in [
            format!("{{{}}}", "..a".repeat(100)),
            format!("{{{}}}", "..[*]".repeat(100)),
            format!("{}{{..a}}{}", "{range ..a}".repeat(50), "{end}".repeat(50)),
        ] {
            let template = template.parse::<Template>().unwrap().bounded(10_000);
            template.values(&deep);
            assert!(template.render(&deep).len() < 10_000);
        }
        let lists = (0..100).fold(json!([]), |below, _| json!([below]));
        let filters = format!("{{{}@{}}}", "..[?(".repeat(50), ")]".repeat(50));
        filters.parse::<Template>().unwrap().bounded(10_000).values(&lists);
        assert_eq!(".a".parse::<Template>().unwrap().bounded(10).render(&json!({"a": "found"})), "found");
    }

    #[test]
    fn a_broken_template_says_what_is_wrong() {
        let error = "{.items".parse::<Template>().unwrap_err();
        assert!(format!("{error:#}").contains("has no }"), "{error:#}");
        assert!("{range .items[*]}x".parse::<Template>().is_err());
    }
}
