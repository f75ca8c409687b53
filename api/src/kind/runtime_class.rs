use super::{Kind, table};
use crate::names;

pub(super) fn kind() -> Kind {
    Kind {
        namespaced: false,
        columns: &table::RUNTIMECLASS,
        validate: |class, faults| {
            let handler = class.get("handler");
            if faults.require(&handler, "") {
                faults.named(&handler, names::check_dns1123_label(handler.text()));
            }
        },
        validate_update: |new, old, faults| faults.immutable(&new.get("handler"), &old["handler"]),
        inert: Some("nothing acts on RuntimeClasses: every pod runs on wasmk's own runtime"),
        ..Kind::plain("node.k8s.io", "v1", "RuntimeClass", "RuntimeClassList", "runtimeclasses", "runtimeclass")
    }
}
