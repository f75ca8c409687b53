use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};

use super::types::{FieldType, child_type, has_field};
use crate::schema::Node;

/// A set of field paths, as `managedFields` keeps them (FieldsV1).
///
/// Source: `sigs.k8s.io/structured-merge-diff/fieldpath`. A path may be a member and have members below it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct FieldSet {
    nodes: BTreeMap<PathElement, Branch>,
}

/// One step of a path, in the form that FieldsV1 gives it: `f:name`, `k:{"name":"c"}`, `v:"x"`, `i:0`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct PathElement(String);

/// Never neither a member nor a parent of one, once it is in a set.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Branch {
    pub(super) member: bool,
    pub(super) children: FieldSet,
}

impl FieldSet {
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Reads FieldsV1; `None` when it is not of that form.
    pub fn from_json(fields: &Value) -> Option<Self> {
        let mut set = Self::default();
        for (key, below) in fields.as_object()?.iter().filter(|(key, _)| *key != ".") {
            let children = Self::from_json(below)?;
            let member = children.is_empty() || below.get(".").is_some();
            set.insert(PathElement::parse(key)?, Branch { member, children });
        }
        Some(set)
    }

    /// Writes FieldsV1.
    pub fn to_json(&self) -> Value {
        let mut fields = Map::new();
        for (element, node) in &self.nodes {
            let mut below = node.children.to_json();
            if node.member && !node.children.is_empty() {
                below["."] = json!({});
            }
            fields.insert(element.0.clone(), below);
        }
        Value::Object(fields)
    }

    pub fn union(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.extend(other);
        both
    }

    pub(super) fn extend(&mut self, other: &Self) {
        for (element, node) in &other.nodes {
            self.insert(element.clone(), node.clone());
        }
    }

    /// The members of this set that are not members of the other, whatever lies above or below them.
    pub fn difference(&self, other: &Self) -> Self {
        self.combine(other, |mine, theirs| mine && !theirs)
    }

    pub fn intersection(&self, other: &Self) -> Self {
        self.combine(other, |mine, theirs| mine && theirs)
    }

    /// Without the members of `other` and everything below them.
    pub fn recursive_difference(&self, other: &Self) -> Self {
        let mut rest = Self::default();
        for (element, node) in &self.nodes {
            match other.nodes.get(element) {
                Some(cut) if cut.member => {}
                Some(cut) => {
                    let children = node.children.recursive_difference(&cut.children);
                    rest.insert(element.clone(), Branch { member: node.member, children });
                }
                None => rest.insert(element.clone(), node.clone()),
            }
        }
        rest
    }

    /// Struct fields that have members below them become members themselves, so that a struct left by its last owner
    /// can be told from one that still has one.
    pub(super) fn with_named_fields(&self, object_type: FieldType) -> Self {
        let mut all = Self::default();
        for (element, node) in &self.nodes {
            let (below, named) = match element.step() {
                Step::Field(name) => {
                    let field = child_type(object_type, name);
                    (field, has_field(object_type, name))
                }
                _ => (object_type.and_then(Node::items), false),
            };
            let children = node.children.with_named_fields(below);
            let member = node.member || (named && !children.is_empty());
            all.insert(element.clone(), Branch { member, children });
        }
        all
    }

    /// Every member as Kubernetes writes a path: `.spec.containers[name="c"].image`; those of a level before what lies
    /// deeper.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect_paths("", &mut paths);
        paths
    }

    fn collect_paths(&self, prefix: &str, paths: &mut Vec<String>) {
        let members = self.nodes.iter().filter(|(_, node)| node.member);
        paths.extend(members.map(|(element, _)| format!("{prefix}{element}")));
        for (element, node) in self.nodes.iter().filter(|(_, node)| !node.children.is_empty()) {
            node.children.collect_paths(&format!("{prefix}{element}"), paths);
        }
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn iter(&self) -> impl Iterator<Item = (&PathElement, &Branch)> {
        self.nodes.iter()
    }

    pub(super) fn get(&self, element: &PathElement) -> Option<&Branch> {
        self.nodes.get(element)
    }

    /// Adds to what is there already.
    pub(super) fn insert(&mut self, element: PathElement, node: Branch) {
        if !node.member && node.children.is_empty() {
            return;
        }
        let slot = self.nodes.entry(element).or_default();
        slot.member |= node.member;
        slot.children.extend(&node.children);
    }

    /// A set of plain fields, each given by its dotted path.
    pub(super) fn of_fields(paths: &[&str]) -> Self {
        let mut set = Self::default();
        for path in paths {
            let leaf = Branch { member: true, children: Self::default() };
            let mut steps = path.rsplit('.');
            let last = PathElement::field(steps.next().unwrap_or_default());
            let (element, node) = steps.fold((last, leaf), |(element, node), step| {
                let mut children = Self::default();
                children.insert(element, node);
                (PathElement::field(step), Branch { member: false, children })
            });
            set.insert(element, node);
        }
        set
    }

    fn combine(&self, other: &Self, keep: fn(bool, bool) -> bool) -> Self {
        let (nothing, mut result) = (Branch::default(), Self::default());
        for (element, node) in &self.nodes {
            let theirs = other.nodes.get(element).unwrap_or(&nothing);
            let member = keep(node.member, theirs.member);
            let children = node.children.combine(&theirs.children, keep);
            result.insert(element.clone(), Branch { member, children });
        }
        result
    }
}

impl Branch {
    pub(super) fn leaf() -> Self {
        Self { member: true, children: FieldSet::default() }
    }
}

enum Step<'a> {
    Field(&'a str),
    Key(Map<String, Value>),
    Value(Value),
    Index(&'a str),
}

impl PathElement {
    pub(super) fn field(name: &str) -> Self {
        Self(format!("f:{name}"))
    }

    /// An item of a set.
    pub(super) fn value(item: &Value) -> Self {
        Self(format!("v:{item}"))
    }

    /// An item of a list that is keyed by these fields.
    pub(super) fn key<'a>(keys: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        let sorted: BTreeMap<&str, Value> = keys.into_iter().collect();
        Self(format!("k:{}", json!(sorted)))
    }

    fn parse(text: &str) -> Option<Self> {
        match text.split_at_checked(2)? {
            ("f:", _) => {}
            ("k:", json) => return Some(Self::key(sorted_keys(&serde_json::from_str(json).ok()?))),
            ("v:", json) => return Some(Self::value(&serde_json::from_str(json).ok()?)),
            ("i:", index) => index.parse::<i64>().map(|_| ()).ok()?,
            _ => return None,
        }
        Some(Self(text.to_owned()))
    }

    /// The name, when the step leads to a field.
    #[cfg(any(test, fuzzing))]
    pub(super) fn field_name(&self) -> Option<&str> {
        self.0.strip_prefix("f:")
    }

    fn step(&self) -> Step<'_> {
        let (kind, rest) = self.0.split_at(2);
        match kind {
            "k:" => Step::Key(serde_json::from_str(rest).unwrap_or_default()),
            "v:" => Step::Value(serde_json::from_str(rest).unwrap_or_default()),
            "i:" => Step::Index(rest),
            _ => Step::Field(rest),
        }
    }
}

fn sorted_keys(keys: &Map<String, Value>) -> impl Iterator<Item = (&str, Value)> {
    keys.iter().map(|(name, value)| (name.as_str(), value.clone()))
}

impl fmt::Display for PathElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step() {
            Step::Field(name) => write!(f, ".{name}"),
            Step::Value(item) => write!(f, "[={item}]"),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(keys) => {
                let pairs: BTreeMap<&str, Value> = sorted_keys(&keys).collect();
                let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(f, "[{}]", pairs.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(fields: Value) -> FieldSet {
        FieldSet::from_json(&fields).unwrap()
    }

    fn recorded() -> Value {
        json!({"f:spec": {
            "f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {}, "f:ports": {
                ".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}},
            "f:nodeSelector": {".": {}, "f:none": {}},
        }, "f:metadata": {"f:finalizers": {"v:\"x/y\"": {}}}})
    }

    #[test]
    fn fields_v1_is_read_and_written_back() {
        assert_eq!(set(recorded()).to_json(), recorded());
        assert_eq!(FieldSet::from_json(&json!({"x": {}})), None);
        assert_eq!(FieldSet::from_json(&json!({"k:{": {}})), None);
    }

    #[test]
    fn paths_are_written_as_kubernetes_writes_them() {
        let paths = set(recorded()).paths();
        assert!(paths.contains(&".spec.containers[name=\"c\"].image".to_owned()), "{paths:?}");
        assert!(paths.contains(&".metadata.finalizers[=\"x/y\"]".to_owned()), "{paths:?}");
        assert!(
            paths.iter().any(|path| path.ends_with(".ports[containerPort=80,protocol=\"TCP\"].containerPort")),
            "{paths:?}"
        );
    }

    #[test]
    fn members_are_subtracted_one_by_one() {
        let all = set(json!({"f:a": {".": {}, "f:b": {}, "f:c": {}}}));
        let some = set(json!({"f:a": {".": {}, "f:b": {}}}));
        assert_eq!(all.difference(&some), set(json!({"f:a": {"f:c": {}}})));
        assert_eq!(all.intersection(&some), some);
        assert_eq!(all.difference(&some).union(&some), all);
        assert!(all.difference(&all).is_empty());
        assert!(all.recursive_difference(&set(json!({"f:a": {}}))).is_empty());
    }
}
