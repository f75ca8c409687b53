use serde_json::json;

use super::{Kind, table};
use crate::field::set_default;

/// Beyond this is the system's.
const USER_VALUE_MAX: i64 = 1_000_000_000;
/// What is the system's: names and values that nobody else may use.
const SYSTEM: [(&str, i64); 2] = [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["pc"],
        namespaced: false,
        columns: &table::PRIORITYCLASS,
        has_generation: true,
        default: |class, _| {
            set_default(class, "value", 0);
            set_default(class, "preemptionPolicy", "PreemptLowerPriority");
        },
        validate: |class, faults| {
            let (name, value) = (class.get("metadata").get("name"), class.get("value").int().unwrap_or(0));
            if name.text().starts_with("system-") {
                if !SYSTEM.contains(&(name.text(), value)) {
                    let detail = "priority class names with 'system-' prefix are reserved for system use only";
                    faults.forbid(&name.path, detail);
                }
            } else if value > USER_VALUE_MAX {
                let detail = format!("maximum allowed value of a user defined priority is {USER_VALUE_MAX}");
                faults.forbid("value", &detail);
            }
            faults.one_of(&class.get("preemptionPolicy"), &["Never", "PreemptLowerPriority"]);
        },
        validate_update: |new, old, faults| {
            if new.get("value").int() != old["value"].as_i64() {
                faults.forbid("value", "may not be changed in an update.");
            }
            let before = if old["preemptionPolicy"].is_null() {
                &json!("PreemptLowerPriority")
            } else {
                &old["preemptionPolicy"]
            };
            faults.immutable(&new.get("preemptionPolicy"), before);
        },
        ..Kind::plain(
            "scheduling.k8s.io",
            "v1",
            "PriorityClass",
            "PriorityClassList",
            "priorityclasses",
            "priorityclass",
        )
    }
}
