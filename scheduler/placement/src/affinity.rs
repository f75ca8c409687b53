use k8s_openapi::api::core::v1::{NodeAffinity, NodeSelectorTerm};
use serde_json::Value;
use wasmk_api::Selector;
use wasmk_api::selector::Requirement;

use crate::node::Node;

/// Which nodes a pod may run on, and which it would like.
#[derive(Debug, Default)]
pub(crate) struct NodeChoice {
    selector: Selector,
    /// One of these must match, if there are any requirements at all.
    required: Option<Vec<Term>>,
    preferred: Vec<(i64, Term)>,
}

#[derive(Debug)]
struct Term {
    labels: Vec<Requirement>,
    names: Vec<Requirement>,
    /// A term without expressions, or with one that cannot be read, matches nothing.
    matches_nothing: bool,
}

impl NodeChoice {
    /// `node_selector` is `spec.nodeSelector`.
    pub(crate) fn new(node_selector: &Value, affinity: Option<&NodeAffinity>) -> Self {
        let pairs = node_selector.as_object().into_iter().flatten();
        let selector = Selector::from_map(pairs.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))));
        let required =
            affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
        let preferred =
            affinity.and_then(|affinity| affinity.preferred_during_scheduling_ignored_during_execution.as_ref());
        Self {
            selector,
            required: required.map(|required| required.node_selector_terms.iter().map(Term::new).collect()),
            preferred: preferred
                .into_iter()
                .flatten()
                .map(|one| (one.weight.into(), Term::new(&one.preference)))
                .collect(),
        }
    }

    pub(crate) fn allows(&self, node: &Node) -> bool {
        self.selector.matches(&node.labels)
            && self.required.as_ref().is_none_or(|terms| terms.iter().any(|term| term.matches(node)))
    }

    /// The weight of what matches, out of [`NodeChoice::weight_max`].
    pub(crate) fn weight(&self, node: &Node) -> i64 {
        self.preferred.iter().filter(|(_, term)| term.matches(node)).map(|(weight, _)| weight).sum()
    }

    pub(crate) fn weight_max(&self) -> i64 {
        self.preferred.iter().map(|(weight, _)| weight).sum()
    }
}

impl Term {
    fn new(term: &NodeSelectorTerm) -> Self {
        let parse = |requirements: &Option<Vec<_>>| -> Result<Vec<Requirement>, _> {
            requirements.iter().flatten().map(Requirement::from_node_requirement).collect()
        };
        match (parse(&term.match_expressions), parse(&term.match_fields)) {
            (Ok(labels), Ok(names)) => {
                let matches_nothing = labels.is_empty() && names.is_empty();
                Self { labels, names, matches_nothing }
            }
            _ => Self { labels: Vec::new(), names: Vec::new(), matches_nothing: true },
        }
    }

    fn matches(&self, node: &Node) -> bool {
        // The only field that Kubernetes knows here is metadata.name.
        !self.matches_nothing
            && self.labels.iter().all(|requirement| requirement.matches(&node.labels))
            && self.names.iter().all(|requirement| requirement.matches_value(Some(&node.name)))
    }
}
