//! What roles grant, as a table, and laws that hold for any.

use proptest::prelude::*;
use serde_json::{Value, json};
use wasmk_api::{Key, Object, Snapshot};

use super::may_in;
use crate::Identity;
use crate::authz::{self, Attributes, What, escalation};
use crate::request::ResourcePath;

const GROUP: &str = "rbac.authorization.k8s.io";

/// The ClusterRole `all` is bound in the cluster, the Role `some` and the ClusterRole `lent` in the namespace `ns`.
fn snapshot(all: Value, some: Value, lent: Value) -> Snapshot {
    let eve = json!([{"kind": "User", "name": "eve", "apiGroup": GROUP}]);
    let binding =
        |kind: &str, name: &str| json!({"metadata": {}, "subjects": eve, "roleRef": {"kind": kind, "name": name}});
    let object = |resource: &str, namespace: &str, name: &str, value: Value| {
        Object::new(Key::new(format!("{resource}.{GROUP}").as_str(), namespace, name), 1, value)
    };
    let role = |rules: Value| json!({"metadata": {}, "rules": rules});
    Snapshot::from_objects(
        1,
        [
            object("clusterroles", "", "all", role(all)),
            object("clusterroles", "", "lent", role(lent)),
            object("roles", "ns", "some", role(some)),
            object("clusterrolebindings", "", "all", binding("ClusterRole", "all")),
            object("rolebindings", "ns", "some", binding("Role", "some")),
            object("rolebindings", "ns", "lent", binding("ClusterRole", "lent")),
        ],
    )
}

fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": groups, "resources": resources, "verbs": verbs})
}

fn eve() -> Identity {
    Identity::new("eve", ["system:authenticated"])
}

#[track_caller]
fn check(snapshot: &Snapshot, allowed: &[(&str, &str)], refused: &[(&str, &str)]) {
    for (method, path) in allowed {
        assert_eq!(may_in(snapshot, &eve(), method, path), Ok(()), "{method} {path}");
    }
    for (method, path) in refused {
        assert!(may_in(snapshot, &eve(), method, path).is_err(), "{method} {path}");
    }
}

#[test]
fn a_role_counts_in_its_namespace_and_a_cluster_role_where_it_is_bound() {
    let snapshot = snapshot(
        json!([rule(&[""], &["nodes"], &["get"])]),
        json!([rule(&[""], &["pods"], &["list", "get"])]),
        json!([rule(&["apps"], &["*"], &["*"]), rule(&[""], &["namespaces"], &["get"])]),
    );
    check(
        &snapshot,
        &[
            ("GET", "/api/v1/namespaces/ns"),
            ("GET", "/api/v1/nodes/n"),
            ("GET", "/api/v1/namespaces/ns/pods"),
            ("GET", "/api/v1/namespaces/ns/pods/p"),
            ("DELETE", "/apis/apps/v1/namespaces/ns/deployments"),
            ("PATCH", "/apis/apps/v1/namespaces/ns/deployments/d/scale"),
        ],
        &[
            ("GET", "/api/v1/namespaces/other"),
            ("GET", "/api/v1/namespaces"),
            ("GET", "/api/v1/nodes"),
            ("GET", "/api/v1/pods"),
            ("GET", "/api/v1/namespaces/other/pods"),
            ("GET", "/api/v1/namespaces/ns/pods/p/log"),
            ("GET", "/apis/apps/v1/deployments"),
            ("GET", "/apis/batch/v1/namespaces/ns/jobs"),
        ],
    );
}

#[test]
fn subresources_names_and_paths_are_matched_as_kubernetes_matches_them() {
    let named =
        json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create"], "resourceNames": ["a"]});
    let urls = json!({"nonResourceURLs": ["/metrics", "/apis*"], "verbs": ["get"]});
    let scale = rule(&["*"], &["*/scale", "pods/log"], &["get", "update"]);
    check(
        &snapshot(json!([named, urls, scale]), json!([]), json!([])),
        &[
            ("GET", "/api/v1/namespaces/x/configmaps/a"),
            ("GET", "/metrics"),
            ("GET", "/apis/apps/v1"),
            ("PUT", "/apis/apps/v1/namespaces/x/deployments/d/scale"),
            ("GET", "/api/v1/namespaces/x/pods/p/log"),
        ],
        &[
            ("GET", "/api/v1/namespaces/x/configmaps/b"),
            ("GET", "/api/v1/namespaces/x/configmaps"),
            // The name is in the body, where no rule looks.
            ("POST", "/api/v1/namespaces/x/configmaps"),
            ("GET", "/metrics/x"),
            ("POST", "/metrics"),
            ("GET", "/apis/apps/v1/namespaces/x/deployments/d"),
            ("GET", "/api/v1/namespaces/x/pods/p"),
        ],
    );
}

#[test]
fn groups_and_accounts_are_bound_too() {
    let subjects = json!([{"kind": "Group", "name": "devs"}, {"kind": "ServiceAccount", "name": "bot"}]);
    let binding = json!({"metadata": {}, "subjects": subjects, "roleRef": {"kind": "Role", "name": "r"}});
    let rules = json!({"metadata": {}, "rules": [rule(&[""], &["pods"], &["get"])]});
    let snapshot = Snapshot::from_objects(
        1,
        [
            Object::new(Key::new("roles.rbac.authorization.k8s.io", "ns", "r"), 1, rules),
            Object::new(Key::new("rolebindings.rbac.authorization.k8s.io", "ns", "b"), 1, binding),
        ],
    );
    let may = |user: &str, groups: &[&str]| {
        let identity = Identity::new(user, groups.iter().copied());
        may_in(&snapshot, &identity, "GET", "/api/v1/namespaces/ns/pods/p").is_ok()
    };
    assert!(may("ann", &["devs"]) && may("system:serviceaccount:ns:bot", &[]));
    assert!(!may("ann", &[]) && !may("system:serviceaccount:other:bot", &[]) && !may("bot", &[]));
    let identity = Identity::new("system:serviceaccount:ns:bot", ["x"]);
    let path = ResourcePath { namespace: "ns".into(), resource: "pods".into(), ..ResourcePath::default() };
    let attributes = Attributes { identity: &identity, verb: "get", what: What::Resource(&path) };
    assert_eq!(
        authz::decide(&attributes, &snapshot).reason,
        "RBAC: allowed by RoleBinding \"b/ns\" of Role \"r\" to ServiceAccount \"bot/\""
    );
}

fn grants(snapshot: &Snapshot, path: &str, new: Value) -> Result<(), String> {
    let path = ResourcePath {
        group: GROUP.to_owned(),
        version: "v1".to_owned(),
        namespace: "ns".to_owned(),
        resource: path.to_owned(),
        ..ResourcePath::default()
    };
    escalation::check(&eve(), &path, snapshot, None, &new).map_err(|status| status.message)
}

#[test]
fn nobody_grants_what_they_do_not_have() {
    let held = snapshot(json!([rule(&["", "apps"], &["pods", "*/scale"], &["get", "list"])]), json!([]), json!([]));
    let role = |rules: Value| json!({"metadata": {"name": "r"}, "rules": rules});
    assert_eq!(grants(&held, "roles", role(json!([rule(&[""], &["pods", "deployments/scale"], &["get"])]))), Ok(()));
    assert_eq!(
        grants(&held, "roles", role(json!([rule(&[""], &["pods", "secrets"], &["delete", "get"])]))).unwrap_err(),
        "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"eve\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n\
         {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}\n\
         {APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"delete\" \"get\"]}"
    );
    let binding = |name: &str| json!({"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": name}});
    assert_eq!(grants(&held, "rolebindings", binding("all")), Ok(()));
    let missing = grants(&held, "rolebindings", binding("none")).unwrap_err();
    assert_eq!(missing, "clusterroles.rbac.authorization.k8s.io \"none\" not found");
}

#[test]
fn who_may_escalate_or_bind_grants_anything() {
    let verbs = json!([rule(&[GROUP], &["roles", "clusterroles"], &["escalate", "bind"])]);
    let held = snapshot(verbs, json!([]), json!([rule(&["*"], &["*"], &["*"])]));
    let role = json!({"metadata": {"name": "r"}, "rules": [rule(&["*"], &["*"], &["*"])]});
    assert_eq!(grants(&held, "roles", role), Ok(()));
    let binding = json!({"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "lent"}});
    assert_eq!(grants(&held, "rolebindings", binding), Ok(()));
}

fn some_of(words: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    proptest::collection::vec(proptest::sample::select(words), 1..3)
}

fn any_rule() -> impl Strategy<Value = Value> {
    let groups = some_of(&["", "apps", "*"]);
    let resources = some_of(&["pods", "pods/log", "deployments", "*/scale", "*"]);
    let verbs = some_of(&["get", "list", "update", "*"]);
    let names = proptest::option::of(some_of(&["a", "b"]));
    (groups, resources, verbs, names).prop_map(|(groups, resources, verbs, names)| {
        let mut rule = rule(&groups, &resources, &verbs);
        if let Some(names) = names {
            rule["resourceNames"] = json!(names);
        }
        rule
    })
}

const ASKED: [(&str, &str); 6] = [
    ("GET", "/api/v1/namespaces/ns/pods/a"),
    ("GET", "/api/v1/namespaces/ns/pods/a/log"),
    ("GET", "/api/v1/namespaces/ns/pods"),
    ("PUT", "/apis/apps/v1/namespaces/ns/deployments/b"),
    ("PUT", "/apis/apps/v1/namespaces/ns/deployments/b/scale"),
    ("GET", "/apis/apps/v1/namespaces/ns/deployments/c"),
];

proptest! {
    #[test]
    fn adding_a_rule_never_takes_a_right_away(rules in proptest::collection::vec(any_rule(), 0..4), more in any_rule()) {
        let before = snapshot(json!(rules), json!([]), json!([]));
        let after = snapshot(json!(rules), json!([more]), json!([]));
        for (method, path) in ASKED {
            let had = may_in(&before, &eve(), method, path).is_ok();
            prop_assert!(!had || may_in(&after, &eve(), method, path).is_ok(), "{} {}", method, path);
        }
    }

    /// Whoever may grant a rule may already do everything that the rule allows.
    #[test]
    fn what_may_be_granted_is_held(held in proptest::collection::vec(any_rule(), 0..4), wanted in any_rule()) {
        let holder = snapshot(json!(held), json!([]), json!([]));
        let granted = snapshot(json!([]), json!([wanted]), json!([]));
        if grants(&holder, "roles", json!({"metadata": {"name": "r"}, "rules": [wanted]})).is_ok() {
            for (method, path) in ASKED {
                let gains = may_in(&granted, &eve(), method, path).is_ok();
                prop_assert!(!gains || may_in(&holder, &eve(), method, path).is_ok(), "{} {}", method, path);
            }
        }
    }
}
