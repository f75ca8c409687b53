//! Roles and who is bound to them, read from the snapshot at hand. Source: `rbac.authorization.k8s.io/v1`.

use std::sync::{Arc, LazyLock};

use serde_json::Value;
use wasmk_api::{Key, Object, ResourceName, Snapshot};

use super::{Attributes, What, rule};
use crate::Identity;

const ROLES: &str = "roles.rbac.authorization.k8s.io";
const CLUSTER_ROLES: &str = "clusterroles.rbac.authorization.k8s.io";
static BINDINGS: LazyLock<ResourceName> = LazyLock::new(|| "rolebindings.rbac.authorization.k8s.io".into());
static CLUSTER_BINDINGS: LazyLock<ResourceName> =
    LazyLock::new(|| "clusterrolebindings.rbac.authorization.k8s.io".into());

/// How the attributes come to be allowed, in Kubernetes' words; `None` when nothing grants them.
pub(super) fn grant(attributes: &Attributes, snapshot: &Snapshot) -> Option<String> {
    let namespace = match attributes.what {
        What::Resource(path) => path.rights_namespace(),
        What::Path(_) => "",
    };
    let mut grants = grants(attributes.identity, namespace, snapshot);
    let allows = |rule: &Value| rule::allows(rule, attributes.verb, &attributes.what);
    grants.find(|grant| grant.rules().iter().any(allows)).map(|grant| grant.reason())
}

/// Every rule that counts for `identity` in `namespace` (empty: outside of all).
pub(crate) fn rules_of<'a>(identity: &Identity, namespace: &str, snapshot: &'a Snapshot) -> Vec<&'a Value> {
    grants(identity, namespace, snapshot).flat_map(|grant| grant.rules()).collect()
}

/// A role that a binding gives to somebody.
struct Grant<'a> {
    binding: &'a Arc<Object>,
    subject: &'a Value,
    role: &'a Arc<Object>,
}

fn grants<'a>(identity: &Identity, namespace: &str, snapshot: &'a Snapshot) -> impl Iterator<Item = Grant<'a>> {
    let everywhere = snapshot.list(&CLUSTER_BINDINGS, None);
    let here = snapshot.list_from(Key::new(BINDINGS.clone(), namespace, ""));
    let here = here.take_while(move |binding| !namespace.is_empty() && binding.namespace() == namespace);
    everywhere.chain(here).filter_map(move |binding| {
        let mut subjects = binding.value()["subjects"].as_array().into_iter().flatten();
        let subject = subjects.find(|subject| is_meant(subject, identity, binding.namespace()))?;
        Some(Grant { binding, subject, role: role(binding.value(), binding.namespace(), snapshot)? })
    })
}

fn is_meant(subject: &Value, identity: &Identity, namespace: &str) -> bool {
    let name = subject["name"].as_str().unwrap_or_default();
    match subject["kind"].as_str() {
        Some("User") => identity.user == name,
        Some("Group") => identity.is_in(name),
        Some("ServiceAccount") => {
            let namespace = subject["namespace"].as_str().filter(|own| !own.is_empty()).unwrap_or(namespace);
            let mut parts = identity.user.strip_prefix("system:serviceaccount:").unwrap_or_default().split(':');
            !name.is_empty() && parts.next() == Some(namespace) && parts.next() == Some(name) && parts.next().is_none()
        }
        _ => false,
    }
}

/// The role that a binding (also one that is not stored yet) names.
pub(super) fn role<'a>(binding: &Value, namespace: &str, snapshot: &'a Snapshot) -> Option<&'a Arc<Object>> {
    snapshot.get(&role_key(&binding["roleRef"], namespace))
}

pub(super) fn role_key(reference: &Value, namespace: &str) -> Key {
    let name = reference["name"].as_str().unwrap_or_default();
    match reference["kind"].as_str() {
        Some("Role") => Key::new(ROLES, namespace, name),
        _ => Key::new(CLUSTER_ROLES, "", name),
    }
}

impl<'a> Grant<'a> {
    fn rules(&self) -> &'a [Value] {
        self.role.value()["rules"].as_array().map_or(&[], Vec::as_slice)
    }

    fn reason(&self) -> String {
        let place = |object: &Object| match object.namespace() {
            "" => object.name().to_owned(),
            namespace => format!("{}/{namespace}", object.name()),
        };
        let text = |value: &'a Value| value.as_str().unwrap_or_default();
        let kind = if self.binding.namespace().is_empty() { "ClusterRoleBinding" } else { "RoleBinding" };
        let role = &self.binding.value()["roleRef"];
        let subject = match self.subject["kind"] == "ServiceAccount" {
            true => format!("{}/{}", text(&self.subject["name"]), text(&self.subject["namespace"])),
            false => text(&self.subject["name"]).to_owned(),
        };
        format!(
            "RBAC: allowed by {kind} {:?} of {} {:?} to {} {subject:?}",
            place(self.binding),
            text(&role["kind"]),
            text(&role["name"]),
            text(&self.subject["kind"])
        )
    }
}
