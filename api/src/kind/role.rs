use super::Kind;
use crate::field::{Faults, Field};
use crate::{Selector, names};

pub(super) fn role() -> Kind {
    Kind {
        check_name: names::check_path_segment,
        validate: |role, faults| rules(role, true, faults),
        ..Kind::plain("rbac.authorization.k8s.io", "v1", "Role", "RoleList", "roles", "role")
    }
}

pub(super) fn cluster_role() -> Kind {
    Kind {
        namespaced: false,
        check_name: names::check_path_segment,
        validate: |role, faults| {
            rules(role, false, faults);
            aggregation(&role.get("aggregationRule"), faults);
        },
        ..Kind::plain(
            "rbac.authorization.k8s.io",
            "v1",
            "ClusterRole",
            "ClusterRoleList",
            "clusterroles",
            "clusterrole",
        )
    }
}

/// Source: `ValidatePolicyRule` of `k8s.io/kubernetes/pkg/apis/rbac/validation`.
fn rules(role: &Field, is_namespaced: bool, faults: &mut Faults) {
    for rule in role.get("rules").items() {
        let list = |name: &str| rule.get(name);
        faults.require(&list("verbs"), "verbs must contain at least one value");
        let urls = list("nonResourceURLs");
        if !urls.is_empty() {
            if is_namespaced {
                faults.invalid(&urls, "namespaced rules cannot apply to non-resource URLs");
            }
            if ["apiGroups", "resources", "resourceNames"].iter().any(|name| !list(name).is_empty()) {
                faults.invalid(&urls, "rules cannot apply to both regular resources and non-resource URLs");
            }
            continue;
        }
        faults.require(&list("apiGroups"), "resource rules must supply at least one api group");
        faults.require(&list("resources"), "resource rules must supply at least one resource");
    }
}

fn aggregation(rule: &Field, faults: &mut Faults) {
    if !rule.is_set() {
        return;
    }
    let selectors = rule.get("clusterRoleSelectors");
    faults.require(&selectors, "at least one clusterRoleSelector required if aggregationRule is non-nil");
    for selector in selectors.items() {
        if let Err(error) = Selector::from_json(selector.value) {
            faults.invalid(&selector, &error.to_string());
        }
    }
}
