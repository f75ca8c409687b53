use serde_json::json;

use super::pod_spec::Owner;
use super::{Kind, pod_spec, table};
use crate::field::set_default;

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["rs"],
        categories: &["all"],
        columns: &table::REPLICASET,
        selectable: &["status.replicas"],
        subresources: &["scale", "status"],
        has_generation: true,
        has_status: true,
        prepare_create: |replica_set, _| replica_set["status"] = json!({"replicas": 0}),
        default: |replica_set, _| {
            set_default(&mut replica_set["spec"], "replicas", 1);
            pod_spec::default_spec(&mut replica_set["spec"]["template"]["spec"]);
        },
        validate: |replica_set, faults| {
            let spec = replica_set.get("spec");
            faults.non_negative(&spec.get("replicas"));
            faults.non_negative(&spec.get("minReadySeconds"));
            pod_spec::validate_selector(&spec.get("selector"), "replicaset", faults);
            pod_spec::validate_template(
                &spec.get("template"),
                &spec.get("selector"),
                Owner::Restarting("ReplicaSet"),
                faults,
            );
        },
        validate_update: |new, old, faults| {
            faults.immutable(&new.get("spec").get("selector"), &old["spec"]["selector"]);
        },
        pod_spec: Some("spec.template.spec"),
        ..Kind::plain("apps", "v1", "ReplicaSet", "ReplicaSetList", "replicasets", "replicaset")
    }
}
