use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Affinity, PodAffinityTerm, TopologySpreadConstraint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use serde::Deserialize;
use wasmk_api::{Object, Selector, Snapshot};

use super::{Kind, Rule, Rules, Selected};

impl Rules {
    pub(crate) fn new(
        pod: &Object,
        affinity: &Affinity,
        spread: &[TopologySpreadConstraint],
        snapshot: &Snapshot,
    ) -> Self {
        let mut rules = Vec::new();
        let mut push = |kind, term: &PodAffinityTerm| rules.push(Rule::of_term(kind, term, pod, snapshot));
        if let Some(near) = &affinity.pod_affinity {
            let required = near.required_during_scheduling_ignored_during_execution.iter().flatten();
            required.for_each(|term| push(Kind::Affinity, term));
            for one in near.preferred_during_scheduling_ignored_during_execution.iter().flatten() {
                push(Kind::Preferred { weight: one.weight.into() }, &one.pod_affinity_term);
            }
        }
        if let Some(apart) = &affinity.pod_anti_affinity {
            let required = apart.required_during_scheduling_ignored_during_execution.iter().flatten();
            required.for_each(|term| push(Kind::AntiAffinity, term));
            for one in apart.preferred_during_scheduling_ignored_during_execution.iter().flatten() {
                push(Kind::Preferred { weight: -i64::from(one.weight) }, &one.pod_affinity_term);
            }
        }
        rules.extend(spread.iter().map(|constraint| Rule::of_spread(constraint, pod)));
        Self { rules }
    }
}

impl Rule {
    fn of_term(kind: Kind, term: &PodAffinityTerm, pod: &Object, snapshot: &Snapshot) -> Self {
        Self::new(kind, &term.topology_key, selected_by(term, pod, snapshot), pod)
    }

    fn of_spread(constraint: &TopologySpreadConstraint, pod: &Object) -> Self {
        let kind = match constraint.when_unsatisfiable.as_str() {
            "ScheduleAnyway" => Kind::PreferredSpread,
            _ => Kind::Spread {
                skew_max: constraint.max_skew.into(),
                domains_min: constraint.min_domains.unwrap_or(1).into(),
            },
        };
        let selector = selector(constraint.label_selector.as_ref(), constraint.match_label_keys.as_deref(), None, pod);
        let namespaces = Some(BTreeSet::from([pod.namespace().to_owned()]));
        Self::new(kind, &constraint.topology_key, Selected { selector, namespaces }, pod)
    }

    fn new(kind: Kind, topology_key: &str, selected: Selected, pod: &Object) -> Self {
        Self { kind, topology_key: topology_key.to_owned(), selects_itself: selected.contains(pod), selected }
    }
}

/// The required anti-affinity terms of a pod that is placed: topology key, and what it wants none of.
pub(crate) fn anti_affinity_terms(pod: &Object, snapshot: &Snapshot) -> Vec<(String, Selected)> {
    let affinity = Affinity::deserialize(&pod.value()["spec"]["affinity"]).unwrap_or_default();
    let apart = affinity.pod_anti_affinity.unwrap_or_default();
    let terms = apart.required_during_scheduling_ignored_during_execution.unwrap_or_default();
    terms.into_iter().map(|term| (term.topology_key.clone(), selected_by(&term, pod, snapshot))).collect()
}

/// Without any namespaces, a term is about the pod's own.
fn selected_by(term: &PodAffinityTerm, pod: &Object, snapshot: &Snapshot) -> Selected {
    let (matching, mismatching) = (term.match_label_keys.as_deref(), term.mismatch_label_keys.as_deref());
    let selector = selector(term.label_selector.as_ref(), matching, mismatching, pod);
    let mut namespaces: BTreeSet<String> = term.namespaces.iter().flatten().cloned().collect();
    let Some(by_label) = &term.namespace_selector else {
        if namespaces.is_empty() {
            namespaces.insert(pod.namespace().to_owned());
        }
        return Selected { selector, namespaces: Some(namespaces) };
    };
    let by_label = Selector::from_label_selector(Some(by_label)).unwrap_or_else(|_| Selector::nothing());
    if by_label.matches_everything() {
        return Selected { selector, namespaces: None };
    }
    let resource = "namespaces".into();
    let matching = snapshot.list(&resource, None).filter(|namespace| by_label.matches(&***namespace));
    namespaces.extend(matching.map(|namespace| namespace.name().to_owned()));
    Selected { selector, namespaces: Some(namespaces) }
}

/// The label selector, narrowed to pods that have (or have not) this pod's values of the given labels.
fn selector(base: Option<&LabelSelector>, same: Option<&[String]>, other: Option<&[String]>, pod: &Object) -> Selector {
    let Some(mut selector) = base.cloned() else { return Selector::nothing() };
    let expressions = selector.match_expressions.get_or_insert_default();
    for (keys, operator) in [(same, "In"), (other, "NotIn")] {
        for key in keys.into_iter().flatten() {
            expressions.extend(pod.label(key).map(|value| LabelSelectorRequirement {
                key: key.clone(),
                operator: operator.to_owned(),
                values: Some(vec![value.to_owned()]),
            }));
        }
    }
    Selector::from_label_selector(Some(&selector)).unwrap_or_else(|_| Selector::nothing())
}
