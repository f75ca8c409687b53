//! What can be done with a kind: one entry an HTTP method and path. Both forms of the document are written from it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wasmk_api::kind::Kind;

use super::definitions::{DELETE_OPTIONS, PATCH, STATUS, kind_name, list_name, name_of};
use super::parameters;
use crate::request::Verb;
use crate::subresource::{self, Subresource};

pub(super) struct Operation {
    pub(super) path: String,
    /// In lower case.
    pub(super) method: &'static str,
    /// For example `readCoreV1NamespacedPod`.
    pub(super) id: String,
    /// For example `rbacAuthorization_v1`.
    pub(super) tag: String,
    pub(super) description: String,
    pub(super) action: &'static str,
    pub(super) group_version_kind: (&'static str, &'static str, &'static str),
    /// Of the query.
    pub(super) parameters: &'static [&'static str],
    /// The definition of the body.
    pub(super) body: Option<String>,
    /// The media types that a PATCH takes. kubectl reads here whether a kind takes a strategic merge.
    pub(super) patch_types: &'static [&'static str],
    /// The definition of the answer; `None` for text.
    pub(super) answer: Option<String>,
    pub(super) codes: &'static [&'static str],
}

/// The paths of a document, whose version's form is that of `parameter` and `render`.
pub(super) fn paths(
    kinds: impl Iterator<Item = &'static Kind>,
    parameter: fn(&str) -> Value,
    render: fn(&Operation) -> Value,
) -> BTreeMap<String, Value> {
    let mut paths: BTreeMap<String, Value> = BTreeMap::new();
    for operation in kinds.flat_map(operations) {
        let begin = || json!({"parameters": shared(&operation.path, parameter)});
        let item = paths.entry(operation.path.clone()).or_insert_with(begin);
        item[operation.method] = render(&operation);
    }
    paths
}

/// What all operations of a path take: what the path itself names, and how the answer is printed.
fn shared(path: &str, parameter: fn(&str) -> Value) -> Vec<Value> {
    let in_path = ["name", "namespace"].into_iter().filter(|name| path.contains(&format!("{{{name}}}")));
    let in_path = in_path.map(|name| {
        let mut shared = parameter(name);
        shared["in"] = json!("path");
        shared["required"] = json!(true);
        shared
    });
    in_path.chain([parameter("pretty")]).collect()
}

fn operations(kind: &'static Kind) -> Vec<Operation> {
    let main = kind.verbs.iter().filter_map(|verb| main_operation(kind, verb));
    let everywhere = (kind.namespaced && kind.verbs.contains(&"list")).then(|| list_everywhere(kind));
    let below =
        subresource::of(kind).flat_map(|one| one.verbs.iter().map(move |verb| below_operation(kind, one, *verb)));
    main.chain(everywhere).chain(below).collect()
}

/// Those that custom kinds take come first.
const PATCH_TYPES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/apply-patch+yaml",
    "application/strategic-merge-patch+json",
];
const CUSTOM_PATCH_TYPES: usize = 3;

const OK: &[&str] = &["200"];
const CREATED: &[&str] = &["200", "201", "202"];
const UPDATED: &[&str] = &["200", "201"];
const DELETED: &[&str] = &["200", "202"];

fn main_operation(kind: &'static Kind, verb: &str) -> Option<Operation> {
    let object = || kind_name(kind);
    let status = Some(STATUS.to_owned());
    let options = Some(DELETE_OPTIONS.to_owned());
    let (list, item) = (list_path(kind), item_path(kind));
    let name = kind.kind;
    let new = |method, path: String, word: &str, description: String, action| {
        begin(kind, method, path, &id(kind, word, kind.namespaced, name), description, action)
    };
    Some(match verb {
        "list" => Operation {
            parameters: parameters::LIST,
            answer: list_name(kind),
            ..new("get", list, "list", format!("list or watch objects of kind {name}"), "list")
        },
        "create" => Operation {
            parameters: parameters::WRITE,
            body: object(),
            answer: object(),
            codes: CREATED,
            ..new("post", list, "create", format!("create a {name}"), "post")
        },
        "deletecollection" => Operation {
            parameters: parameters::DELETE_COLLECTION,
            body: options,
            answer: status,
            id: id(kind, "delete", kind.namespaced, name).replacen(
                &scope(kind),
                &format!("Collection{}", scope(kind)),
                1,
            ),
            ..new("delete", list, "delete", format!("delete collection of {name}"), "deletecollection")
        },
        "get" => {
            Operation { answer: object(), ..new("get", item, "read", format!("read the specified {name}"), "get") }
        }
        "update" => Operation {
            parameters: parameters::WRITE,
            body: object(),
            answer: object(),
            codes: UPDATED,
            ..new("put", item, "replace", format!("replace the specified {name}"), "put")
        },
        "patch" => Operation {
            parameters: parameters::PATCH,
            body: Some(PATCH.to_owned()),
            answer: object(),
            codes: UPDATED,
            ..new("patch", item, "patch", format!("partially update the specified {name}"), "patch")
        },
        "delete" => Operation {
            parameters: parameters::DELETE,
            body: options,
            answer: status,
            codes: DELETED,
            ..new("delete", item, "delete", format!("delete a {name}"), "delete")
        },
        _ => return None,
    })
}

fn list_everywhere(kind: &'static Kind) -> Operation {
    let path = format!("{}/{}", root(kind), kind.plural);
    let id = format!("{}ForAllNamespaces", id(kind, "list", false, kind.kind));
    let description = format!("list or watch objects of kind {}", kind.kind);
    Operation {
        parameters: parameters::LIST,
        answer: list_name(kind),
        ..begin(kind, "get", path, &id, description, "list")
    }
}

fn below_operation(kind: &'static Kind, subresource: &'static Subresource, verb: Verb) -> Operation {
    let (group, version, body_kind) = subresource.body.unwrap_or((kind.group, kind.version, kind.kind));
    let body = name_of(group, version, body_kind).map(str::to_owned);
    let is_view = subresource.body.is_some() || matches!(subresource.name, "status" | "finalize");
    let (method, word) = match verb {
        Verb::Create => ("post", "create"),
        Verb::Update => ("put", "replace"),
        Verb::Patch => ("patch", "patch"),
        Verb::Delete => ("delete", "delete"),
        _ => ("get", "read"),
    };
    let action = if is_view || method == "get" && subresource.name == "log" { method } else { "connect" };
    let name = format!("{}{}", kind.kind, capitalized(subresource.name));
    let description = format!("{word} {} of the specified {}", subresource.name, kind.kind);
    let path = format!("{}/{}", item_path(kind), subresource.name);
    let id = match action {
        "connect" => id(kind, &format!("connect{}", capitalized(method)), kind.namespaced, &name),
        _ => id(kind, word, kind.namespaced, &name),
    };
    let parameters = match (is_view, method) {
        (false, _) => parameters::of_subresource(subresource.name),
        (true, "get") => &[],
        (true, "patch") => parameters::PATCH,
        (true, _) => parameters::WRITE,
    };
    Operation {
        group_version_kind: (group, version, body_kind),
        parameters,
        body: match method {
            "patch" => Some(PATCH.to_owned()),
            "post" | "put" if is_view => body.clone(),
            _ => None,
        },
        answer: body.filter(|_| is_view),
        codes: if method == "post" && is_view { CREATED } else { OK },
        ..begin(kind, method, path, &id, description, action)
    }
}

/// An operation that takes nothing and answers with text.
fn begin(
    kind: &'static Kind,
    method: &'static str,
    path: String,
    id: &str,
    description: String,
    action: &'static str,
) -> Operation {
    Operation {
        path,
        method,
        id: id.to_owned(),
        tag: format!("{}_{}", uncapitalized(&camel_group(kind.group)), kind.version),
        description,
        action,
        group_version_kind: (kind.group, kind.version, kind.kind),
        parameters: &[],
        body: None,
        patch_types: if kind.custom_schema().is_some() { &PATCH_TYPES[..CUSTOM_PATCH_TYPES] } else { &PATCH_TYPES },
        answer: None,
        codes: OK,
    }
}

fn root(kind: &Kind) -> String {
    match kind.group {
        "" => format!("/api/{}", kind.version),
        group => format!("/apis/{group}/{}", kind.version),
    }
}

fn list_path(kind: &Kind) -> String {
    let namespace = if kind.namespaced { "/namespaces/{namespace}" } else { "" };
    format!("{}{namespace}/{}", root(kind), kind.plural)
}

fn item_path(kind: &Kind) -> String {
    format!("{}/{{name}}", list_path(kind))
}

/// `readCoreV1NamespacedPod`
fn id(kind: &Kind, word: &str, namespaced: bool, name: &str) -> String {
    let (group, version) = (camel_group(kind.group), capitalized(kind.version));
    let (connect, method) = word.split_at(if word.starts_with("connect") { "connect".len() } else { word.len() });
    let namespaced = if namespaced { "Namespaced" } else { "" };
    format!("{connect}{group}{version}{method}{namespaced}{name}")
}

fn scope(kind: &Kind) -> String {
    format!("{}{}", if kind.namespaced { "Namespaced" } else { "" }, kind.kind)
}

/// `RbacAuthorization` of `rbac.authorization.k8s.io`.
fn camel_group(group: &str) -> String {
    match group.trim_end_matches(".k8s.io") {
        "" => "Core".to_owned(),
        group => group.split('.').map(capitalized).collect(),
    }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn uncapitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
