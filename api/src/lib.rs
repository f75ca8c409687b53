//! The object model of wasmk: what every other crate agrees on.
//!
//! Pure data and pure functions: no I/O, no clock, no async runtime. Time, uids and randomness come in as arguments.
//! An object is kept as the JSON that was accepted ([`Object`]), addressed by a [`Key`], seen through an immutable
//! [`Snapshot`], and changed only by a [`Transaction`], whose meaning is the pure function [`Snapshot::apply`].
//! Whatever is refused is refused with a Kubernetes [`Status`].
//!
//! [`kind`] is the table of everything that differs from kind to kind; adding a kind means adding an entry there.
//! [`write`] is what a create, an update and a delete mean, for the API server and for controllers alike: defaults,
//! validation, metadata, reservations. [`patch`] makes the new object of a patch, [`schema`] knows fields and how lists
//! merge, [`table`] shows objects as rows, [`stream`] is how commands talk with their callers across the node port.
//!
//! Deliberately absent: any say in who may do what.

#[cfg(any(test, fuzzing))]
mod arbitrary;
mod custom;
mod field;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod nesting;
mod object;
mod snapshot;
mod status;
mod unsupported;

pub mod definition;
pub mod disruption;
pub mod jsonpath;
pub mod kind;
pub mod names;
pub mod patch;
pub mod pod_references;
pub mod quantity;
pub mod schema;
pub mod selector;
pub mod stream;
pub mod table;
pub mod usage;
pub mod write;

pub use kind::Kind;
pub use nesting::NESTING_MAX;
pub use object::{DecodeError, Key, Object, ResourceName};
pub use quantity::Quantity;
pub use selector::{FieldSelector, Selector};
pub use snapshot::{Change, ChangeKind, Conflict, Op, Precondition, Snapshot, Transaction};
pub use status::{Cause, Reason, Status};
