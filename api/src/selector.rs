//! What chooses objects: label selectors, field selectors, node requirements.

mod field;
mod parse;

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::NodeSelectorRequirement;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Map, Value};

pub use field::{FieldSelector, FieldTerm};

use crate::{Object, names};

/// A conjunction of requirements on labels. The default one has no requirements and so matches everything.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Selector {
    requirements: Vec<Requirement>,
    matches_nothing: bool,
}

/// One condition on one label.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Requirement {
    key: String,
    operator: Operator,
    /// Sorted, without duplicates.
    values: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operator {
    Equals,
    NotEquals,
    In,
    NotIn,
    Exists,
    DoesNotExist,
    /// The label's value and the requirement's are integers.
    Gt,
    Lt,
}

/// Worded as Kubernetes words it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub String);

/// Where labels are looked up.
pub trait Labels {
    fn get_label(&self, key: &str) -> Option<&str>;
}

impl Selector {
    pub fn everything() -> Self {
        Self::default()
    }

    pub fn nothing() -> Self {
        Self { requirements: Vec::new(), matches_nothing: true }
    }

    /// Parses the `labelSelector` of a query: `a=b,c!=d,e in (x,y),!f,g`. The empty text matches everything.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        Ok(Self::of(parse::requirements(text)?))
    }

    /// `None` matches nothing, an empty selector everything.
    pub fn from_label_selector(selector: Option<&LabelSelector>) -> Result<Self, SelectorError> {
        let Some(selector) = selector else { return Ok(Self::nothing()) };
        let mut requirements = Vec::new();
        for (key, value) in selector.match_labels.iter().flatten() {
            requirements.push(Requirement::new(key, Operator::Equals, [value.as_str()])?);
        }
        for expression in selector.match_expressions.iter().flatten() {
            let operator = Operator::of_label_selector(&expression.operator)?;
            let values = expression.values.iter().flatten().map(String::as_str);
            requirements.push(Requirement::new(&expression.key, operator, values)?);
        }
        Ok(Self::of(requirements))
    }

    /// A LabelSelector as JSON; `null` matches nothing.
    pub fn from_json(selector: &Value) -> Result<Self, SelectorError> {
        if let Some(plain) = selector.as_object().filter(|plain| plain.values().all(Value::is_string)) {
            return Ok(Self::from_map(plain.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))));
        }
        let decoded: Option<LabelSelector> =
            serde::Deserialize::deserialize(selector).map_err(|error| SelectorError(error.to_string()))?;
        Self::from_label_selector(decoded.as_ref())
    }

    /// The plain map of a Service's `spec.selector` or a Pod's `spec.nodeSelector`: every pair must be there.
    /// Nothing is validated; a label that no object can have matches none.
    pub fn from_map<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let equals = |(key, value): (&str, &str)| Requirement {
            key: key.to_owned(),
            operator: Operator::Equals,
            values: vec![value.to_owned()],
        };
        Self::of(pairs.into_iter().map(equals).collect())
    }

    pub fn matches(&self, labels: &(impl Labels + ?Sized)) -> bool {
        !self.matches_nothing && self.requirements.iter().all(|requirement| requirement.matches(labels))
    }

    pub fn matches_everything(&self) -> bool {
        !self.matches_nothing && self.requirements.is_empty()
    }

    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    fn of(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Self { requirements, matches_nothing: false }
    }
}

impl Requirement {
    /// Checks the key, the number of values and their form.
    pub fn new<'a>(
        key: &str,
        operator: Operator,
        values: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, SelectorError> {
        let mut values: Vec<String> = values.into_iter().map(str::to_owned).collect();
        values.sort();
        values.dedup();
        let requirement = Self { key: key.to_owned(), operator, values };
        match requirement.faults().as_slice() {
            [] => Ok(requirement),
            [one] => Err(SelectorError(one.clone())),
            many => Err(SelectorError(format!("[{}]", many.join(", ")))),
        }
    }

    /// One expression of a node affinity term.
    pub fn from_node_requirement(requirement: &NodeSelectorRequirement) -> Result<Self, SelectorError> {
        let operator = match requirement.operator.as_str() {
            "Gt" => Operator::Gt,
            "Lt" => Operator::Lt,
            other => Operator::of_set(other)
                .ok_or_else(|| SelectorError(format!("{other:?} is not a valid node selector operator")))?,
        };
        Self::new(&requirement.key, operator, requirement.values.iter().flatten().map(String::as_str))
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    pub fn operator(&self) -> Operator {
        self.operator
    }

    pub fn values(&self) -> &[String] {
        &self.values
    }

    pub fn matches(&self, labels: &(impl Labels + ?Sized)) -> bool {
        self.matches_value(labels.get_label(&self.key))
    }

    /// As [`Requirement::matches`], for a value that is at hand: node affinity's `matchFields` on `metadata.name`.
    pub fn matches_value(&self, found: Option<&str>) -> bool {
        let listed = |value: &str| self.values.iter().any(|one| one == value);
        match self.operator {
            Operator::Equals | Operator::In => found.is_some_and(listed),
            Operator::NotEquals | Operator::NotIn => !found.is_some_and(listed),
            Operator::Exists => found.is_some(),
            Operator::DoesNotExist => found.is_none(),
            Operator::Gt => self.compare(found).is_some_and(|(label, bound)| label > bound),
            Operator::Lt => self.compare(found).is_some_and(|(label, bound)| label < bound),
        }
    }

    fn compare(&self, found: Option<&str>) -> Option<(i64, i64)> {
        Some((found?.parse().ok()?, self.values.first()?.parse().ok()?))
    }

    fn faults(&self) -> Vec<String> {
        let listed = || format!("{:?}", self.values).replace("\", \"", "\",\"");
        let invalid = |detail: &str| format!("values: Invalid value: {}: {detail}", listed());
        let mut faults: Vec<String> = names::check_qualified_name(&self.key)
            .into_iter()
            .map(|fault| format!("key: Invalid value: {:?}: {fault}", self.key))
            .collect();
        match (self.operator, self.values.len()) {
            (Operator::In | Operator::NotIn, 0) => {
                faults.push(invalid("for 'in', 'notin' operators, values set can't be empty"));
            }
            (Operator::Equals | Operator::NotEquals, count) if count != 1 => {
                faults.push(invalid("exact-match compatibility requires one single value"));
            }
            (Operator::Exists | Operator::DoesNotExist, count) if count != 0 => {
                faults.push(invalid("values set must be empty for exists and does not exist"));
            }
            (Operator::Gt | Operator::Lt, count) => {
                if count != 1 {
                    faults.push(invalid("for 'Gt', 'Lt' operators, exactly one value is required"));
                } else if self.values[0].parse::<i64>().is_err() {
                    faults.push(format!(
                        "values[0]: Invalid value: {:?}: for 'Gt', 'Lt' operators, the value must be an integer",
                        self.values[0]
                    ));
                }
            }
            _ => {}
        }
        if !matches!(self.operator, Operator::Gt | Operator::Lt) {
            for (index, value) in self.values.iter().enumerate() {
                let found = names::check_label_value(value).into_iter();
                let at = |fault| format!("values[{index}][{}]: Invalid value: {value:?}: {fault}", self.key);
                faults.extend(found.map(at));
            }
        }
        faults
    }
}

impl Operator {
    fn of_label_selector(text: &str) -> Result<Self, SelectorError> {
        Self::of_set(text).ok_or_else(|| SelectorError(format!("{text:?} is not a valid label selector operator")))
    }

    fn of_set(text: &str) -> Option<Self> {
        Some(match text {
            "In" => Self::In,
            "NotIn" => Self::NotIn,
            "Exists" => Self::Exists,
            "DoesNotExist" => Self::DoesNotExist,
            _ => return None,
        })
    }
}

/// The form that [`Selector::parse`] reads. "Nothing" has none; it shows as `<none>`, as `kubectl` does.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.matches_nothing {
            return f.write_str("<none>");
        }
        for (index, requirement) in self.requirements.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing between brackets is no value at all; on either side of a comma it is the empty one.
        let is_empty_value = self.values.len() == 1 && self.values[0].is_empty();
        let is_set = matches!(self.operator, Operator::In | Operator::NotIn);
        let values = if is_empty_value && is_set { ",".to_owned() } else { self.values.join(",") };
        let key = &self.key;
        match self.operator {
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Exists => write!(f, "{key}"),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::Gt => write!(f, "{key}>{values}"),
            Operator::Lt => write!(f, "{key}<{values}"),
        }
    }
}

impl Labels for BTreeMap<String, String> {
    fn get_label(&self, key: &str) -> Option<&str> {
        self.get(key).map(String::as_str)
    }
}

impl Labels for Object {
    fn get_label(&self, key: &str) -> Option<&str> {
        self.label(key)
    }
}

impl Labels for Map<String, Value> {
    fn get_label(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }
}

/// The `metadata.labels` of an object; what is no map has no labels.
impl Labels for Value {
    fn get_label(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }
}

impl<T: Labels> Labels for Option<T> {
    fn get_label(&self, key: &str) -> Option<&str> {
        self.as_ref()?.get_label(key)
    }
}

impl<T: Labels + ?Sized> Labels for &T {
    fn get_label(&self, key: &str) -> Option<&str> {
        (**self).get_label(key)
    }
}

impl<T: Labels + ?Sized> Labels for std::sync::Arc<T> {
    fn get_label(&self, key: &str) -> Option<&str> {
        (**self).get_label(key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(selector: &str, shown: &str, matching: &[Value], other: &[Value]) {
        let selector = Selector::parse(selector).unwrap();
        assert_eq!(selector.to_string(), shown);
        for labels in matching {
            assert!(selector.matches(labels), "{selector} should match {labels}");
        }
        for labels in other {
            assert!(!selector.matches(labels), "{selector} should not match {labels}");
        }
    }

    #[test]
    fn strings_select() {
        check("", "", &[json!({}), json!({"a": "b"})], &[]);
        check("a=b", "a=b", &[json!({"a": "b", "c": "d"})], &[json!({}), json!({"a": "c"})]);
        check(" a == b , c!=d", "a=b,c!=d", &[json!({"a": "b"})], &[json!({"a": "b", "c": "d"})]);
        check("e in (y, x)", "e in (x,y)", &[json!({"e": "x"})], &[json!({}), json!({"e": "z"})]);
        check("e notin (x)", "e notin (x)", &[json!({}), json!({"e": "z"})], &[json!({"e": "x"})]);
        check("g,!f", "!f,g", &[json!({"g": ""})], &[json!({"g": "", "f": ""}), json!({})]);
        check("n>5,n<9", "n>5,n<9", &[json!({"n": "7"})], &[json!({"n": "9"}), json!({"n": "x"}), json!({})]);
        check("a=", "a=", &[json!({"a": ""})], &[json!({}), json!({"a": "b"})]);
        check("e in (,x)", "e in (,x)", &[json!({"e": ""}), json!({"e": "x"})], &[json!({})]);
        check("e in (,)", "e in (,)", &[json!({"e": ""})], &[json!({}), json!({"e": "x"})]);
        check("in in (in)", "in in (in)", &[json!({"in": "in"})], &[json!({})]);
    }

    #[test]
    fn faulty_strings_are_refused_in_the_words_of_kubernetes() {
        let refused = |text: &str| Selector::parse(text).unwrap_err().to_string();
        assert_eq!(refused("a,"), "found '', expected: identifier after ','");
        assert_eq!(refused(",a"), "found ',', expected: !, identifier, or 'end of string'");
        assert_eq!(refused("a b"), "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt");
        assert_eq!(refused("a in b"), "unable to parse requirement: found 'b' expected: '('");
        assert_eq!(refused("a in (b"), "unable to parse requirement: found '', expected: ',' or ')'");
        assert!(refused("a in ()").contains("values set can't be empty"));
        assert!(refused("-a=b").contains("name part must consist of"));
        assert!(refused("a=-b").contains("a valid label must be an empty string or consist of"));
        assert!(refused("a>b").contains("must be an integer"));
    }

    #[test]
    fn label_selector_objects_select() {
        let selector = Selector::from_json(&json!({
            "matchLabels": {"app": "web"},
            "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["db"]}],
        }));
        let selector = selector.unwrap();
        assert!(selector.matches(&json!({"app": "web"})));
        assert!(!selector.matches(&json!({"app": "web", "tier": "db"})));
        assert_eq!(selector.to_string(), "app=web,tier notin (db)");
        assert!(Selector::from_json(&json!({})).unwrap().matches_everything());
        assert!(!Selector::from_json(&Value::Null).unwrap().matches(&json!({})));
        let faulty = json!({"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]});
        assert_eq!(
            Selector::from_json(&faulty).unwrap_err().to_string(),
            "\"Gt\" is not a valid label selector operator"
        );
    }

    #[test]
    fn node_requirements_compare_integers() {
        let requirement = NodeSelectorRequirement {
            key: "cpus".to_owned(),
            operator: "Gt".to_owned(),
            values: Some(vec!["4".to_owned()]),
        };
        let requirement = Requirement::from_node_requirement(&requirement).unwrap();
        assert!(requirement.matches(&json!({"cpus": "8"})));
        assert!(!requirement.matches(&json!({"cpus": "4"})));
    }

    proptest! {
        #[test]
        fn shown_selectors_parse_back(text in "(!?[a-z]{1,3}|[a-z](=|!=|==)[a-z]{0,2}| ?[a-z] (in|notin) \\(([a-z],){0,2}[a-z]\\))(,[a-z]=[0-9]){0,2}") {
            let selector = Selector::parse(&text).unwrap();
            prop_assert_eq!(&Selector::parse(&selector.to_string()).unwrap(), &selector);
        }

        #[test]
        fn any_text_parses_or_is_refused(text in "[a-z=!(), <>in/.-]{0,20}") {
            let _ = Selector::parse(&text);
        }
    }
}
