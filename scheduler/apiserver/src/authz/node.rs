//! What a node needs, and no more. After Kubernetes' Node authorizer and `NodeRestriction`.

use serde_json::Value;
use wasmk_api::{Key, ResourceName, Snapshot, pod_references};

use super::What;
use crate::request::ResourcePath;

/// One line of what nodes may do.
struct Rule {
    group: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
    on: On,
}

/// Which objects a rule is about.
enum On {
    Every,
    /// The one that bears the node's name; when it is created the handler checks the name in the body.
    OwnName,
    /// The one in `kube-node-lease` that bears the node's name.
    OwnLease,
    /// Pods that are bound to the node; many at once, if the field selector asks for no others.
    OwnPods,
    /// The Secret or ConfigMap that such a pod names.
    NamedByOwnPods,
}

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "update", "patch"];

const RULES: &[Rule] = &[
    Rule { group: "", resources: &["services", "nodes"], verbs: READ, on: On::Every },
    Rule { group: "", resources: &["pods"], verbs: READ, on: On::OwnPods },
    Rule { group: "", resources: &["configmaps", "secrets"], verbs: READ, on: On::NamedByOwnPods },
    Rule { group: "discovery.k8s.io", resources: &["endpointslices"], verbs: READ, on: On::Every },
    Rule { group: "", resources: &["nodes", "nodes/status"], verbs: WRITE, on: On::OwnName },
    Rule { group: "coordination.k8s.io", resources: &["leases"], verbs: WRITE, on: On::OwnLease },
    Rule { group: "coordination.k8s.io", resources: &["leases"], verbs: &["get"], on: On::OwnLease },
    Rule { group: "", resources: &["pods", "pods/status"], verbs: &["update", "patch"], on: On::OwnPods },
    Rule { group: "", resources: &["pods/status"], verbs: &["get"], on: On::OwnPods },
    Rule { group: "", resources: &["pods"], verbs: &["delete"], on: On::OwnPods },
    Rule { group: "", resources: &["events"], verbs: WRITE, on: On::Every },
    Rule { group: "events.k8s.io", resources: &["events"], verbs: WRITE, on: On::Every },
    // Which account's token, and for which pod, the handler checks: it stands in the body.
    Rule { group: "", resources: &["serviceaccounts/token"], verbs: &["create"], on: On::Every },
];

/// Paths below which a node reads: images, and what clients look up before anything else.
const PATHS: [&str; 5] = ["/v2", "/api", "/apis", "/openapi/v2", "/openapi/v3"];

/// Where nodes keep their Leases.
const LEASE_NAMESPACE: &str = "kube-node-lease";

pub(super) fn may(node: &str, verb: &str, what: &What, snapshot: &Snapshot) -> bool {
    match what {
        What::Resource(path) => may_object(node, verb, path, snapshot),
        What::Path(path) => READ.contains(&verb) && PATHS.iter().any(|prefix| is_within(path, prefix)),
    }
}

fn is_within(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn may_object(node: &str, verb: &str, path: &ResourcePath, snapshot: &Snapshot) -> bool {
    let resource = path.qualified();
    let mut rules = RULES.iter().filter(|rule| {
        rule.group == path.group && rule.verbs.contains(&verb) && rule.resources.contains(&resource.as_str())
    });
    rules.any(|rule| match rule.on {
        On::Every => true,
        On::OwnName => path.name == node || verb == "create" && path.subresource.is_empty(),
        On::OwnLease => path.namespace == LEASE_NAMESPACE && (path.name == node || verb == "create"),
        On::OwnPods if path.name.is_empty() => path.fields.required("spec.nodeName") == Some(node),
        On::OwnPods => snapshot
            .get(&Key::new("pods", &path.namespace, &path.name))
            .is_none_or(|pod| pod.value()["spec"]["nodeName"] == node),
        On::NamedByOwnPods => is_named(node, path, snapshot),
    })
}

/// Whether a pod of the node names what `path` is about. A list or a watch is about one object if its field selector says
/// so.
fn is_named(node: &str, path: &ResourcePath, snapshot: &Snapshot) -> bool {
    if path.name.is_empty() || path.namespace.is_empty() {
        return false;
    }
    let (pods, is_secret) = (ResourceName::from("pods"), path.resource == "secrets");
    let mut own = snapshot.list(&pods, Some(&path.namespace)).filter(|pod| pod.value()["spec"]["nodeName"] == node);
    own.any(|pod| match is_secret {
        true => pod_references::secrets(pod.value()).any(|name| name == path.name),
        false => pod_references::config_maps(pod.value()).any(|name| name == path.name),
    })
}

/// What the path does not tell: a node creates no object but in its own name; of a pod it changes nothing but annotations
/// and, through the subresource, the status; of itself it changes no more than the labels that are its to say. Labels and
/// finalizers of pods lead traffic and hold up deletions, taints and addresses of nodes are the control plane's word.
pub(super) fn admits(node: &str, path: &ResourcePath, old: Option<&Value>, new: &Value) -> bool {
    match (path.resource.as_str(), old) {
        ("leases", None) => new["metadata"]["name"] == node,
        ("nodes", None) => {
            let has_cidr = ["podCIDR", "podCIDRs"].iter().any(|field| !new["spec"][field].is_null());
            new["metadata"]["name"] == node && !has_cidr && labels_are_its_own(&Value::Null, new)
        }
        ("nodes", Some(old)) => old["spec"] == new["spec"] && labels_are_its_own(old, new),
        ("pods", None) => false,
        // Whose pod it is was looked up before; what counts is whose it is now.
        ("pods", Some(old)) if old["spec"]["nodeName"] != node => false,
        ("pods", Some(old)) if path.subresource.is_empty() => same_but_for_annotations(old, new),
        ("pods", Some(old)) => {
            let mut kept = ["labels", "finalizers", "ownerReferences"].into_iter();
            kept.all(|field| old["metadata"][field] == new["metadata"][field])
        }
        _ => true,
    }
}

/// Labels of Kubernetes' own that nodes say themselves. Source: `pkg/kubelet/apis/well_known_labels.go`.
const NODE_LABELS: [&str; 9] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];
const NODE_LABEL_DOMAINS: [&str; 2] = ["node.kubernetes.io", "kubelet.kubernetes.io"];

/// Whether all labels that differ are those that a node may give itself: its own of Kubernetes, and any of other domains.
/// Source: `NodeRestriction`.
fn labels_are_its_own(old: &Value, new: &Value) -> bool {
    let (old, new) = (&old["metadata"]["labels"], &new["metadata"]["labels"]);
    let names = [old, new].into_iter().filter_map(Value::as_object).flat_map(|labels| labels.keys());
    names.filter(|name| old[name.as_str()] != new[name.as_str()]).all(|name| is_for_nodes(name))
}

fn is_for_nodes(label: &str) -> bool {
    let domain = label.split_once('/').map_or("", |(domain, _)| domain);
    let is_within =
        |parent: &str| domain == parent || domain.strip_suffix(parent).is_some_and(|sub| sub.ends_with('.'));
    NODE_LABELS.contains(&label)
        || NODE_LABEL_DOMAINS.iter().any(|parent| is_within(parent))
        || !(is_within("kubernetes.io") || is_within("k8s.io"))
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
