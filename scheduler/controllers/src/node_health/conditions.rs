use serde_json::{Value, json};

use super::Verdict;
use crate::json::{Condition, condition, set_condition};
use crate::{Clock, Reason};

const CONDITIONS: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// Sets the conditions of a silent node to Unknown, and takes that back when it is heard again. Otherwise they are the
/// agent's to write.
pub(super) fn judge(node: &mut Value, verdict: Verdict, clock: &Clock) {
    for condition_type in CONDITIONS {
        let old = condition(&node["status"], condition_type);
        let unknown = old.is_some_and(|old| old["status"] == "Unknown");
        let ours = old.is_some_and(|old| old["reason"] == Reason::NodeStatusUnknown.as_str());
        let known = old.is_some() || condition_type == "Ready";
        let to_be = match (verdict, unknown) {
            (Verdict::Silent | Verdict::CutOff, false) if known => {
                let message = "The node's agent stopped renewing its lease".to_owned();
                ("Unknown", Reason::NodeStatusUnknown, message)
            }
            (Verdict::Heard, true) if ours => {
                let fine = if condition_type == "Ready" { "True" } else { "False" };
                (fine, Reason::LeaseRenewed, "The node's agent renews its lease again".to_owned())
            }
            _ => continue,
        };
        let (status_text, reason, message) = to_be;
        let wanted = Condition { condition_type, status: status_text, reason: reason.as_str(), message };
        if !node["status"].is_object() {
            node["status"] = json!({});
        }
        set_condition(&mut node["status"], &wanted, clock);
    }
}
