//! Field selectors: `metadata.name=x,spec.nodeName!=y`. Source: `k8s.io/apimachinery/pkg/fields/selector.go`.

use std::fmt;

use serde_json::Value;

use crate::Status;

/// A conjunction of (in)equalities on the fields of an object. The default one matches everything.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct FieldSelector {
    terms: Vec<FieldTerm>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct FieldTerm {
    /// A dotted path into the object's JSON.
    pub field: String,
    pub equal: bool,
    pub value: String,
}

impl FieldSelector {
    /// `allowed` are the paths that the kind can be selected by; another one is a `BadRequest`, as is bad syntax.
    pub fn parse(text: &str, allowed: &[&str]) -> Result<Self, Status> {
        let selector = Self::read(text)?;
        match selector.terms.iter().find(|term| !allowed.contains(&term.field.as_str())) {
            Some(term) => Err(Status::bad_request(format!("field label not supported: {}", term.field))),
            None => Ok(selector),
        }
    }

    /// For whoever does not know the kind yet; `None` for what is no selector of any.
    pub fn of_any(text: &str) -> Option<Self> {
        Self::read(text).ok()
    }

    fn read(text: &str) -> Result<Self, Status> {
        let refused = |part| Status::bad_request(format!("invalid selector: '{text}'; can't understand '{part}'"));
        let parts = split_terms(text).into_iter().filter(|part| !part.is_empty());
        let terms = parts.map(|part| FieldTerm::parse(part).ok_or_else(|| refused(part))).collect::<Result<_, _>>()?;
        Ok(Self { terms })
    }

    pub fn matches(&self, object: &Value) -> bool {
        self.terms.iter().all(|term| term.matches(object))
    }

    /// The same selector of objects whose fields have other paths.
    pub fn map_fields<'a>(&'a self, path: impl Fn(&'a str) -> &'a str) -> Self {
        let renamed = |term: &'a FieldTerm| FieldTerm { field: path(&term.field).to_owned(), ..term.clone() };
        Self { terms: self.terms.iter().map(renamed).collect() }
    }

    pub fn matches_everything(&self) -> bool {
        self.terms.is_empty()
    }

    pub fn terms(&self) -> &[FieldTerm] {
        &self.terms
    }

    /// The one value that `field` must have, so that a caller can go straight to it.
    pub fn required(&self, field: &str) -> Option<&str> {
        self.terms.iter().find(|term| term.equal && term.field == field).map(|term| term.value.as_str())
    }
}

impl FieldTerm {
    fn parse(text: &str) -> Option<Self> {
        let at = text.find(['=', '!'])?;
        let (field, rest) = text.split_at(at);
        let (equal, value) = match rest.strip_prefix("!=") {
            Some(value) => (false, value),
            None => (true, rest.strip_prefix("==").or_else(|| rest.strip_prefix('='))?),
        };
        Some(Self { field: field.to_owned(), equal, value: unescape(value)? })
    }

    fn matches(&self, object: &Value) -> bool {
        let found = self.field.split('.').try_fold(object, |value, step| value.get(step));
        let same = match found {
            // An absent field has its type's zero value, which JSON leaves out.
            None | Some(Value::Null) => matches!(self.value.as_str(), "" | "false" | "0"),
            Some(Value::String(text)) => *text == self.value,
            Some(other) => {
                let shown = other.to_string();
                shown == self.value
            }
        };
        same == self.equal
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.terms.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let operator = if term.equal { "=" } else { "!=" };
            write!(f, "{comma}{}{operator}{}", term.field, escape(&term.value))?;
        }
        Ok(())
    }
}

/// Splits at commas that no backslash precedes.
fn split_terms(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (index, c) in text.char_indices() {
        if c == ',' && !escaped {
            parts.push(&text[start..index]);
            start = index + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    parts.push(&text[start..]);
    parts
}

/// `\\`, `\,` and `\=` are the only escapes; a bare `=` in a value is refused.
fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.push(chars.next().filter(|next| matches!(next, '\\' | ',' | '='))?),
            '=' => return None,
            c => plain.push(c),
        }
    }
    Some(plain)
}

fn escape(text: &str) -> String {
    text.replace('\\', r"\\").replace(',', r"\,").replace('=', r"\=")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ALLOWED: &[&str] = &["metadata.name", "spec.nodeName", "spec.unschedulable", "status.phase"];

    #[track_caller]
    fn check(text: &str, object: Value, expected: bool) {
        let selector = FieldSelector::parse(text, ALLOWED).unwrap();
        assert_eq!(selector.matches(&object), expected, "{selector} on {object}");
        assert_eq!(FieldSelector::parse(&selector.to_string(), ALLOWED).unwrap(), selector);
    }

    #[test]
    fn fields_select() {
        let pod = || json!({"metadata": {"name": "a"}, "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}});
        check("", pod(), true);
        check("metadata.name=a,spec.nodeName==n1", pod(), true);
        check("metadata.name=b", pod(), false);
        check("spec.nodeName!=n1", pod(), false);
        check("status.phase!=Failed,status.phase!=Succeeded", pod(), true);
        check("spec.nodeName=", json!({"metadata": {"name": "a"}}), true);
        check(r"metadata.name=a\,b", json!({"metadata": {"name": "a,b"}}), true);
    }

    #[test]
    fn a_missing_boolean_is_false() {
        check("spec.unschedulable=false", json!({}), true);
        check("spec.unschedulable!=true", json!({}), true);
        check("spec.unschedulable=true", json!({"spec": {"unschedulable": true}}), true);
    }

    #[test]
    fn what_cannot_be_selected_by_is_a_bad_request() {
        let refused = |text: &str| FieldSelector::parse(text, ALLOWED).unwrap_err();
        assert_eq!(refused("spec.foo=x").message, "field label not supported: spec.foo");
        assert_eq!(refused("metadata.name").code, 400);
        assert_eq!(refused("metadata.name=a=b").code, 400);
    }

    #[test]
    fn a_required_value_is_known() {
        let selector = FieldSelector::parse("metadata.name=a,status.phase!=x", ALLOWED).unwrap();
        assert_eq!((selector.required("metadata.name"), selector.required("status.phase")), (Some("a"), None));
    }
}
