use wasmk_api::kind::Kind;

use crate::request::Verb;

/// A view or an action below an object: `/status`, `/scale`, `/log`. Which kinds have which is in the kind registry;
/// what each one is, is here.
pub(crate) struct Subresource {
    pub(crate) name: &'static str,
    /// Group, version and kind of what it reads and writes; `None`: those of the object itself.
    pub(crate) body: Option<(&'static str, &'static str, &'static str)>,
    pub(crate) verbs: &'static [Verb],
}

const VIEW: &[Verb] = &[Verb::Get, Verb::Patch, Verb::Update];

static SUBRESOURCES: [Subresource; 8] = [
    Subresource { name: "status", body: None, verbs: VIEW },
    Subresource { name: "scale", body: Some(("autoscaling", "v1", "Scale")), verbs: VIEW },
    Subresource { name: "approval", body: None, verbs: VIEW },
    Subresource { name: "log", body: None, verbs: &[Verb::Get] },
    Subresource { name: "binding", body: Some(("", "v1", "Binding")), verbs: &[Verb::Create] },
    Subresource { name: "eviction", body: Some(("policy", "v1", "Eviction")), verbs: &[Verb::Create] },
    Subresource { name: "token", body: Some(("authentication.k8s.io", "v1", "TokenRequest")), verbs: &[Verb::Create] },
    Subresource { name: "finalize", body: None, verbs: &[Verb::Update] },
];

/// Streams: a request becomes a connection to the node. Their options are in the query.
const STREAM: &[Verb] = &[Verb::Create, Verb::Get];
/// Whatever the client's method is, it goes on to who is meant.
const PROXY: &[Verb] = &[Verb::Create, Verb::Delete, Verb::Get, Verb::Patch, Verb::Update];

static OF_PODS: [Subresource; 4] = [
    Subresource { name: "attach", body: Some(("", "v1", "PodAttachOptions")), verbs: STREAM },
    Subresource { name: "exec", body: Some(("", "v1", "PodExecOptions")), verbs: STREAM },
    Subresource { name: "portforward", body: Some(("", "v1", "PodPortForwardOptions")), verbs: STREAM },
    Subresource { name: "proxy", body: Some(("", "v1", "PodProxyOptions")), verbs: PROXY },
];

static OF_SERVICES: [Subresource; 1] =
    [Subresource { name: "proxy", body: Some(("", "v1", "ServiceProxyOptions")), verbs: PROXY }];

static OF_NODES: [Subresource; 1] =
    [Subresource { name: "proxy", body: Some(("", "v1", "NodeProxyOptions")), verbs: PROXY }];

/// Those whose options are of a kind of their own for each kind of object.
fn connects(kind: &Kind) -> &'static [Subresource] {
    match (kind.group, kind.plural) {
        ("", "pods") => &OF_PODS,
        ("", "services") => &OF_SERVICES,
        ("", "nodes") => &OF_NODES,
        _ => &[],
    }
}

/// The subresources of `kind`, in this table's order.
pub(crate) fn of(kind: &Kind) -> impl Iterator<Item = &'static Subresource> {
    let general = SUBRESOURCES.iter().filter(|subresource| kind.subresources.contains(&subresource.name));
    general.chain(connects(kind))
}
