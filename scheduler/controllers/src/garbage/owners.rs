use serde_json::Value;
use wasmk_api::{Key, Object, kind};

use super::{FOREGROUND, has_finalizer};
use crate::View;

/// What became of an owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    Present,
    /// Gone, or another object of the same name has taken its place.
    Absent,
    /// Waits for its dependents to go first.
    DeletedInForeground,
    /// A namespaced owner of a cluster-scoped object: which namespace is meant cannot be known.
    Misplaced,
}

/// An owner of a kind that we do not know counts as present: we cannot tell that it is gone.
pub(super) fn owner_of(view: &View, dependent: &Object, reference: &Value) -> Owner {
    let Some(kind) = kind_of(view, reference) else { return Owner::Present };
    if kind.namespaced && dependent.namespace().is_empty() {
        return Owner::Misplaced;
    }
    let owner = owner_key(view, dependent, reference).and_then(|key| view.get(&key));
    match owner.filter(|owner| reference["uid"] == owner.uid()) {
        None => Owner::Absent,
        Some(owner) if owner.is_deleting() && has_finalizer(owner, FOREGROUND) => Owner::DeletedInForeground,
        Some(_) => Owner::Present,
    }
}

/// Where the owner would be: in the dependent's own namespace, or in none.
pub(super) fn owner_key(view: &View, dependent: &Object, reference: &Value) -> Option<Key> {
    let kind = kind_of(view, reference)?;
    let namespace = if kind.namespaced { dependent.namespace() } else { "" };
    Some(Key::new(kind.resource_name(), namespace, reference["name"].as_str()?))
}

fn kind_of(view: &View, reference: &Value) -> Option<&'static kind::Kind> {
    kind::find_api_version(view.snapshot(), reference["apiVersion"].as_str()?, reference["kind"].as_str()?)
}
