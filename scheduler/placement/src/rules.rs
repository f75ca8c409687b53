//! Rules about other pods: inter-pod affinity and anti-affinity, and topology spread.
//! Sources: the plugins `InterPodAffinity` and `PodTopologySpread` of kube-scheduler.

mod parse;
mod state;

use std::collections::BTreeSet;
use std::sync::Arc;

use wasmk_api::{Object, Selector};

pub(crate) use parse::anti_affinity_terms;
pub(crate) use state::{Blocked, RuleState};

/// What a pod demands or wishes about the pods around it.
#[derive(Default)]
pub(crate) struct Rules {
    pub(super) rules: Vec<Rule>,
}

/// One term. It counts the pods that it selects in each topology domain, which is the nodes that share a label's value.
pub(crate) struct Rule {
    pub(super) kind: Kind,
    pub(super) topology_key: String,
    pub(super) selected: Selected,
    /// Whether a pod of the group itself counts.
    pub(super) selects_itself: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Kind {
    Affinity,
    AntiAffinity,
    /// Negative to keep away.
    Preferred {
        weight: i64,
    },
    Spread {
        skew_max: i64,
        domains_min: i64,
    },
    PreferredSpread,
}

/// Pods by labels and namespace.
pub(crate) struct Selected {
    pub(super) selector: Selector,
    /// `None` is every namespace.
    pub(super) namespaces: Option<BTreeSet<String>>,
}

impl Rules {
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl Selected {
    pub(super) fn contains(&self, pod: &Object) -> bool {
        self.namespaces.as_ref().is_none_or(|names| names.contains(pod.namespace())) && self.selector.matches(pod)
    }

    pub(super) fn count<'a>(&self, pods: impl Iterator<Item = &'a Arc<Object>>) -> i64 {
        pods.filter(|pod| self.contains(pod)).count() as i64
    }
}
