//! One `PolicyRule`: what it allows, and whether it allows all that another one does. Source:
//! `k8s.io/kubernetes/pkg/apis/rbac/v1/evaluation_helpers.go` and `component-helpers/auth/rbac/validation`.

use serde_json::{Value, json};

use super::What;

/// Whether `rule` allows `verb` on `what`.
pub(super) fn allows(rule: &Value, verb: &str, what: &What) -> bool {
    if !names_or_all(rule, "verbs", verb) {
        return false;
    }
    match what {
        What::Path(path) => texts(rule, "nonResourceURLs").any(|url| url_covers(url, path)),
        What::Resource(path) => {
            names_or_all(rule, "apiGroups", &path.group)
                && texts(rule, "resources").any(|one| resource_covers(one, &path.qualified()))
                && (texts(rule, "resourceNames").next().is_none() || names(rule, "resourceNames", &path.name))
        }
    }
}

/// What `wanted` allows and none of `owned` does, as rules about one verb and one thing each.
pub(super) fn missing(owned: &[&Value], wanted: &Value) -> impl Iterator<Item = Value> {
    pieces(wanted).filter(|piece| !owned.iter().any(|rule| covers(rule, piece)))
}

/// How many pieces [`missing`] has to look at.
pub(super) fn size(rule: &Value) -> usize {
    let count = |field: &str| texts(rule, field).count();
    let things = count("apiGroups").saturating_mul(count("resources")).saturating_mul(count("resourceNames").max(1));
    count("verbs").saturating_mul(things.saturating_add(count("nonResourceURLs")))
}

/// `rule` taken apart: a rule for each verb and resource (in its group, by its name), or verb and path.
fn pieces(rule: &Value) -> impl Iterator<Item = Value> {
    texts(rule, "verbs").flat_map(move |verb| {
        let urls = texts(rule, "nonResourceURLs").map(move |url| json!({"nonResourceURLs": [url], "verbs": [verb]}));
        let resources = texts(rule, "apiGroups").flat_map(move |group| {
            texts(rule, "resources").flat_map(move |resource| {
                names_of(rule).map(move |name| match name {
                    None => json!({"apiGroups": [group], "resources": [resource], "verbs": [verb]}),
                    Some(name) => {
                        json!({"apiGroups": [group], "resources": [resource], "resourceNames": [name], "verbs": [verb]})
                    }
                })
            })
        });
        urls.chain(resources)
    })
}

/// Each of the resource names; one `None` when the rule is about all.
fn names_of(rule: &Value) -> impl Iterator<Item = Option<&str>> {
    let mut named = texts(rule, "resourceNames").map(Some).peekable();
    let all = named.peek().is_none().then_some(None);
    named.chain(all)
}

/// `piece` has at most one of each.
fn covers(rule: &Value, piece: &Value) -> bool {
    let all = |field: &str, covered: &dyn Fn(&str) -> bool| texts(piece, field).all(covered);
    let named = texts(rule, "resourceNames").next().is_none()
        || texts(piece, "resourceNames").next().is_some()
            && all("resourceNames", &|name| names(rule, "resourceNames", name));
    named
        && all("verbs", &|verb| names_or_all(rule, "verbs", verb))
        && all("apiGroups", &|group| names_or_all(rule, "apiGroups", group))
        && all("resources", &|wanted| texts(rule, "resources").any(|own| resource_covers(own, wanted)))
        && all("nonResourceURLs", &|wanted| texts(rule, "nonResourceURLs").any(|own| url_covers(own, wanted)))
}

/// `*`, `pods`, `pods/log`, `*/scale`.
fn resource_covers(own: &str, wanted: &str) -> bool {
    own == "*"
        || own == wanted
        || own.strip_prefix("*/").is_some_and(|sub| wanted.split_once('/').is_some_and(|(_, wanted)| wanted == sub))
}

fn url_covers(own: &str, wanted: &str) -> bool {
    own == wanted || own.strip_suffix('*').is_some_and(|prefix| wanted.starts_with(prefix))
}

fn names_or_all(rule: &Value, field: &str, wanted: &str) -> bool {
    texts(rule, field).any(|one| one == "*" || one == wanted)
}

fn names(rule: &Value, field: &str, wanted: &str) -> bool {
    texts(rule, field).any(|one| one == wanted)
}

pub(super) fn texts<'a>(rule: &'a Value, field: &str) -> impl Iterator<Item = &'a str> {
    rule[field].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// As Kubernetes shows rules in refusals: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`.
pub(super) fn compact(rule: &Value) -> String {
    let fields = [
        ("apiGroups", "APIGroups"),
        ("resources", "Resources"),
        ("nonResourceURLs", "NonResourceURLs"),
        ("resourceNames", "ResourceNames"),
        ("verbs", "Verbs"),
    ];
    let shown = fields.iter().filter(|(field, _)| texts(rule, field).next().is_some()).map(|(field, name)| {
        let list: Vec<String> = texts(rule, field).map(|text| format!("{text:?}")).collect();
        format!("{name}:[{}]", list.join(" "))
    });
    format!("{{{}}}", shown.collect::<Vec<_>>().join(", "))
}
