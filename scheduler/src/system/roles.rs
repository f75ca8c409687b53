//! The roles that every cluster has. Source: `k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy`; what
//! Kubernetes grants on kinds and controllers that are not here is left out.

use serde_json::{Value, json};
use wasmk_api::write::Part;
use wasmk_api::{Key, Object, Snapshot};
use wasmk_controllers::Write;

const GROUP: &str = "rbac.authorization.k8s.io";
/// `false` on one of these objects keeps it as it is.
const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";
const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];
const ALL: &[&str] = &["*"];

/// What users of a namespace work with, by group. Whoever edits may write these, whoever views may read them.
const WORKLOADS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "configmaps",
            "persistentvolumeclaims",
            "pods",
            "replicationcontrollers",
            "replicationcontrollers/scale",
            "serviceaccounts",
            "services",
        ],
    ),
    (
        "apps",
        &[
            "daemonsets",
            "deployments",
            "deployments/scale",
            "replicasets",
            "replicasets/scale",
            "statefulsets",
            "statefulsets/scale",
        ],
    ),
    ("autoscaling", &["horizontalpodautoscalers"]),
    ("batch", &["cronjobs", "jobs"]),
    ("networking.k8s.io", &["ingresses", "networkpolicies"]),
    ("policy", &["poddisruptionbudgets"]),
];

/// What whoever views may read besides.
const VIEWED: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "bindings",
            // Whoever writes these leads the traffic of Services; CVE-2021-25740.
            "endpoints",
            "events",
            "limitranges",
            "namespaces",
            "namespaces/status",
            "pods/log",
            "pods/status",
            "resourcequotas",
            "resourcequotas/status",
            "services/status",
        ],
    ),
    (
        "apps",
        &[
            "controllerrevisions",
            "daemonsets/status",
            "deployments/status",
            "replicasets/status",
            "statefulsets/status",
        ],
    ),
    ("batch", &["cronjobs/status", "jobs/status"]),
    ("discovery.k8s.io", &["endpointslices"]),
    ("metrics.k8s.io", &["nodes", "pods"]),
];

const PODS_OPENED: &[&str] = &["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "services/proxy"];

/// The roles and bindings that are missing, or lack something that they must have. What others added stays.
pub(super) fn plan_roles(snapshot: &Snapshot) -> Vec<Write> {
    roles().into_iter().chain(bindings()).filter_map(|wanted| plan_one(snapshot, wanted)).collect()
}

fn plan_one(snapshot: &Snapshot, wanted: Value) -> Option<Write> {
    let resource = if wanted["kind"] == "ClusterRole" { "clusterroles" } else { "clusterrolebindings" };
    let name = wanted["metadata"]["name"].as_str().unwrap_or_default();
    let key = Key::new(format!("{resource}.{GROUP}").as_str(), "", name);
    let Some(found) = snapshot.get(&key) else { return Some(Write::Create { key, value: wanted }) };
    if found.annotation(AUTOUPDATE) == Some("false") {
        return None;
    }
    let value = completed(found, &wanted);
    (value != *found.value()).then(|| Write::Update { key, revision: found.revision(), value, part: Part::Main })
}

/// `found` with the rules, subjects and labels of `wanted` that it lacks.
fn completed(found: &Object, wanted: &Value) -> Value {
    let mut value = found.value().clone();
    for field in ["rules", "subjects"] {
        // The rules of a role that collects others' are not its own.
        let lacking: Vec<&Value> =
            list(&wanted[field]).filter(|one| !list(&value[field]).any(|own| says(own, one))).collect();
        if lacking.is_empty() || value["aggregationRule"].is_object() {
            continue;
        }
        value[field] = list(&found.value()[field]).chain(lacking).cloned().collect();
    }
    for (label, text) in wanted["metadata"]["labels"].as_object().into_iter().flatten() {
        if value["metadata"]["labels"].get(label).is_none() {
            value["metadata"]["labels"][label] = text.clone();
        }
    }
    value
}

/// Defaults may have been added to `own`.
fn says(own: &Value, wanted: &Value) -> bool {
    wanted.as_object().into_iter().flatten().all(|(field, text)| own[field] == *text)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn roles() -> Vec<Value> {
    vec![
        role("cluster-admin", json!([rule(&["*"], ALL, ALL), paths(ALL, ALL)])),
        collecting("admin"),
        collecting("edit"),
        collecting("view"),
        collected("system:aggregate-to-admin", "admin", admin_rules()),
        collected("system:aggregate-to-edit", "edit", edit_rules()),
        collected("system:aggregate-to-view", "view", view_rules()),
        role("system:discovery", json!([paths(&DISCOVERY, &["get"])])),
        role("system:public-info-viewer", json!([paths(&HEALTH, &["get"])])),
        role("system:basic-user", basic_rules()),
        role("system:service-account-issuer-discovery", json!([paths(&ISSUER_PATHS, &["get"])])),
        role("system:auth-delegator", delegator_rules()),
    ]
}

const DISCOVERY: [&str; 11] = [
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/healthz",
    "/livez",
    "/openapi",
    "/openapi/*",
    "/readyz",
    "/version",
    "/version/",
];
const HEALTH: [&str; 5] = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
const ISSUER_PATHS: [&str; 3] =
    ["/.well-known/openid-configuration", "/.well-known/openid-configuration/", "/openid/v1/jwks"];

fn bindings() -> Vec<Value> {
    vec![
        binding("cluster-admin", &["system:masters"]),
        binding("system:discovery", &["system:authenticated"]),
        binding("system:basic-user", &["system:authenticated"]),
        binding("system:public-info-viewer", &["system:authenticated", "system:unauthenticated"]),
        binding("system:service-account-issuer-discovery", &["system:serviceaccounts"]),
    ]
}

fn view_rules() -> Value {
    json!(WORKLOADS.iter().chain(VIEWED).map(|(group, resources)| rule(&[group], resources, READ)).collect::<Vec<_>>())
}

fn edit_rules() -> Value {
    let mut rules: Vec<Value> = WORKLOADS.iter().map(|(group, resources)| rule(&[group], resources, WRITE)).collect();
    rules.push(rule(&[""], &["secrets"], READ));
    rules.push(rule(&[""], &["secrets", "events", "pods/eviction"], WRITE));
    rules.push(rule(&[""], PODS_OPENED, &["get", "create", "delete", "deletecollection", "patch", "update"]));
    rules.push(rule(&[""], &["serviceaccounts"], &["impersonate"]));
    rules.push(rule(&[""], &["serviceaccounts/token"], &["create"]));
    rules.push(rule(&["coordination.k8s.io"], &["leases"], &[READ, WRITE].concat()));
    json!(rules)
}

fn admin_rules() -> Value {
    let reviews = rule(&["authorization.k8s.io"], &["localsubjectaccessreviews"], &["create"]);
    json!([reviews, rule(&[GROUP], &["rolebindings", "roles"], &[READ, WRITE].concat())])
}

fn basic_rules() -> Value {
    let access = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"];
    json!([
        rule(&["authorization.k8s.io"], &access, &["create"]),
        rule(&["authentication.k8s.io"], &["selfsubjectreviews"], &["create"]),
    ])
}

fn delegator_rules() -> Value {
    json!([
        rule(&["authentication.k8s.io"], &["tokenreviews"], &["create"]),
        rule(&["authorization.k8s.io"], &["subjectaccessreviews"], &["create"]),
    ])
}

fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": groups, "resources": resources, "verbs": verbs})
}

fn paths(urls: &[&str], verbs: &[&str]) -> Value {
    json!({"nonResourceURLs": urls, "verbs": verbs})
}

fn role(name: &str, rules: Value) -> Value {
    let mut role = object("ClusterRole", name);
    role["rules"] = rules;
    role
}

/// A role that has the rules of all that are labelled for it; those of `edit` are `admin`'s too, and so on.
fn collecting(name: &str) -> Value {
    let mut role = object("ClusterRole", name);
    role["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {aggregated_to(name): "true"}}]});
    match name {
        "edit" => role["metadata"]["labels"][aggregated_to("admin")] = json!("true"),
        "view" => role["metadata"]["labels"][aggregated_to("edit")] = json!("true"),
        _ => {}
    }
    role
}

fn collected(name: &str, into: &str, rules: Value) -> Value {
    let mut role = role(name, rules);
    role["metadata"]["labels"][aggregated_to(into)] = json!("true");
    role
}

fn aggregated_to(name: &str) -> String {
    format!("{GROUP}/aggregate-to-{name}")
}

fn binding(role: &str, groups: &[&str]) -> Value {
    let mut binding = object("ClusterRoleBinding", role);
    binding["roleRef"] = json!({"apiGroup": GROUP, "kind": "ClusterRole", "name": role});
    let subject = |group: &&str| json!({"apiGroup": GROUP, "kind": "Group", "name": group});
    binding["subjects"] = groups.iter().map(subject).collect();
    binding
}

fn object(kind: &str, name: &str) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/v1"),
        "kind": kind,
        "metadata": {
            "name": name,
            "annotations": {AUTOUPDATE: "true"},
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        },
    })
}

#[cfg(test)]
mod tests {
    use wasmk_api::Object;

    use super::*;

    fn stored(value: Value, revision: u64) -> std::sync::Arc<Object> {
        let resource = if value["kind"] == "ClusterRole" { "clusterroles" } else { "clusterrolebindings" };
        let name = value["metadata"]["name"].as_str().unwrap().to_owned();
        Object::new(Key::new(format!("{resource}.{GROUP}").as_str(), "", &name), revision, value)
    }

    fn cluster(change: impl Fn(&mut Value)) -> Snapshot {
        let objects = roles().into_iter().chain(bindings()).map(|mut value| {
            change(&mut value);
            stored(value, 1)
        });
        Snapshot::from_objects(1, objects)
    }

    #[test]
    fn what_is_there_is_left_alone_and_what_was_taken_comes_back() {
        assert_eq!(plan_roles(&Snapshot::default()).len(), roles().len() + bindings().len());
        assert_eq!(plan_roles(&cluster(|_| ())), []);
        let added = |value: &mut Value| {
            if let Some(rules) = value["rules"].as_array_mut() {
                rules.push(rule(&["x"], &["y"], ALL));
            }
        };
        assert_eq!(plan_roles(&cluster(added)), []);
        let emptied = |value: &mut Value| {
            if value["metadata"]["name"] == "system:discovery" && value["kind"] == "ClusterRole" {
                value["rules"] = json!([]);
            }
        };
        assert!(
            matches!(plan_roles(&cluster(emptied)).as_slice(), [Write::Update { value, .. }] if value["rules"] == json!([paths(&DISCOVERY, &["get"])]))
        );
    }

    #[test]
    fn who_wants_a_role_kept_as_it_is_says_so() {
        let kept = |value: &mut Value| {
            value["rules"] = json!([]);
            value["subjects"] = json!([]);
            value["metadata"]["annotations"][AUTOUPDATE] = json!("false");
        };
        assert_eq!(plan_roles(&cluster(kept)), []);
    }
}
