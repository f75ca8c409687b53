//! Namespace deletion: empties a terminating namespace, then lets it go.
//! Source of the rules: `pkg/controller/namespace/deletion/namespaced_resources_deleter.go`.

use wasmk_api::Object;

use crate::View;

/// A namespace that is going, or gone, takes nothing new.
pub(crate) fn is_terminating(view: &View, name: &str) -> bool {
    view.find("namespaces", "", name).is_none_or(|namespace| is_going(namespace))
}

fn is_going(namespace: &Object) -> bool {
    namespace.is_deleting()
}
