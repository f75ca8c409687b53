use crate::field::{Faults, Field};
use crate::{Cause, Quantity, names};

const SOURCES: &[&str] = &["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];

const FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// `env` and `envFrom` of a container.
pub(super) fn validate(container: &Field, faults: &mut Faults) {
    for variable in container.get("env").items() {
        let name = variable.get("name");
        if faults.require(&name, "") {
            faults.named(&name, names::check_env_var_name(name.text()));
        }
        let from = variable.get("valueFrom");
        if from.is_set() {
            source(&from, !variable.get("value").is_empty(), faults);
        }
    }
    for from in container.get("envFrom").items() {
        let prefix = from.get("prefix");
        if !prefix.is_empty() {
            faults.named(&prefix, names::check_env_var_name(prefix.text()));
        }
        let sources = ["configMapRef", "secretRef"].map(|source| from.get(source));
        let given: Vec<&Field> = sources.iter().filter(|source| source.is_set()).collect();
        match given[..] {
            [one] => {
                object_name(&one.get("name"), faults);
            }
            [] => faults.invalid(&from, "must specify one of: `configMapRef` or `secretRef`"),
            _ => faults.invalid(&from, "may not have more than one field specified at a time"),
        }
    }
}

fn source(from: &Field, has_value: bool, faults: &mut Faults) {
    let given: Vec<Field> = SOURCES.iter().map(|source| from.get(source)).filter(Field::is_set).collect();
    if given.is_empty() {
        faults.invalid(
            from,
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        );
    } else if has_value {
        faults.invalid(from, "may not be specified when `value` is not empty");
    } else if given.len() > 1 {
        faults.invalid(from, "may not have more than one field specified at a time");
    }
    for one in given {
        match one.path.rsplit('.').next().unwrap_or_default() {
            "fieldRef" => field_reference(&one, faults),
            "resourceFieldRef" => resource_reference(&one, faults),
            "configMapKeyRef" | "secretKeyRef" => {
                object_name(&one.get("name"), faults);
                let key = one.get("key");
                if faults.require(&key, "") {
                    faults.named(&key, names::check_config_key(key.text()));
                }
            }
            _ => {}
        }
    }
}

/// Of a variable or of a downwardAPI volume.
pub(super) fn field_reference(reference: &Field, faults: &mut Faults) {
    let path = reference.get("fieldPath");
    if !faults.require(&path, "") {
        return;
    }
    let text = path.text();
    if let Some((map, key)) = text.strip_suffix("']").and_then(|text| text.split_once("['")) {
        if !matches!(map, "metadata.labels" | "metadata.annotations") {
            faults.invalid(&path, &format!("invalid subscript '{text}'"));
        }
        names::check_qualified_name(&key.to_lowercase()).iter().for_each(|fault| faults.invalid(&path, fault));
    } else {
        faults.one_of(&path, FIELDS);
    }
}

pub(super) fn resource_reference(reference: &Field, faults: &mut Faults) {
    let resource = reference.get("resource");
    if faults.require(&resource, "") {
        faults.one_of(&resource, RESOURCES);
    }
    let divisor = reference.get("divisor");
    if divisor.is_set() && Quantity::from_value(divisor.value).is_ok_and(|quantity| quantity.is_negative()) {
        faults.invalid(&divisor, "must be greater than or equal to 0");
    }
}

/// The name of a ConfigMap or Secret.
pub(super) fn object_name(name: &Field, faults: &mut Faults) {
    if name.is_empty() {
        faults.push(Cause::required(&name.path, ""));
    } else {
        faults.named(name, names::check_dns1123_subdomain(name.text()));
    }
}
