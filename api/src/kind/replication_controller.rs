use serde_json::{Value, json};

use super::pod_spec::Owner;
use super::{Kind, pod_spec, table};
use crate::Cause;
use crate::field::{Faults, Field, set_default};

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["rc"],
        categories: &["all"],
        columns: &table::REPLICATIONCONTROLLER,
        selectable: &["status.replicas"],
        subresources: &["scale", "status"],
        has_generation: true,
        has_status: true,
        orphans_dependents: true,
        prepare_create: |controller, _| controller["status"] = json!({"replicas": 0}),
        default: |controller, _| default(controller),
        validate: |controller, faults| validate(&controller.get("spec"), faults),
        pod_spec: Some("spec.template.spec"),
        ..Kind::plain(
            "",
            "v1",
            "ReplicationController",
            "ReplicationControllerList",
            "replicationcontrollers",
            "replicationcontroller",
        )
    }
}

/// The labels of the template serve as selector and as the object's own, where it has none.
fn default(controller: &mut Value) {
    let labels = controller["spec"]["template"]["metadata"]["labels"].clone();
    if labels.is_object() {
        set_default(&mut controller["spec"], "selector", labels.clone());
        set_default(&mut controller["metadata"], "labels", labels);
    }
    set_default(&mut controller["spec"], "replicas", 1);
    if controller["spec"]["template"].is_object() {
        pod_spec::default_spec(&mut controller["spec"]["template"]["spec"]);
    }
}

fn validate(spec: &Field, faults: &mut Faults) {
    let (selector, template) = (spec.get("selector"), spec.get("template"));
    faults.non_negative(&spec.get("minReadySeconds"));
    faults.non_negative(&spec.get("replicas"));
    if faults.require(&selector, "") {
        faults.equalities(&selector);
    }
    if !template.is_set() {
        return faults.push(Cause::required(&template.path, ""));
    }
    pod_spec::validate_template(&template, &selector, Owner::Restarting("ReplicationController"), faults);
}
