use serde_json::{Value, json};

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
        default: |pod, context| {
            pod_spec::default_pod(pod, context);
            let class = pod_spec::qos_class(&pod["spec"]);
            if pod["status"]["qosClass"].is_null() {
                pod["status"]["qosClass"] = json!(class);
            }
        },
        validate: |pod, faults| pod_spec::validate(&pod.get("spec"), false, faults),
        validate_update: |new, old, faults| pod_spec::validate_update(&new.get("spec"), &old["spec"], faults),
        pod_spec: Some("spec"),
        ..Kind::plain("", "v1", "Pod", "PodList", "pods", "pod")
    }
}

/// Makes `field` of `target` what it is in `source`, absent too.
pub(super) fn copy(target: &mut Value, source: &Value, field: &str) {
    match source.get(field) {
        Some(value) => target[field] = value.clone(),
        None => crate::write::metadata::remove(target, field),
    }
}
