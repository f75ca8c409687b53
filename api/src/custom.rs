//! Kinds that are defined while the server runs: CustomResourceDefinitions (apiextensions.k8s.io/v1) and their objects.
//!
//! A definition makes one [`Kind`](crate::Kind) a served version, which then goes through the same machinery as those of
//! the registry. Kinds live as long as the process, and are the same ones as long as what they are made from is the same:
//! see decision 60. What differs for custom kinds (pruning, defaults, validation by a structural schema and by rules) is
//! here; everything below is pure but for the table of kinds that were made.

mod cel;
mod columns;
pub(crate) mod crd;
mod default;
mod definition;
mod duration;
mod intern;
#[cfg(any(test, fuzzing))]
pub(crate) mod laws;
mod node;
mod object;
mod prune;
mod scale;
mod schema;
#[cfg(test)]
mod tests;
mod validate;

use std::sync::LazyLock;

pub(crate) use definition::{CustomKind, Definition};
pub(crate) use intern::DEFINITIONS_MAX;
use intern::{has_room, intern};
pub(crate) use object::{check_definition, decode, shown, validate};
pub(crate) use scale::ScalePaths;

use crate::{Object, ResourceName, Snapshot};

/// Where definitions are stored.
pub(crate) static CRDS: LazyLock<ResourceName> =
    LazyLock::new(|| ResourceName::new("customresourcedefinitions", "apiextensions.k8s.io"));

/// The definitions whose kinds are served, in the order of their names.
pub(crate) fn definitions(snapshot: &Snapshot) -> impl Iterator<Item = &'static Definition> {
    snapshot.list(&CRDS, None).filter_map(|crd| definition(crd))
}

/// What a stored CustomResourceDefinition makes; nothing until it is established.
pub(crate) fn definition(crd: &Object) -> Option<&'static Definition> {
    *crd.derived(|crd| if crd::is_established(crd.value()) { intern(crd.value()) } else { None })
}

/// Keeps a value for as long as the process lives.
fn keep<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn keep_text(text: &str) -> &'static str {
    Box::leak(text.into())
}
