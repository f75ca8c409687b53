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

static SUBRESOURCES: [Subresource; 6] = [
    Subresource { name: "status", body: None, verbs: VIEW },
    Subresource { name: "scale", body: Some(("autoscaling", "v1", "Scale")), verbs: VIEW },
    Subresource { name: "log", body: None, verbs: &[Verb::Get] },
    Subresource { name: "binding", body: Some(("", "v1", "Binding")), verbs: &[Verb::Create] },
    Subresource { name: "eviction", body: Some(("policy", "v1", "Eviction")), verbs: &[Verb::Create] },
    Subresource { name: "finalize", body: None, verbs: &[Verb::Update] },
];

/// The subresources of `kind`, in this table's order.
pub(crate) fn of(kind: &Kind) -> impl Iterator<Item = &'static Subresource> {
    SUBRESOURCES.iter().filter(|subresource| kind.subresources.contains(&subresource.name))
}
