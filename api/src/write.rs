//! What becomes of an object that somebody wants to write: defaulting, validation, metadata. The API server and the
//! controllers' driver both write through here, so there is one meaning of a create, an update and a delete.
//!
//! Pure: the outcome is a [`Prepared`] value, which the caller commits (see [`Prepared::into_ops`]). Nothing is read but the
//! [`Context`].

mod binding;
mod context;
mod create;
mod delete;
mod fields;
pub(crate) mod metadata;
mod scale;
mod update;

use serde_json::Value;

pub use binding::bind;
pub use context::{Context, FieldValidation, Settings};
pub use create::create;
pub use delete::{DeleteOptions, Propagation, delete};
pub use fields::decode;
pub use scale::{applied_scale, scale, set_scale};
pub use update::{Part, update};

use crate::kind::Kind;
use crate::{Key, Op, Precondition};

/// What a write would do.
#[derive(Clone, PartialEq, Debug)]
pub struct Prepared {
    pub effect: Effect,
    /// The whole object as it will be, or, when it goes, as it last was.
    pub value: Value,
    /// For `Warning` headers.
    pub warnings: Vec<String>,
    /// What the object reserves and gives back in the same transaction, such as a Service's ports.
    pub reservation: Reservation,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// The object is stored.
    Put,
    /// The object goes: deleted, or its last finalizer was cleared.
    Remove,
    /// Nothing is to be written: the object is already what was asked for, and keeps its revision.
    Unchanged,
}

/// Keys of the internal objects behind what must be unique in the cluster.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Reservation {
    pub taken: Vec<Key>,
    pub released: Vec<Key>,
}

impl Prepared {
    /// The operations to commit, the object's own first; none when nothing changes. `precondition` guards the object:
    /// `Absent` for a create, the revision that was read for the rest.
    pub fn into_ops(self, kind: &Kind, precondition: Precondition) -> Vec<Op> {
        let key = self.key(kind);
        let first = match self.effect {
            Effect::Unchanged => return Vec::new(),
            Effect::Put => Op::Put { key: key.clone(), value: self.value, precondition },
            Effect::Remove => Op::Delete { key: key.clone(), precondition },
        };
        let taken = self.reservation.taken.into_iter().map(|reserved| Op::Put {
            value: reservation_value(&reserved, &key),
            key: reserved,
            precondition: Precondition::Absent,
        });
        let released =
            self.reservation.released.into_iter().map(|key| Op::Delete { key, precondition: Precondition::Any });
        std::iter::once(first).chain(taken).chain(released).collect()
    }

    /// Where the object is stored.
    pub fn key(&self, kind: &Kind) -> Key {
        let text = |field: &str| self.value["metadata"][field].as_str().unwrap_or_default();
        Key::new(kind.resource_name(), text("namespace"), text("name"))
    }

    pub(crate) fn unchanged(value: Value) -> Self {
        Self { effect: Effect::Unchanged, value, warnings: Vec::new(), reservation: Reservation::default() }
    }
}

fn reservation_value(key: &Key, owner: &Key) -> Value {
    serde_json::json!({"metadata": {"name": &*key.name}, "owner": owner.to_string()})
}

#[cfg(test)]
mod tests;
