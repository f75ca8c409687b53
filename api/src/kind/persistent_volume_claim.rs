use serde_json::{Value, json};

use super::persistent_volume::{INERT, VOLUME_MODES, access_modes};
use super::{DeleteAnswer, Kind, table};
use crate::field::{Faults, Field, set_default};
use crate::write::Context;
use crate::{Quantity, names};

/// Marks the StorageClass of claims that name none.
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["pvc"],
        columns: &table::PERSISTENTVOLUMECLAIM,
        subresources: &["status"],
        has_status: true,
        delete_answer: DeleteAnswer::Object,
        prepare_create: |claim, context| {
            claim["status"] = json!({"phase": "Pending"});
            if claim["spec"].is_object() && claim["spec"]["storageClassName"].is_null() {
                default_class(&mut claim["spec"], context);
            }
        },
        default: |claim, _| {
            if claim["spec"].is_object() {
                set_default(&mut claim["spec"], "volumeMode", "Filesystem");
            }
        },
        validate: |claim, faults| validate(&claim.get("spec"), faults),
        validate_update: |new, old, faults| {
            let (mut before, mut after) = (old["spec"].clone(), new.get("spec").value.clone());
            for spec in [&mut before, &mut after] {
                spec["resources"] = Value::Null;
                spec["volumeName"] = Value::Null;
            }
            if before != after {
                let detail = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
                faults.forbid("spec", detail);
            }
        },
        inert: Some(INERT),
        ..Kind::plain(
            "",
            "v1",
            "PersistentVolumeClaim",
            "PersistentVolumeClaimList",
            "persistentvolumeclaims",
            "persistentvolumeclaim",
        )
    }
}

/// As the admission plugin DefaultStorageClass: the youngest of the classes that are marked.
fn default_class(spec: &mut Value, context: &Context) {
    let resource = "storageclasses.storage.k8s.io".into();
    let classes = context.snapshot.list(&resource, None);
    let marked = classes.filter(|class| class.annotation(DEFAULT_CLASS) == Some("true"));
    let created = |class: &crate::Object| class.metadata()["creationTimestamp"].as_str().unwrap_or_default().to_owned();
    if let Some(class) = marked.max_by_key(|class| created(class)) {
        spec["storageClassName"] = json!(class.name());
    }
}

fn validate(spec: &Field, faults: &mut Faults) {
    access_modes(&spec.get("accessModes"), faults);
    let storage = spec.get("resources").get("requests").get("storage");
    let path = format!("{}[storage]", spec.get("resources").get("requests").path);
    if !storage.is_set() {
        faults.push(crate::Cause::required(path, ""));
    } else if Quantity::from_value(storage.value).is_ok_and(|size| size.is_negative() || size.is_zero()) {
        faults.invalid(&Field { path, value: storage.value }, "must be greater than zero");
    }
    faults.one_of(&spec.get("volumeMode"), VOLUME_MODES);
    let class = spec.get("storageClassName");
    if !class.is_empty() {
        faults.named(&class, names::check_dns1123_subdomain(class.text()));
    }
}
