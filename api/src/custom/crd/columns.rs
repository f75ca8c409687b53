//! Printer columns, subresources and selectable fields of a version.

use crate::Cause;
use crate::field::{Faults, Field};
use crate::jsonpath::Template;

/// Kubernetes' own bound.
const SELECTABLE_FIELDS_MAX: usize = 8;
/// A path names a field; what reads it goes as deep as it is long.
const PATH_LENGTH_MAX: usize = 1000;

pub(super) fn validate(version: &Field, faults: &mut Faults) {
    for column in version.get("additionalPrinterColumns").items() {
        faults.require(&column.get("name"), "");
        faults.one_of(&column.get("type"), &["integer", "number", "string", "boolean", "date"]);
        faults.one_of(
            &column.get("format"),
            &["int32", "int64", "float", "double", "byte", "date", "date-time", "password"],
        );
        json_path(&column.get("jsonPath"), faults);
    }
    let scale = version.get("subresources").get("scale");
    if scale.is_set() {
        replicas_path(&scale.get("specReplicasPath"), &[".spec."], "should be a json path under .spec", faults);
        replicas_path(&scale.get("statusReplicasPath"), &[".status."], "should be a json path under .status", faults);
        let selector = scale.get("labelSelectorPath");
        if !selector.is_empty() {
            replicas_path(
                &selector,
                &[".spec.", ".status."],
                "should be a json path under either .status or .spec",
                faults,
            );
        }
    }
    let selectable = version.get("selectableFields");
    let count = selectable.items().count();
    if count > SELECTABLE_FIELDS_MAX {
        let message = format!("Too many: {count}: must have at most {SELECTABLE_FIELDS_MAX} items");
        faults.push(Cause::new("FieldValueTooMany", &selectable.path, message));
    }
    for field in selectable.items() {
        selectable_field(version, &field.get("jsonPath"), faults);
    }
}

fn json_path(path: &Field, faults: &mut Faults) {
    if !faults.require(path, "") {
        return;
    }
    if path.text().len() > PATH_LENGTH_MAX {
        let message = format!("Too long: may not be more than {PATH_LENGTH_MAX} bytes");
        return faults.push(Cause::new("FieldValueTooLong", &path.path, message));
    }
    if !path.text().starts_with('.') {
        return faults.invalid(path, "must be a simple json path starting with .");
    }
    if let Err(error) = format!("{{{}}}", path.text()).parse::<Template>() {
        faults.invalid(path, &format!("invalid json path: {error}"));
    }
}

fn replicas_path(path: &Field, roots: &[&str], detail: &str, faults: &mut Faults) {
    if faults.require(path, "") && !roots.iter().any(|root| path.text().starts_with(root)) {
        faults.invalid(path, detail);
    }
}

/// It must lead to a string, an integer or a boolean of the schema.
fn selectable_field(version: &Field, path: &Field, faults: &mut Faults) {
    if !faults.require(path, "") {
        return;
    }
    let root = version.get("schema").get("openAPIV3Schema");
    let steps = path.text().strip_prefix('.').unwrap_or_default();
    let found = steps.split('.').fold(root, |schema, step| schema.get("properties").get(step));
    if steps.starts_with("metadata.") {
        faults.invalid(path, "must not point to fields in metadata");
    } else if !["string", "integer", "boolean"].contains(&found.get("type").text()) {
        faults.invalid(path, "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.");
    }
}
