use serde_json::{Value, json};
use wasmk_api::kind::Kind;

use super::Catalog;
use crate::subresource::{self, Subresource};

/// The `APIResourceList` of a group version; `None` when there is no such.
pub(super) fn list(catalog: &Catalog, group: &str, version: &str) -> Option<Value> {
    let resources: Vec<Value> = catalog.of_version(group, version).flat_map(entries).collect();
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    (!resources.is_empty()).then(|| {
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources})
    })
}

fn entries(kind: &'static Kind) -> impl Iterator<Item = Value> {
    let subresources = subresource::of(kind).map(|subresource| subresource_entry(kind, subresource));
    std::iter::once(entry(kind)).chain(subresources)
}

fn entry(kind: &Kind) -> Value {
    let mut entry = json!({
        "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.kind,
        "verbs": kind.verbs,
    });
    if !kind.short_names.is_empty() {
        entry["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        entry["categories"] = json!(kind.categories);
    }
    entry
}

fn subresource_entry(kind: &Kind, subresource: &Subresource) -> Value {
    let mut entry = json!({
        "name": format!("{}/{}", kind.plural, subresource.name), "singularName": "",
        "namespaced": kind.namespaced, "kind": kind.kind,
        "verbs": subresource.verbs.iter().map(|verb| verb.as_str()).collect::<Vec<_>>(),
    });
    if let Some((group, version, name)) = subresource.body {
        entry["kind"] = json!(name);
        if (group, version) == (kind.group, kind.version) {
            return entry;
        }
        entry["group"] = json!(group);
        entry["version"] = json!(version);
    }
    entry
}
