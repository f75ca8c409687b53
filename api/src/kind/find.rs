//! The kinds that are served: those of the registry, and those that the definitions of a snapshot make. Whoever looks a
//! kind up for a request or an object asks here.

use super::{Kind, all, by_gvk, by_path, by_resource, stored};
use crate::custom::{self, CRDS, Definition};
use crate::{Key, ResourceName, Snapshot};

/// Every kind, views among them; the registry's first.
pub fn served(snapshot: &Snapshot) -> Vec<&'static Kind> {
    let custom = custom::definitions(snapshot).flat_map(|definition| definition.served.iter());
    all().iter().chain(custom).copied().collect()
}

/// Every kind that objects are stored as, one a resource; also those that are on their way out.
pub fn stored_kinds(snapshot: &Snapshot) -> impl Iterator<Item = &'static Kind> {
    stored().chain(custom::definitions(snapshot).map(|definition| definition.stored))
}

/// The kind of a request's path. Costs the same however many definitions there are: their names say what they define.
pub fn find_path(snapshot: &Snapshot, group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    by_path(group, version, plural).or_else(|| {
        let definition = definition(snapshot, &ResourceName::new(plural, group))?;
        definition.served.iter().copied().find(|kind| kind.version == version)
    })
}

pub fn find_gvk(snapshot: &Snapshot, group: &str, version: &str, kind: &str) -> Option<&'static Kind> {
    let is_wanted = |one: &&'static Kind| one.kind == kind && one.group == group && one.version == version;
    by_gvk(group, version, kind).or_else(|| {
        custom::definitions(snapshot).find_map(|definition| definition.served.iter().copied().find(is_wanted))
    })
}

/// As [`find_gvk`], from an object's `apiVersion` and `kind`.
pub fn find_api_version(snapshot: &Snapshot, api_version: &str, kind: &str) -> Option<&'static Kind> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    find_gvk(snapshot, group, version, kind)
}

/// The kind that objects of a resource are stored as.
pub fn find_resource(snapshot: &Snapshot, resource: &ResourceName) -> Option<&'static Kind> {
    by_resource(resource).or_else(|| Some(definition(snapshot, resource)?.stored))
}

fn definition(snapshot: &Snapshot, resource: &ResourceName) -> Option<&'static Definition> {
    custom::definition(snapshot.get(&Key::new(CRDS.clone(), "", resource.as_str()))?)
}
