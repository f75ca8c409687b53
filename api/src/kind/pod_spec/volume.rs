use super::container::local_path;
use super::env::{field_reference, object_name, resource_reference};
use crate::field::{Faults, Field};
use crate::{Cause, names};

/// The names that a mount may refer to.
pub(super) type Volumes<'a> = Vec<&'a str>;

pub(super) fn validate<'a>(volumes: &Field<'a>, faults: &mut Faults) -> Volumes<'a> {
    let mut seen = Vec::new();
    for volume in volumes.items() {
        let name = volume.get("name");
        if faults.require(&name, "") {
            faults.named(&name, names::check_dns1123_label(name.text()));
            if seen.contains(&name.text()) {
                faults.duplicate(&name);
            }
            seen.push(name.text());
        }
        source(&volume, faults);
    }
    seen
}

fn source(volume: &Field, faults: &mut Faults) {
    let given: Vec<Field> =
        volume.entries().filter(|(key, _)| *key != "name").map(|(key, _)| volume.get(key)).collect();
    let [first, more @ ..] = &given[..] else {
        faults.push(Cause::required(&volume.path, "must specify a volume type"));
        return;
    };
    for one in more {
        faults.forbid(&one.path, "may not specify more than 1 volume type");
    }
    match first.path.rsplit('.').next().unwrap_or_default() {
        "configMap" => {
            object_name(&first.get("name"), faults);
            projection(first, faults);
        }
        "secret" => {
            object_name(&first.get("secretName"), faults);
            projection(first, faults);
        }
        "hostPath" => host_path(first, faults),
        "downwardAPI" => {
            mode(&first.get("defaultMode"), faults);
            downward(first, faults);
        }
        "projected" => {
            mode(&first.get("defaultMode"), faults);
            first.get("sources").items().for_each(|source| projected(&source, faults));
        }
        _ => {}
    }
}

/// The entries of a ConfigMap or Secret that become files.
fn projection(source: &Field, faults: &mut Faults) {
    mode(&source.get("defaultMode"), faults);
    for item in source.get("items").items() {
        faults.require(&item.get("key"), "");
        if faults.require(&item.get("path"), "") {
            local_path(&item.get("path"), faults);
        }
        mode(&item.get("mode"), faults);
    }
}

fn downward(source: &Field, faults: &mut Faults) {
    for item in source.get("items").items() {
        if faults.require(&item.get("path"), "") {
            local_path(&item.get("path"), faults);
        }
        mode(&item.get("mode"), faults);
        let (field, resource) = (item.get("fieldRef"), item.get("resourceFieldRef"));
        match (field.is_set(), resource.is_set()) {
            (true, true) => faults.invalid(&item, "fieldRef and resourceFieldRef can not be specified simultaneously"),
            (true, false) if matches!(field.get("fieldPath").text(), "metadata.labels" | "metadata.annotations") => {}
            (true, false) => field_reference(&field, faults),
            (false, true) => {
                faults.require(&resource.get("containerName"), "");
                resource_reference(&resource, faults);
            }
            (false, false) => {
                faults.push(Cause::required(&item.path, "one of fieldRef and resourceFieldRef is required"));
            }
        }
    }
}

fn projected(source: &Field, faults: &mut Faults) {
    for (kind, _) in source.entries() {
        let one = source.get(kind);
        match kind {
            "configMap" | "secret" => {
                object_name(&one.get("name"), faults);
                projection(&one, faults);
            }
            "downwardAPI" => downward(&one, faults),
            "serviceAccountToken" => token(&one, faults),
            _ => {}
        }
    }
}

fn token(token: &Field, faults: &mut Faults) {
    let (path, life) = (token.get("path"), token.get("expirationSeconds"));
    if faults.require(&path, "") {
        local_path(&path, faults);
    }
    match life.int() {
        Some(..600) => faults.invalid(&life, "may not specify a duration less than 10 minutes"),
        Some(0x1_0000_0000..) => faults.invalid(&life, "may not specify a duration larger than 2^32 seconds"),
        _ => {}
    }
}

fn host_path(source: &Field, faults: &mut Faults) {
    let path = source.get("path");
    if faults.require(&path, "") && path.text().split('/').any(|part| part == "..") {
        faults.invalid(&path, "must not contain '..'");
    }
    let known = ["", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"];
    faults.one_of(&source.get("type"), &known);
}

fn mode(mode: &Field, faults: &mut Faults) {
    if mode.int().is_some_and(|bits| !(0..=0o777).contains(&bits)) {
        faults.invalid(mode, "must be a number between 0 and 0777 (octal), both inclusive");
    }
}
