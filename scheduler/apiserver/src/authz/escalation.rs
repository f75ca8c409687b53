//! Nobody grants what they do not have, unless they may `escalate` roles or `bind` this one. Source:
//! `k8s.io/kubernetes/pkg/registry/rbac`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use wasmk_api::{Reason, Snapshot, Status};

use super::{Attributes, What, decide, rbac, rule};
use crate::Identity;
use crate::request::ResourcePath;

/// Verbs times things of all rules of a role. Those of `cluster-admin` are 2, those of `admin` some hundreds.
const SIZE_MAX: usize = 20_000;
/// What is missing beyond that is not listed.
const MISSING_MAX: usize = 500;
const GROUP: &str = "rbac.authorization.k8s.io";

/// Of writes of roles and bindings; `path` is what the request is about.
pub(super) fn check(
    identity: &Identity,
    path: &ResourcePath,
    snapshot: &Snapshot,
    old: Option<&Value>,
    new: &Value,
) -> Result<(), Status> {
    if path.group != GROUP || old.is_some_and(|old| same_but_for_the_garbage_collector(old, new)) {
        return Ok(());
    }
    let may = |verb: &str, what: &ResourcePath| {
        decide(&Attributes { identity, verb, what: What::Resource(what) }, snapshot).allowed
    };
    let name = new["metadata"]["name"].as_str().unwrap_or_default();
    let rules = match path.resource.as_str() {
        "roles" | "clusterroles" => {
            if may("escalate", &ResourcePath { name: name.to_owned(), ..path.clone() }) {
                return Ok(());
            }
            role_rules(new)
        }
        "rolebindings" | "clusterrolebindings" => {
            let key = rbac::role_key(&new["roleRef"], &path.namespace);
            let (resource, _) = key.resource.as_str().split_once('.').unwrap_or_default();
            let role = ResourcePath { resource: resource.to_owned(), name: key.name.to_string(), ..path.clone() };
            if may("bind", &role) {
                return Ok(());
            }
            let role = rbac::role(new, &path.namespace, snapshot);
            let role = role.ok_or_else(|| Status::not_found(resource, GROUP, &key.name))?;
            list(role.value())
        }
        _ => return Ok(()),
    };
    let held = rbac::rules_of(identity, &path.namespace, snapshot);
    let size = rules.iter().map(rule::size).fold(0, usize::saturating_add);
    if size > SIZE_MAX {
        let message = format!(
            "{}.{GROUP} {name:?} is forbidden: its rules grant {size} combinations of verbs and resources, more than the {SIZE_MAX} that are checked for one role; split it",
            path.resource
        );
        return Err(Status::new(Reason::Forbidden, message).about(&path.resource, GROUP, name));
    }
    let missing = rules.iter().flat_map(|wanted| rule::missing(&held, wanted));
    let missing: Vec<Value> = missing.take(MISSING_MAX).collect();
    if missing.is_empty() { Ok(()) } else { Err(refusal(identity, path, name, missing)) }
}

/// Whoever makes a role that collects others' rules grants whatever those will say.
fn role_rules(role: &Value) -> Vec<Value> {
    let mut rules = list(role);
    if role["aggregationRule"].is_object() {
        rules.push(json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}));
        rules.push(json!({"nonResourceURLs": ["*"], "verbs": ["*"]}));
    }
    rules
}

fn list(role: &Value) -> Vec<Value> {
    role["rules"].as_array().cloned().unwrap_or_default()
}

fn same_but_for_the_garbage_collector(old: &Value, new: &Value) -> bool {
    let bare = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            let ignored = ["ownerReferences", "finalizers", "managedFields", "resourceVersion"];
            metadata.retain(|field, _| !ignored.contains(&field.as_str()));
        }
        object
    };
    bare(old) == bare(new)
}

fn refusal(identity: &Identity, path: &ResourcePath, name: &str, missing: Vec<Value>) -> Status {
    let groups: Vec<String> = identity.groups.iter().map(|group| format!("{group:?}")).collect();
    let message = format!(
        "{}.{GROUP} {name:?} is forbidden: user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        path.resource,
        identity.user,
        groups.join(" "),
        merged(missing).join("\n")
    );
    Status::new(Reason::Forbidden, message).about(&path.resource, GROUP, name)
}

/// One line a thing, with all its verbs, sorted.
fn merged(missing: Vec<Value>) -> Vec<String> {
    let mut verbs: BTreeMap<String, (Value, Vec<Value>)> = BTreeMap::new();
    for mut piece in missing {
        let verb = piece["verbs"][0].take();
        piece["verbs"] = json!([]);
        let (_, known) = verbs.entry(rule::compact(&piece)).or_insert_with(|| (piece, Vec::new()));
        if !known.contains(&verb) {
            known.push(verb);
        }
    }
    let lines = verbs.into_values().map(|(mut piece, verbs)| {
        piece["verbs"] = json!(verbs);
        rule::compact(&piece)
    });
    lines.collect::<BTreeSet<_>>().into_iter().collect()
}
