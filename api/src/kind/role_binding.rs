use serde_json::Value;

use super::{Kind, table};
use crate::field::{Faults, Field, set_default};
use crate::names;

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn role_binding() -> Kind {
    Kind {
        validate: |binding, faults| validate(binding, &["ClusterRole", "Role"], faults),
        ..binding(Kind::plain(GROUP, "v1", "RoleBinding", "RoleBindingList", "rolebindings", "rolebinding"))
    }
}

pub(super) fn cluster_role_binding() -> Kind {
    Kind {
        namespaced: false,
        validate: |binding, faults| validate(binding, &["ClusterRole"], faults),
        ..binding(Kind::plain(
            GROUP,
            "v1",
            "ClusterRoleBinding",
            "ClusterRoleBindingList",
            "clusterrolebindings",
            "clusterrolebinding",
        ))
    }
}

/// What both have in common. Who is bound may change, to what never: a binding could else gain rights unseen.
fn binding(plain: Kind) -> Kind {
    Kind {
        columns: &table::ROLEBINDING,
        check_name: names::check_path_segment,
        default: |binding, _| {
            set_default(&mut binding["roleRef"], "apiGroup", GROUP);
            let subjects = binding.get_mut("subjects").and_then(Value::as_array_mut);
            subjects.into_iter().flatten().for_each(default_subject);
        },
        validate_update: |new, old, faults| {
            let role = new.get("roleRef");
            if *role.value != old["roleRef"] {
                faults.invalid(&role, "cannot change roleRef");
            }
        },
        ..plain
    }
}

fn subject_group(kind: &str) -> &'static str {
    if kind == "ServiceAccount" { "" } else { GROUP }
}

fn default_subject(subject: &mut Value) {
    let group = subject_group(subject["kind"].as_str().unwrap_or_default());
    // An empty group is left out, as Kubernetes' encoding does.
    if !group.is_empty() && subject.is_object() {
        set_default(subject, "apiGroup", group);
    }
}

/// Source: `ValidateRoleBinding` of `k8s.io/kubernetes/pkg/apis/rbac/validation`.
fn validate(binding: &Field, role_kinds: &[&str], faults: &mut Faults) {
    let role = binding.get("roleRef");
    faults.one_of(&role.get("apiGroup"), &[GROUP]);
    let (kind, name) = (role.get("kind"), role.get("name"));
    if kind.is_empty() {
        faults.push(crate::Cause::unsupported(&kind.path, &Value::String(String::new()), role_kinds));
    }
    faults.one_of(&kind, role_kinds);
    if faults.require(&name, "") {
        faults.named(&name, names::check_path_segment(name.text()));
    }
    binding.get("subjects").items().for_each(|one| subject(&one, role_kinds.len() > 1, faults));
}

fn subject(subject: &Field, is_namespaced: bool, faults: &mut Faults) {
    let (kind, name, group) = (subject.get("kind"), subject.get("name"), subject.get("apiGroup"));
    let has_name = faults.require(&name, "");
    let wanted_group = subject_group(kind.text());
    match kind.text() {
        "ServiceAccount" => {
            if has_name {
                faults.named(&name, names::check_dns1123_subdomain(name.text()));
            }
            if !is_namespaced {
                faults.require(&subject.get("namespace"), "");
            }
        }
        "User" | "Group" => {}
        _ => {
            let supported = ["Group", "ServiceAccount", "User"];
            faults.push(crate::Cause::unsupported(&kind.path, &Value::from(kind.text()), &supported));
            return;
        }
    }
    if group.text() != wanted_group {
        faults.push(crate::Cause::unsupported(&group.path, group.value, &[wanted_group]));
    }
}
