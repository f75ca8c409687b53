//! `APIGroupDiscoveryList`: everything in two answers. Source: KEP-3352.

use serde_json::{Value, json};
use wasmk_api::kind::Kind;

use super::{group_names, resources, versions};
use crate::subresource::{self, Subresource};

/// For `/api`; `version` is that of `apidiscovery.k8s.io`.
pub(super) fn core(version: &str) -> Value {
    list(version, vec![""])
}

/// For `/apis`.
pub(super) fn groups(version: &str) -> Value {
    list(version, group_names().into_iter().filter(|name| !name.is_empty()).collect())
}

fn list(version: &str, groups: Vec<&str>) -> Value {
    let items: Vec<Value> = groups.into_iter().map(group).collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {}, "items": items,
    })
}

fn group(name: &str) -> Value {
    let version = |version: &str| {
        let resources: Vec<Value> = resources::kinds(name, version).map(resource).collect();
        json!({"version": version, "resources": resources, "freshness": "Current"})
    };
    let versions: Vec<Value> = versions(name).into_iter().map(version).collect();
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
