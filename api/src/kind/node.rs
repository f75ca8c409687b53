use super::{Kind, table};
use crate::field::{Faults, Field};
use crate::{Quantity, names};

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["no"],
        namespaced: false,
        columns: &table::NODE,
        selectable: &["spec.unschedulable"],
        subresources: &["status"],
        has_status: true,
        status_carries_metadata: true,
        // Nodes come with their status: capacity and addresses are known to nobody else.
        default: |node, _| {
            let capacity = node["status"]["capacity"].clone();
            if capacity.is_object() && node["status"]["allocatable"].is_null() {
                node["status"]["allocatable"] = capacity;
            }
        },
        validate: |node, faults| {
            taints(&node.get("spec").get("taints"), faults);
            for map in ["capacity", "allocatable"] {
                let map = node.get("status").get(map);
                for (name, value) in map.entries() {
                    if Quantity::from_value(value).is_ok_and(|quantity| quantity.is_negative()) {
                        let field = Field { path: format!("{}.{name}", map.path), value };
                        faults.invalid(&field, "must be greater than or equal to 0");
                    }
                }
            }
        },
        validate_update: |new, old, faults| {
            for field in ["podCIDR", "providerID"] {
                let (new, old) = (new.get("spec").get(field), &old["spec"][field]);
                if !old.is_null() && new.value != old {
                    let detail = format!("node updates may not change {field} except from \"\" to valid");
                    faults.forbid(&new.path, &detail);
                }
            }
        },
        ..Kind::plain("", "v1", "Node", "NodeList", "nodes", "node")
    }
}

fn taints(taints: &Field, faults: &mut Faults) {
    let mut seen = Vec::new();
    for taint in taints.items() {
        let (key, value, effect) = (taint.get("key"), taint.get("value"), taint.get("effect"));
        faults.named(&key, names::check_qualified_name(key.text()));
        faults.named(&value, names::check_label_value(value.text()));
        if faults.require(&effect, "") {
            faults.one_of(&effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
        }
        let id = (key.text(), effect.text());
        if seen.contains(&id) {
            faults.duplicate(&taint);
        }
        seen.push(id);
    }
}
