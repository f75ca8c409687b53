use serde_json::{Value, json};

use super::{DeleteAnswer, Kind, table};
use crate::field::{Faults, Field, set_default};
use crate::{Cause, Quantity};

pub(super) const ACCESS_MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
pub(super) const VOLUME_MODES: &[&str] = &["Block", "Filesystem"];
pub(super) const INERT: &str = "nothing acts on PersistentVolumes and claims: pods have emptyDir and hostPath volumes";

/// What a volume's spec says besides where it comes from.
const OTHER_FIELDS: &[&str] = &[
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["pv"],
        namespaced: false,
        columns: &table::PERSISTENTVOLUME,
        subresources: &["status"],
        has_status: true,
        delete_answer: DeleteAnswer::Object,
        prepare_create: |volume, _| volume["status"] = json!({"phase": "Pending"}),
        default: |volume, _| {
            if volume["spec"].is_object() {
                set_default(&mut volume["spec"], "persistentVolumeReclaimPolicy", "Retain");
                set_default(&mut volume["spec"], "volumeMode", "Filesystem");
            }
        },
        validate: |volume, faults| {
            let spec = volume.get("spec");
            access_modes(&spec.get("accessModes"), faults);
            capacity(&spec.get("capacity"), faults);
            faults.one_of(&spec.get("persistentVolumeReclaimPolicy"), &["Delete", "Recycle", "Retain"]);
            faults.one_of(&spec.get("volumeMode"), VOLUME_MODES);
            match sources(spec.value).count() {
                0 => faults.push(Cause::required(&spec.path, "must specify a volume type")),
                1 => {}
                _ => faults.forbid(&spec.path, "may not specify more than 1 volume type"),
            }
        },
        validate_update: |new, old, faults| {
            if !sources(new.get("spec").value).eq(sources(&old["spec"])) {
                faults.forbid("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation");
            }
            faults.immutable(&new.get("spec").get("volumeMode"), &old["spec"]["volumeMode"]);
        },
        inert: Some(INERT),
        ..Kind::plain("", "v1", "PersistentVolume", "PersistentVolumeList", "persistentvolumes", "persistentvolume")
    }
}

fn sources(spec: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let fields = spec.as_object().into_iter().flatten();
    fields.filter(|(field, value)| !OTHER_FIELDS.contains(&field.as_str()) && !value.is_null())
}

pub(super) fn access_modes(modes: &Field, faults: &mut Faults) {
    faults.require(modes, "at least 1 access mode is required");
    modes.items().for_each(|mode| faults.one_of(&mode, ACCESS_MODES));
    if modes.items().count() > 1 && modes.items().any(|mode| mode.text() == "ReadWriteOncePod") {
        faults.forbid(&modes.path, "may not use ReadWriteOncePod with other access modes");
    }
}

fn capacity(capacity: &Field, faults: &mut Faults) {
    if !faults.require(capacity, "") {
        return;
    }
    for (name, value) in capacity.entries() {
        let field = Field { path: capacity.key_path(name), value };
        if name != "storage" {
            faults.push(Cause::unsupported(&capacity.path, &json!(name), &["storage"]));
        }
        if Quantity::from_value(value).is_ok_and(|quantity| quantity.is_negative() || quantity.is_zero()) {
            faults.invalid(&field, "must be greater than zero");
        }
    }
}
