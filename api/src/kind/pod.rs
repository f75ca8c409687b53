use serde_json::json;

use super::{DeleteAnswer, Kind, pod_spec, table};

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
        prepare_update: |pod, old| pod_spec::keep_priority(&mut pod["spec"], &old["spec"]),
        default: |pod, context| {
            pod_spec::default_pod(pod, context);
            let class = pod_spec::qos_class(&pod["spec"]);
            if pod["status"]["qosClass"].is_null() {
                pod["status"]["qosClass"] = json!(class);
            }
        },
        admit: pod_spec::admit,
        validate: |pod, faults| pod_spec::validate(&pod.get("spec"), pod_spec::Owner::None, faults),
        validate_update: |new, old, faults| pod_spec::validate_update(&new.get("spec"), &old["spec"], faults),
        pod_spec: Some("spec"),
        ..Kind::plain("", "v1", "Pod", "PodList", "pods", "pod")
    }
}
