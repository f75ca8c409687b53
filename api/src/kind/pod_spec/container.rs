use super::volume::Volumes;
use super::{env, probe, resources};
use crate::field::{Faults, Field};
use crate::{Cause, names};

/// Containers and init containers: names are unique across both.
pub(super) fn validate_all(spec: &Field, volumes: &Volumes, faults: &mut Faults) {
    let containers = spec.get("containers");
    faults.require(&containers, "");
    let mut seen = Vec::new();
    for (list, is_init) in [(spec.get("initContainers"), true), (containers, false)] {
        for container in list.items() {
            validate(&container, is_init, volumes, faults);
            let name = container.get("name");
            if !name.is_empty() && seen.contains(&name.text()) {
                faults.duplicate(&name);
            }
            seen.push(name.text());
        }
    }
}

fn validate(container: &Field, is_init: bool, volumes: &Volumes, faults: &mut Faults) {
    let (name, image) = (container.get("name"), container.get("image"));
    if faults.require(&name, "") {
        faults.named(&name, names::check_dns1123_label(name.text()));
    }
    if faults.require(&image, "") && image.text().trim() != image.text() {
        faults.invalid(&image, "must not have leading or trailing whitespace");
    }
    faults.one_of(&container.get("imagePullPolicy"), &["Always", "IfNotPresent", "Never"]);
    faults.one_of(&container.get("terminationMessagePolicy"), &["FallbackToLogsOnError", "File"]);
    ports(&container.get("ports"), faults);
    env::validate(container, faults);
    mounts(&container.get("volumeMounts"), volumes, faults);
    resources::validate(&container.get("resources"), faults);
    probe::validate_all(container, is_init, faults);
}

fn ports(ports: &Field, faults: &mut Faults) {
    let mut seen = Vec::new();
    for port in ports.items() {
        let (name, number) = (port.get("name"), port.get("containerPort"));
        if !name.is_empty() {
            faults.named(&name, names::check_port_name(name.text()));
            if seen.contains(&name.text()) {
                faults.duplicate(&name);
            }
            seen.push(name.text());
        }
        match number.int() {
            None | Some(0) => faults.push(Cause::required(&number.path, "")),
            Some(value) => names::check_port_number(value).iter().for_each(|fault| faults.invalid(&number, fault)),
        }
        faults.one_of(&port.get("protocol"), &["SCTP", "TCP", "UDP"]);
    }
}

fn mounts(mounts: &Field, volumes: &Volumes, faults: &mut Faults) {
    let mut seen = Vec::new();
    for mount in mounts.items() {
        let (name, path) = (mount.get("name"), mount.get("mountPath"));
        if faults.require(&name, "") && !volumes.contains(&name.text()) {
            faults.push(Cause::new("FieldValueNotFound", &name.path, format!("Not found: {:?}", name.text())));
        }
        if faults.require(&path, "") {
            if seen.contains(&path.text()) {
                faults.invalid(&path, "must be unique");
            }
            seen.push(path.text());
        }
        let (sub_path, expression) = (mount.get("subPath"), mount.get("subPathExpr"));
        for one in [&sub_path, &expression] {
            local_path(one, faults);
        }
        if !sub_path.is_empty() && !expression.is_empty() {
            faults.invalid(&expression, "subPathExpr and subPath are mutually exclusive");
        }
    }
}

/// Relative, and staying below where it starts.
pub(super) fn local_path(path: &Field, faults: &mut Faults) {
    if path.text().starts_with('/') {
        faults.invalid(path, "must be a relative path");
    }
    if path.text().split('/').any(|part| part == "..") {
        faults.invalid(path, "must not contain '..'");
    }
}
