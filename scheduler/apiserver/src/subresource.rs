use wasmk_api::kind::{self, Kind};

use crate::request::{ResourcePath, Verb};

/// A view or an action below an object: `/status`, `/scale`, `/log`. Which kinds have which is in the kind registry;
/// what each one is, is here.
pub(crate) struct Subresource {
    pub(crate) name: &'static str,
    /// Group, version and kind of what it reads and writes; `None`: those of the object itself.
    pub(crate) body: Option<(&'static str, &'static str, &'static str)>,
    pub(crate) verbs: &'static [Verb],
    pub(crate) lasts: Lasts,
}

/// How long the answer takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lasts {
    /// As long as that of any request.
    Moment,
    /// As long as there is something to send.
    Stream,
    /// The request becomes a connection to what it names: Kubernetes' verb CONNECT.
    Connection,
}

const VIEW: &[Verb] = &[Verb::Get, Verb::Patch, Verb::Update];

/// What most of them are.
const PART: Subresource = Subresource { name: "", body: None, verbs: VIEW, lasts: Lasts::Moment };
const ACTION: &[Verb] = &[Verb::Create];

static SUBRESOURCES: [Subresource; 8] = [
    Subresource { name: "status", ..PART },
    Subresource { name: "scale", body: Some(("autoscaling", "v1", "Scale")), ..PART },
    Subresource { name: "approval", ..PART },
    Subresource { name: "log", verbs: &[Verb::Get], lasts: Lasts::Stream, ..PART },
    Subresource { name: "binding", body: Some(("", "v1", "Binding")), verbs: ACTION, ..PART },
    Subresource { name: "eviction", body: Some(("policy", "v1", "Eviction")), verbs: ACTION, ..PART },
    Subresource { name: "token", body: Some(("authentication.k8s.io", "v1", "TokenRequest")), verbs: ACTION, ..PART },
    Subresource { name: "finalize", verbs: &[Verb::Update], ..PART },
];

const STREAM: &[Verb] = &[Verb::Create, Verb::Get];
/// Whatever the client's method is, it goes on to who is meant.
const PROXY: &[Verb] = &[Verb::Create, Verb::Delete, Verb::Get, Verb::Patch, Verb::Update];

/// A connection to the node. Its options are in the query.
const fn connection(name: &'static str, options: &'static str, verbs: &'static [Verb]) -> Subresource {
    Subresource { name, body: Some(("", "v1", options)), verbs, lasts: Lasts::Connection }
}

static OF_PODS: [Subresource; 4] = [
    connection("attach", "PodAttachOptions", STREAM),
    connection("exec", "PodExecOptions", STREAM),
    connection("portforward", "PodPortForwardOptions", STREAM),
    connection("proxy", "PodProxyOptions", PROXY),
];

static OF_SERVICES: [Subresource; 1] = [connection("proxy", "ServiceProxyOptions", PROXY)];

static OF_NODES: [Subresource; 1] = [connection("proxy", "NodeProxyOptions", PROXY)];

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

pub(crate) fn find(kind: &Kind, name: &str) -> Option<&'static Subresource> {
    of(kind).find(|subresource| subresource.name == name)
}

/// What a path ends in; `None` also for kinds that are not of the registry, none of which has more than parts.
pub(crate) fn of_path(path: &ResourcePath) -> Option<&'static Subresource> {
    find(kind::by_path(&path.group, &path.version, &path.resource)?, &path.subresource)
}
