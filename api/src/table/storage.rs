use serde_json::{Value, json};

use super::{AGE, Columns, NAME, age, array, name, str_of, text};

pub static PERSISTENTVOLUME: Columns = Columns {
    definitions: &[
        NAME,
        text("Capacity", 0, "How much it holds."),
        text("Access Modes", 0, "How it can be mounted."),
        text("Reclaim Policy", 0, "What happens to it once its claim is gone."),
        text("Status", 0, "Whether it is available, bound or released."),
        text("Claim", 0, "The claim that it is bound to."),
        text("StorageClass", 0, "The class that it belongs to."),
        text("VolumeAttributesClass", 0, "The class of its attributes."),
        text("Reason", 0, "Why it is in its status."),
        AGE,
        text("VolumeMode", 1, "A file system or a block device."),
    ],
    row: |object, now| {
        let (spec, status) = (&object["spec"], &object["status"]);
        let claim = &spec["claimRef"];
        let claim = match claim.is_object() {
            true => format!("{}/{}", str_of(&claim["namespace"]), str_of(&claim["name"])),
            false => String::new(),
        };
        vec![
            name(object),
            json!(str_of(&spec["capacity"]["storage"])),
            json!(access_modes(&spec["accessModes"])),
            json!(str_of(&spec["persistentVolumeReclaimPolicy"])),
            json!(phase(object)),
            json!(claim),
            json!(str_of(&spec["storageClassName"])),
            json!(unset(&spec["volumeAttributesClassName"])),
            json!(str_of(&status["reason"])),
            age(object, now),
            json!(unset(&spec["volumeMode"])),
        ]
    },
};

pub static PERSISTENTVOLUMECLAIM: Columns = Columns {
    definitions: &[
        NAME,
        text("Status", 0, "Whether it is bound."),
        text("Volume", 0, "The volume that it is bound to."),
        text("Capacity", 0, "How much that holds."),
        text("Access Modes", 0, "How that can be mounted."),
        text("StorageClass", 0, "The class that it asks for."),
        text("VolumeAttributesClass", 0, "The class of attributes that it asks for."),
        AGE,
        text("VolumeMode", 1, "A file system or a block device."),
    ],
    row: |object, now| {
        let (spec, status) = (&object["spec"], &object["status"]);
        let bound = !str_of(&spec["volumeName"]).is_empty();
        let capacity = if bound { str_of(&status["capacity"]["storage"]) } else { "" };
        let modes = if bound { access_modes(&status["accessModes"]) } else { String::new() };
        vec![
            name(object),
            json!(phase(object)),
            json!(str_of(&spec["volumeName"])),
            json!(capacity),
            json!(modes),
            json!(str_of(&spec["storageClassName"])),
            json!(unset(&spec["volumeAttributesClassName"])),
            age(object, now),
            json!(unset(&spec["volumeMode"])),
        ]
    },
};

pub static STORAGECLASS: Columns = Columns {
    definitions: &[
        NAME,
        text("Provisioner", 0, "Who makes its volumes."),
        text("ReclaimPolicy", 0, "What happens to a volume once its claim is gone."),
        text("VolumeBindingMode", 0, "When a claim gets its volume."),
        text("AllowVolumeExpansion", 0, "Whether volumes can grow."),
        AGE,
    ],
    row: |object, now| {
        let annotations = &object["metadata"]["annotations"];
        let markers =
            ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
        let is_default = markers.iter().any(|marker| annotations[*marker] == "true");
        let shown = if is_default { json!(format!("{} (default)", str_of(&name(object)))) } else { name(object) };
        vec![
            shown,
            object["provisioner"].clone(),
            object["reclaimPolicy"].clone(),
            object["volumeBindingMode"].clone(),
            json!(object["allowVolumeExpansion"] == true),
            age(object, now),
        ]
    },
};

fn phase(object: &Value) -> &str {
    let is_deleting = object["metadata"]["deletionTimestamp"].is_string();
    if is_deleting { "Terminating" } else { str_of(&object["status"]["phase"]) }
}

fn unset(value: &Value) -> &str {
    value.as_str().unwrap_or("<unset>")
}

/// `RWO,ROX,RWX,RWOP`, each once and in this order.
fn access_modes(modes: &Value) -> String {
    let known =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    let given = known.iter().filter(|(mode, _)| array(modes).any(|one| one == *mode));
    given.map(|(_, short)| *short).collect::<Vec<_>>().join(",")
}
