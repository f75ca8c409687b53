//! CustomResourceDefinitions, as their controller sees them.

use jiff::Timestamp;
use serde_json::Value;

use crate::custom::crd;
use crate::{Object, Snapshot};

/// Keeps a definition until its objects have gone.
pub const FINALIZER: &str = crd::FINALIZER;

/// The definition with the status that it should have beside the others of the snapshot; itself when it has that.
pub fn settled(definition: &Object, snapshot: &Snapshot, now: Timestamp) -> Value {
    let mut value = definition.value().clone();
    crd::settle(&mut value, snapshot, now);
    value
}
