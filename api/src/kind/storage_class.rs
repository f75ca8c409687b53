use super::{Kind, table};
use crate::field::set_default;

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["sc"],
        namespaced: false,
        columns: &table::STORAGECLASS,
        default: |class, _| {
            set_default(class, "reclaimPolicy", "Delete");
            set_default(class, "volumeBindingMode", "Immediate");
        },
        validate: |class, faults| {
            faults.require(&class.get("provisioner"), "");
            faults.one_of(&class.get("reclaimPolicy"), &["Delete", "Retain"]);
            faults.one_of(&class.get("volumeBindingMode"), &["Immediate", "WaitForFirstConsumer"]);
        },
        validate_update: |new, old, faults| {
            for field in ["parameters", "provisioner"] {
                if *new.get(field).value != old[field] {
                    faults.forbid(field, &format!("updates to {field} are forbidden."));
                }
            }
            faults.immutable(&new.get("reclaimPolicy"), &old["reclaimPolicy"]);
            faults.immutable(&new.get("volumeBindingMode"), &old["volumeBindingMode"]);
        },
        inert: Some("nothing acts on StorageClasses: wasmk has no storage drivers"),
        ..Kind::plain("storage.k8s.io", "v1", "StorageClass", "StorageClassList", "storageclasses", "storageclass")
    }
}
