use serde_json::json;

use super::{DeleteAnswer, Kind, table};

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["po"],
        categories: &["all"],
        columns: &table::POD,
        selectable: &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        subresources: &["binding", "eviction", "log", "status"],
        has_generation: true,
        has_status: true,
        status_carries_metadata: true,
        has_grace_period: true,
        delete_answer: DeleteAnswer::Object,
        prepare_create: |pod, _| pod["status"] = json!({"phase": "Pending"}),
        ..Kind::plain("", "v1", "Pod", "PodList", "pods", "pod")
    }
}
