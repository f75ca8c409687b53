//! `APIGroupDiscoveryList`: everything in two answers. Source: KEP-3352.

use serde_json::{Value, json};
use wasmk_api::kind::Kind;

use super::Catalog;
use crate::subresource::{self, Subresource};

/// For `/api`; `version` is that of `apidiscovery.k8s.io`.
pub(super) fn core(catalog: &Catalog, version: &str) -> Value {
    list(catalog, version, vec![""])
}

/// For `/apis`.
pub(super) fn groups(catalog: &Catalog, version: &str) -> Value {
    list(catalog, version, catalog.groups().into_iter().filter(|name| !name.is_empty()).collect())
}

fn list(catalog: &Catalog, version: &str, groups: Vec<&str>) -> Value {
    let items: Vec<Value> = groups.into_iter().map(|name| group(catalog, name)).collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {}, "items": items,
    })
}

fn group(catalog: &Catalog, name: &str) -> Value {
    let version = |version: &str| {
        let resources: Vec<Value> = catalog.of_version(name, version).map(resource).collect();
        json!({"version": version, "resources": resources, "freshness": "Current"})
    };
    let versions: Vec<Value> = catalog.versions(name).into_iter().map(version).collect();
    let metadata = if name.is_empty() { json!({}) } else { json!({"name": name}) };
    json!({"metadata": metadata, "versions": versions})
}

fn resource(kind: &Kind) -> Value {
    let mut resource = json!({
        "resource": kind.plural,
        "responseKind": gvk(kind.group, kind.version, kind.kind),
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": kind.verbs,
    });
    if !kind.short_names.is_empty() {
        resource["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        resource["categories"] = json!(kind.categories);
    }
    let subresources: Vec<Value> = subresource::of(kind).map(|one| subresource_json(kind, one)).collect();
    if !subresources.is_empty() {
        resource["subresources"] = json!(subresources);
    }
    resource
}

fn subresource_json(kind: &Kind, subresource: &Subresource) -> Value {
    let (group, version, name) = subresource.body.unwrap_or((kind.group, kind.version, kind.kind));
    json!({
        "subresource": subresource.name,
        "responseKind": gvk(group, version, name),
        "verbs": subresource.verbs.iter().map(|verb| verb.as_str()).collect::<Vec<_>>(),
    })
}

fn gvk(group: &str, version: &str, kind: &str) -> Value {
    json!({"group": group, "version": version, "kind": kind})
}
