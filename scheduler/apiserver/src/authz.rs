//! Who may do what: administrators everything, nodes what a node needs, others may look at the API's shape.

use serde_json::Value;
use wasmk_api::{Key, Reason, Snapshot, Status};

use crate::Identity;
use crate::identity::MASTERS_GROUP;
use crate::request::{ResourcePath, Target, Verb};

/// Whether `identity` may do what `target` says; else 403, worded as Kubernetes words it.
pub(crate) fn authorize(identity: &Identity, target: &Target, snapshot: &Snapshot) -> Result<(), Status> {
    let allowed = identity.is_in(MASTERS_GROUP)
        || match &target.resource {
            Some(path) => identity.node_name().is_some_and(|node| node_may(node, target.verb, path, snapshot)),
            None => may_path(identity, target),
        };
    if allowed { Ok(()) } else { Err(forbidden(identity, target)) }
}

/// Paths that need no certificate: health, the version, and what a machine needs before it has one.
pub(crate) fn is_public(path: &str) -> bool {
    let public = ["/healthz", "/livez", "/readyz", "/version", "/cacerts", "/wasmk/v1/join"];
    public.contains(&path)
}

/// What every client may read to find its way.
const DISCOVERY: [&str; 4] = ["/api", "/apis", "/openapi/v2", "/openapi/v3"];

fn may_path(identity: &Identity, target: &Target) -> bool {
    let path = target.path.trim_end_matches('/');
    let within = |prefix: &str| path == prefix || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
    let pulls = identity.node_name().is_some() && within("/v2");
    target.verb.is_read() && (pulls || DISCOVERY.into_iter().any(within))
}

/// One line of what nodes may do.
struct Rule {
    group: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [Verb],
    on: On,
}

/// Which objects a rule is about.
enum On {
    Every,
    /// The one that bears the node's name; when it is created the handler checks the name in the body.
    OwnName,
    /// The one in `kube-node-lease` that bears the node's name.
    OwnLease,
    /// Pods that are bound to the node.
    OwnPods,
}

const READ: &[Verb] = &[Verb::Get, Verb::List, Verb::Watch];
const WRITE: &[Verb] = &[Verb::Create, Verb::Update, Verb::Patch];

/// After Kubernetes' Node authorizer and `NodeRestriction`. Secrets and ConfigMaps are not narrowed down to those that
/// the node's pods name.
const NODE_RULES: &[Rule] = &[
    Rule {
        group: "",
        resources: &["pods", "services", "nodes", "configmaps", "secrets", "namespaces", "serviceaccounts"],
        verbs: READ,
        on: On::Every,
    },
    Rule { group: "discovery.k8s.io", resources: &["endpointslices"], verbs: READ, on: On::Every },
    Rule { group: "apps", resources: &["replicasets", "deployments"], verbs: READ, on: On::Every },
    Rule { group: "", resources: &["nodes", "nodes/status"], verbs: WRITE, on: On::OwnName },
    Rule { group: "coordination.k8s.io", resources: &["leases"], verbs: WRITE, on: On::OwnLease },
    Rule { group: "coordination.k8s.io", resources: &["leases"], verbs: &[Verb::Get], on: On::OwnLease },
    Rule { group: "", resources: &["pods", "pods/status"], verbs: &[Verb::Update, Verb::Patch], on: On::OwnPods },
    Rule { group: "", resources: &["pods/status"], verbs: &[Verb::Get], on: On::Every },
    Rule { group: "", resources: &["pods"], verbs: &[Verb::Delete], on: On::OwnPods },
    Rule { group: "", resources: &["events"], verbs: WRITE, on: On::Every },
    Rule { group: "events.k8s.io", resources: &["events"], verbs: WRITE, on: On::Every },
];

/// Where nodes keep their Leases.
const LEASE_NAMESPACE: &str = "kube-node-lease";

fn node_may(node: &str, verb: Verb, path: &ResourcePath, snapshot: &Snapshot) -> bool {
    let resource = path.qualified();
    let mut rules = NODE_RULES.iter().filter(|rule| {
        rule.group == path.group && rule.verbs.contains(&verb) && rule.resources.contains(&resource.as_str())
    });
    rules.any(|rule| match rule.on {
        On::Every => true,
        On::OwnName => path.name == node || verb == Verb::Create && path.subresource.is_empty(),
        On::OwnLease => path.namespace == LEASE_NAMESPACE && (path.name == node || verb == Verb::Create),
        On::OwnPods => snapshot
            .get(&Key::new("pods", &path.namespace, &path.name))
            .is_none_or(|pod| pod.value()["spec"]["nodeName"] == node),
    })
}

/// What the path does not tell: a node creates no object but in its own name, and of a pod it changes nothing but
/// annotations (and, through the subresource, the status).
pub(crate) fn admit_write(
    identity: &Identity,
    target: &Target,
    old: Option<&Value>,
    new: &Value,
) -> Result<(), Status> {
    let (Some(node), Some(path)) = (identity.node_name(), &target.resource) else { return Ok(()) };
    let allowed = match (path.resource.as_str(), old) {
        ("nodes" | "leases", None) => new["metadata"]["name"] == node,
        ("pods", None) => false,
        // Whose pod it is was looked up before; what counts is whose it is now.
        ("pods", Some(old)) if old["spec"]["nodeName"] != node => false,
        ("pods", Some(old)) if path.subresource.is_empty() => same_but_for_annotations(old, new),
        _ => true,
    };
    if allowed || identity.is_in(MASTERS_GROUP) { Ok(()) } else { Err(forbidden(identity, target)) }
}

fn same_but_for_annotations(old: &Value, new: &Value) -> bool {
    let bare = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.retain(|field, _| !["annotations", "managedFields", "resourceVersion"].contains(&field.as_str()));
        }
        object
    };
    bare(old) == bare(new)
}

fn forbidden(identity: &Identity, target: &Target) -> Status {
    let (user, verb) = (&identity.user, target.verb.as_str());
    let Some(path) = &target.resource else {
        let message = format!("forbidden: User \"{user}\" cannot {verb} path \"{}\"", target.path);
        return Status::new(Reason::Forbidden, message);
    };
    let qualified = match path.group.as_str() {
        "" => path.resource.clone(),
        group => format!("{}.{group}", path.resource),
    };
    let subject = if path.name.is_empty() { qualified } else { format!("{qualified} \"{}\"", path.name) };
    let place = match path.namespace.as_str() {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace \"{namespace}\""),
    };
    let message = format!(
        "{subject} is forbidden: User \"{user}\" cannot {verb} resource \"{}\" in API group \"{}\" {place}",
        path.qualified(),
        path.group
    );
    Status::new(Reason::Forbidden, message).about(&path.resource, &path.group, &path.name)
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;
    use wasmk_api::Object;

    use super::*;

    fn node(name: &str) -> Identity {
        Identity { user: format!("system:node:{name}"), groups: vec!["system:nodes".to_owned()] }
    }

    fn may(identity: &Identity, method: &str, path: &str) -> Result<(), Status> {
        let pod = |name: &str, node: &str| {
            let key = Key::new("pods", "default", name);
            Object::new(key, 1, json!({"metadata": {}, "spec": {"nodeName": node}}))
        };
        let snapshot = Snapshot::from_objects(1, [pod("mine", "a"), pod("theirs", "b")]);
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        authorize(identity, &Target::parse(&method, path, false).unwrap(), &snapshot)
    }

    #[test]
    fn a_node_does_its_own_work() {
        for (method, path) in [
            ("GET", "/api/v1/pods"),
            ("GET", "/api/v1/namespaces/default/secrets/s"),
            ("GET", "/apis/discovery.k8s.io/v1/endpointslices"),
            ("POST", "/api/v1/nodes"),
            ("PATCH", "/api/v1/nodes/a/status"),
            ("PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/a"),
            ("PATCH", "/api/v1/namespaces/default/pods/mine/status"),
            ("DELETE", "/api/v1/namespaces/default/pods/mine"),
            ("POST", "/api/v1/namespaces/default/events"),
            ("GET", "/v2/hello/manifests/v1"),
            ("GET", "/apis/apps/v1"),
        ] {
            assert_eq!(may(&node("a"), method, path), Ok(()), "{method} {path}");
        }
    }

    #[test]
    fn a_node_does_no_other_work() {
        for (method, path) in [
            ("PATCH", "/api/v1/nodes/b/status"),
            ("DELETE", "/api/v1/nodes/a"),
            ("PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/b"),
            ("PUT", "/apis/coordination.k8s.io/v1/namespaces/default/leases/a"),
            ("PATCH", "/api/v1/namespaces/default/pods/theirs/status"),
            ("DELETE", "/api/v1/namespaces/default/pods/theirs"),
            ("POST", "/api/v1/namespaces/default/pods"),
            ("POST", "/api/v1/namespaces/default/pods/mine/binding"),
            ("PUT", "/api/v1/namespaces/default/secrets/s"),
            ("PUT", "/v2/hello/manifests/v1"),
            ("POST", "/apis/apps/v1/namespaces/default/deployments"),
        ] {
            assert!(may(&node("a"), method, path).is_err(), "{method} {path}");
        }
    }

    #[test]
    fn refusals_read_as_in_kubernetes() {
        let message = |method, path| may(&node("a"), method, path).unwrap_err().message;
        assert_eq!(
            message("PUT", "/api/v1/namespaces/default/secrets/s"),
            "secrets \"s\" is forbidden: User \"system:node:a\" cannot update resource \"secrets\" in API group \"\" in the namespace \"default\""
        );
        assert_eq!(
            message("POST", "/api/v1/namespaces"),
            "namespaces is forbidden: User \"system:node:a\" cannot create resource \"namespaces\" in API group \"\" at the cluster scope"
        );
        assert_eq!(message("GET", "/metrics"), "forbidden: User \"system:node:a\" cannot get path \"/metrics\"");
    }

    #[test]
    fn an_administrator_may_do_everything() {
        assert_eq!(may(&Identity::control_plane(), "DELETE", "/api/v1/namespaces/default/secrets"), Ok(()));
    }

    #[test]
    fn a_stranger_may_only_look_at_the_shape() {
        let stranger = Identity { user: "eve".to_owned(), groups: vec![] };
        assert_eq!(may(&stranger, "GET", "/apis"), Ok(()));
        assert!(may(&stranger, "GET", "/api/v1/namespaces/default/pods").is_err());
        assert!(may(&stranger, "GET", "/v2/").is_err());
    }
}
