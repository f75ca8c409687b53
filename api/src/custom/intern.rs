use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::definition::Definition;
use super::keep;

/// Distinct definitions that one process makes kinds of, each for as long as it lives (decision 60). A cluster has some
/// hundred; each edit of one is another.
pub(crate) const DEFINITIONS_MAX: usize = 2000;
/// Of their texts together; what is made of a text takes some times its size.
pub(crate) const DEFINITIONS_BYTES_MAX: usize = 64 * 1024 * 1024;

#[derive(Default)]
struct Interned {
    by_identity: HashMap<String, Option<&'static Definition>>,
    bytes: usize,
}

static INTERNED: LazyLock<Mutex<Interned>> = LazyLock::new(Mutex::default);

/// The kinds of a definition: the same ones as before when nothing that they depend on has changed. `None` when the
/// process has made as many as it may.
pub(super) fn intern(crd: &Value) -> Option<&'static Definition> {
    let identity = Definition::identity(crd).to_string();
    let mut interned = interned();
    if let Some(known) = interned.by_identity.get(&identity) {
        return *known;
    }
    if !interned.has_room(identity.len()) {
        return None;
    }
    let made = Definition::build(crd).map(keep);
    interned.bytes += identity.len();
    interned.by_identity.insert(identity, made);
    made
}

/// Whether [`intern`] would succeed.
pub(super) fn has_room(crd: &Value) -> bool {
    let identity = Definition::identity(crd).to_string();
    let interned = interned();
    interned.by_identity.contains_key(&identity) || interned.has_room(identity.len())
}

impl Interned {
    fn has_room(&self, bytes: usize) -> bool {
        self.by_identity.len() < DEFINITIONS_MAX && self.bytes + bytes <= DEFINITIONS_BYTES_MAX
    }
}

fn interned() -> MutexGuard<'static, Interned> {
    INTERNED.lock().unwrap_or_else(PoisonError::into_inner)
}
