use serde_json::{Value, json};

use super::{Kind, table};
use crate::field::{Faults, Field};
use crate::{Cause, names};

/// Kubernetes' own bound on ConfigMaps and Secrets, summed over keys and values.
pub(super) const DATA_BYTES_MAX: usize = 1024 * 1024;

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["cm"],
        columns: &table::CONFIGMAP,
        validate: |config_map, faults| {
            let size = check_keys(config_map, &["data", "binaryData"], faults);
            for (key, _) in config_map.get("data").entries() {
                if config_map.get("binaryData").value.get(key).is_some() {
                    let path = config_map.get("data").key_path(key);
                    faults.invalid(&Field { path, value: &json!(key) }, "duplicate of key present in binaryData");
                }
            }
            check_size(size, faults);
        },
        validate_update: |new, old, faults| check_immutable(new, old, &["data", "binaryData"], faults),
        ..Kind::plain("", "v1", "ConfigMap", "ConfigMapList", "configmaps", "configmap")
    }
}

/// Checks the names of the entries, and answers with what they weigh together.
pub(super) fn check_keys(object: &Field, maps: &[&str], faults: &mut Faults) -> usize {
    let mut size = 0;
    for map in maps.iter().map(|map| object.get(map)) {
        for (key, value) in map.entries() {
            faults.causes.extend(names::causes(&map.key_path(key), key, names::check_config_key(key)));
            let bytes = value.as_str().unwrap_or_default().len();
            size += if map.path == "data" && object.value["kind"] == "ConfigMap" { bytes } else { bytes / 4 * 3 };
        }
    }
    size
}

pub(super) fn check_size(size: usize, faults: &mut Faults) {
    if size > DATA_BYTES_MAX {
        faults.push(Cause::new(
            "FieldValueTooLong",
            "",
            format!("Too long: may not be more than {DATA_BYTES_MAX} bytes"),
        ));
    }
}

/// `immutable: true` is for ever.
pub(super) fn check_immutable(new: &Field, old: &Value, maps: &[&str], faults: &mut Faults) {
    if old["immutable"] != true {
        return;
    }
    if new.value["immutable"] != true {
        faults.forbid("immutable", "field is immutable when `immutable` is set");
    }
    for map in maps {
        if new.value[*map] != old[*map] {
            faults.forbid(map, "field is immutable when `immutable` is set");
        }
    }
}
