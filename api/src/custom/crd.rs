//! What a CustomResourceDefinition must be. Source: `apiextensions-apiserver/pkg/apis/apiextensions/validation`.

mod columns;
mod reserve;
mod rules;
mod status;
mod structural;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

pub(crate) use reserve::reserve;
pub(crate) use status::{FINALIZER, begin_delete, is_established, settle};
#[cfg(any(test, fuzzing))]
pub(super) use structural::each_child;

use crate::field::{Faults, Field, set_default};
use crate::{Cause, names};

/// Where the approval of a group of Kubernetes' own is written down.
const APPROVAL: &str = "api-approved.kubernetes.io";
const APPROVAL_RULE: &str = "protected groups must have approval annotation \"api-approved.kubernetes.io\"";
const APPROVAL_HELP: &str = "see https://github.com/kubernetes/enhancements/pull/1111";

/// Names that follow from the kind's, and no conversion unless asked for.
pub(crate) fn default(crd: &mut Value) {
    let spec = &mut crd["spec"];
    set_default(&mut spec["conversion"], "strategy", "None");
    let names = &mut spec["names"];
    if let Some(kind) = names["kind"].as_str().map(str::to_owned) {
        set_default(names, "singular", kind.to_lowercase());
        set_default(names, "listKind", format!("{kind}List"));
    }
}

pub(crate) fn validate(crd: &Field, faults: &mut Faults) {
    let spec = crd.get("spec");
    validate_identity(crd, &spec, faults);
    validate_names(&spec.get("names"), faults);
    faults.one_of(&spec.get("scope"), &["Cluster", "Namespaced"]);
    validate_conversion(&spec.get("conversion"), faults);
    if spec.value["preserveUnknownFields"] == true {
        faults.invalid(&spec.get("preserveUnknownFields"), "must be false in order to have structural schemas");
    }
    validate_versions(&spec.get("versions"), faults);
}

/// New, then old.
pub(crate) fn validate_update(crd: &Field, old: &Value, faults: &mut Faults) {
    let (spec, old_spec) = (crd.get("spec"), &old["spec"]);
    faults.immutable(&spec.get("group"), &old_spec["group"]);
    faults.immutable(&spec.get("names").get("plural"), &old_spec["names"]["plural"]);
    if status::is_established(old) {
        faults.immutable(&spec.get("scope"), &old_spec["scope"]);
        faults.immutable(&spec.get("names").get("kind"), &old_spec["names"]["kind"]);
    }
    let exists = |version: &Value| spec.get("versions").items().any(|one| one.value["name"] == *version);
    for stored in crd.get("status").get("storedVersions").items().filter(|stored| !exists(stored.value)) {
        let name = stored.text();
        faults.invalid(
            &stored,
            &format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            ),
        );
    }
}

fn validate_identity(crd: &Field, spec: &Field, faults: &mut Faults) {
    let (name, group) = (crd.get("metadata").get("name"), spec.get("group"));
    if name.text() != format!("{}.{}", spec.value["names"]["plural"].as_str().unwrap_or_default(), group.text()) {
        faults.invalid(&name, "must be spec.names.plural+\".\"+spec.group");
    }
    if !group.is_empty() {
        faults.named(&group, names::check_dns1123_subdomain(group.text()));
        if !group.text().contains('.') {
            faults.invalid(&group, "should be a domain with at least one dot");
        }
    }
    let protected = ["k8s.io", "kubernetes.io"];
    if protected.iter().any(|own| group.text() == *own || group.text().ends_with(&format!(".{own}"))) {
        validate_approval(&crd.get("metadata").get("annotations"), faults);
    }
}

fn validate_approval(annotations: &Field, faults: &mut Faults) {
    let path = annotations.key_path(APPROVAL);
    match annotations.value[APPROVAL].as_str().unwrap_or_default() {
        "" => faults.push(Cause::required(path, &format!("{APPROVAL_RULE}, {APPROVAL_HELP}"))),
        text if text.starts_with("unapproved") || text.contains("://") => {}
        text => {
            let detail =
                format!("{APPROVAL_RULE} with either a URL or a reason starting with \"unapproved\", {APPROVAL_HELP}");
            faults.push(Cause::invalid(path, &json!(text), &detail));
        }
    }
}

fn validate_names(names: &Field, faults: &mut Faults) {
    let label = |field: &Field, faults: &mut Faults| {
        if !field.is_empty() {
            faults.named(field, names::check_dns1035_label(field.text()));
        }
    };
    let mixed_case = |field: &Field, faults: &mut Faults| {
        let found = names::check_dns1035_label(&field.text().to_lowercase());
        if !field.is_empty() && !found.is_empty() {
            let detail = format!("may have mixed case, but should otherwise match: {}", found.join(","));
            faults.invalid(field, &detail);
        }
    };
    label(&names.get("plural"), faults);
    label(&names.get("singular"), faults);
    mixed_case(&names.get("kind"), faults);
    mixed_case(&names.get("listKind"), faults);
    if names.get("kind").is_set() && names.value["kind"] == names.value["listKind"] {
        faults.invalid(&names.get("listKind"), "kind and listKind may not be the same");
    }
    names.get("shortNames").items().chain(names.get("categories").items()).for_each(|name| label(&name, faults));
}

fn validate_conversion(conversion: &Field, faults: &mut Faults) {
    let strategy = conversion.get("strategy");
    if strategy.text() == "Webhook" {
        let message = "not supported by wasmk: objects of all versions are stored as they are; use the strategy None";
        return faults.push(Cause::new("FieldValueNotSupported", &strategy.path, message));
    }
    faults.one_of(&strategy, &["None", "Webhook"]);
    let webhook = conversion.get("webhook");
    if webhook.is_set() {
        faults.forbid(&webhook.path, "should not be set when strategy is not set to Webhook");
    }
}

fn validate_versions(versions: &Field, faults: &mut Faults) {
    let all: Vec<Field> = versions.items().collect();
    let unique: std::collections::BTreeSet<&str> = all.iter().map(|version| version.get("name").text()).collect();
    if unique.len() < all.len() {
        faults.invalid(versions, "must contain unique version names");
    }
    if all.iter().filter(|version| version.value["storage"] == true).count() != 1 {
        faults.invalid(versions, "must have exactly one version marked as storage version");
    }
    for version in &all {
        let name = version.get("name");
        faults.named(&name, names::check_dns1035_label(name.text()));
        columns::validate(version, faults);
    }
    for (schema, version) in schemas(&all) {
        if !schema.value.is_object() {
            faults.push(Cause::required(version.get("schema").get("openAPIV3Schema").path, "schemas are required"));
            continue;
        }
        structural::validate(&schema, faults);
    }
}

/// Each schema to look at, with its version. One that all versions share is told of once, at the place that Kubernetes
/// moves it to.
fn schemas<'a>(versions: &[Field<'a>]) -> Vec<(Field<'a>, Field<'a>)> {
    let schema = |version: &Field<'a>| version.get("schema").get("openAPIV3Schema");
    let shared = versions.windows(2).all(|pair| schema(&pair[0]).value == schema(&pair[1]).value);
    match versions.first() {
        Some(first) if shared => {
            let moved = Field { path: "spec.validation.openAPIV3Schema".to_owned(), value: schema(first).value };
            vec![(moved, first.clone())]
        }
        _ => versions.iter().map(|version| (schema(version), version.clone())).collect(),
    }
}
