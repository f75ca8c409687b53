use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use wasmk_api::{Change, ChangeKind, Key, Object};

use crate::pod;

/// One question that the index answers with a set of keys.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum IndexKey {
    /// Whatever has an owner reference to this uid.
    Owner(Box<str>),
    /// Pods bound to this node.
    Node(Box<str>),
    /// Objects of a resource in a namespace with this label: `resource/namespace/key=value`.
    Label(Box<str>),
    /// Objects of a resource in a namespace whose selector asks for this label, if it is the one they are filed under.
    Selector(Box<str>),
    /// Slices of `namespace/service`.
    Service(Box<str>),
    /// Pods on this node that were marked not ready because the node is out of reach.
    Unreachable(Box<str>),
    /// Pods that Succeeded or Failed, in the whole cluster.
    FinishedPods,
}

/// Resources that are looked up by label.
const LABELLED: [&str; 2] = ["pods", "replicasets.apps"];
/// Resources that select others by label.
const SELECTING: [&str; 5] =
    ["services", "replicationcontrollers", "replicasets.apps", "deployments.apps", wasmk_api::disruption::RESOURCE];
/// Those of them whose selector is a plain map.
const SELECTING_PLAINLY: [&str; 2] = ["services", "replicationcontrollers"];

#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Index(HashMap<IndexKey, BTreeSet<Key>>);

impl IndexKey {
    pub(crate) fn owner(uid: &str) -> Self {
        Self::Owner(uid.into())
    }

    pub(crate) fn node(name: &str) -> Self {
        Self::Node(name.into())
    }

    pub(crate) fn unreachable(node: &str) -> Self {
        Self::Unreachable(node.into())
    }

    pub(crate) fn label(resource: &str, namespace: &str, key: &str, value: &str) -> Self {
        Self::Label(format!("{resource}/{namespace}/{key}={value}").into())
    }

    pub(crate) fn selector(resource: &str, namespace: &str, key: &str, value: &str) -> Self {
        Self::Selector(format!("{resource}/{namespace}/{key}={value}").into())
    }

    /// Where selectors that ask for no particular label are filed.
    pub(crate) fn selector_any(resource: &str, namespace: &str) -> Self {
        Self::Selector(format!("{resource}/{namespace}/").into())
    }

    pub(crate) fn service(namespace: &str, name: &str) -> Self {
        Self::Service(format!("{namespace}/{name}").into())
    }
}

impl Index {
    pub(super) fn apply(&mut self, change: &Change) {
        let old = change.previous.as_deref().map(index_keys).unwrap_or_default();
        let new = if change.kind == ChangeKind::Deleted { Vec::new() } else { index_keys(&change.object) };
        if old == new {
            return;
        }
        let key = change.object.key();
        for gone in old {
            self.remove(gone, key);
        }
        for entry in new {
            self.0.entry(entry).or_default().insert(key.clone());
        }
    }

    pub(super) fn keys<'a>(&'a self, key: &IndexKey) -> impl Iterator<Item = &'a Key> + use<'a> {
        self.0.get(key).into_iter().flatten()
    }

    pub(super) fn count(&self, key: &IndexKey) -> usize {
        self.0.get(key).map_or(0, BTreeSet::len)
    }

    fn remove(&mut self, entry: IndexKey, key: &Key) {
        if let Some(keys) = self.0.get_mut(&entry) {
            keys.remove(key);
            if keys.is_empty() {
                self.0.remove(&entry);
            }
        }
    }
}

fn index_keys(object: &Object) -> Vec<IndexKey> {
    let resource = object.key().resource.as_str();
    let mut keys: Vec<IndexKey> =
        object.owner_references().filter_map(|owner| owner["uid"].as_str()).map(IndexKey::owner).collect();
    if LABELLED.contains(&resource) {
        keys.extend(object.labels().map(|(key, value)| IndexKey::label(resource, object.namespace(), key, value)));
    }
    if SELECTING.contains(&resource) {
        keys.extend(selector_entry(resource, object));
    }
    match resource {
        "pods" => {
            keys.extend(pod::node_name(object).map(IndexKey::node));
            keys.extend(
                pod::node_name(object).filter(|_| pod::is_marked_unreachable(object)).map(IndexKey::unreachable),
            );
            keys.extend(pod::is_finished(object).then_some(IndexKey::FinishedPods));
        }
        "endpointslices.discovery.k8s.io" => {
            keys.extend(
                object
                    .label(crate::endpoint_slice::SERVICE_LABEL)
                    .map(|name| IndexKey::service(object.namespace(), name)),
            );
        }
        _ => {}
    }
    keys
}

/// A selector is filed under one of its labels only: the longest value, which is likely the most telling.
fn selector_entry(resource: &str, object: &Object) -> Option<IndexKey> {
    let selector = &object.value()["spec"]["selector"];
    let pairs = if SELECTING_PLAINLY.contains(&resource) { selector } else { &selector["matchLabels"] };
    let pairs = pairs.as_object().into_iter().flatten().filter_map(|(key, value)| Some((key, value.as_str()?)));
    match pairs.max_by_key(|(key, value)| (value.len(), *key)) {
        Some((key, value)) => Some(IndexKey::selector(resource, object.namespace(), key, value)),
        // A Service without a selector selects nothing; the others need expressions to be looked at.
        None if resource == "services" || *selector == Value::Null => None,
        None => Some(IndexKey::selector_any(resource, object.namespace())),
    }
}
