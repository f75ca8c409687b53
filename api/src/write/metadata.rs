//! `metadata`: what the server writes, and what it makes sure of.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Context;
use crate::field::{Faults, Field};
use crate::kind::Kind;
use crate::patch::FieldWrite;
use crate::{Cause, Object, Reason, Status, names};

/// Kubernetes' own bound, summed over keys and values.
pub(crate) const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;
/// Kubernetes' own bound on the part of a generated name that is given: a label's length without the suffix.
const GENERATE_NAME_LENGTH_MAX: usize = 58;

/// What only the server writes: an update keeps what is there.
const KEPT: &[&str] = &[
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
    "resourceVersion",
];

/// Puts the object where the request says; one that says otherwise is refused.
pub(super) fn place(kind: &Kind, namespace: &str, value: &mut Value) -> Result<(), Status> {
    let metadata = &mut value["metadata"];
    let found = metadata["namespace"].as_str().unwrap_or_default();
    if kind.namespaced && namespace.is_empty() {
        return Err(Status::bad_request("an empty namespace may not be set during creation"));
    }
    if !kind.namespaced {
        if !found.is_empty() {
            let message = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Status::bad_request(message));
        }
        remove(metadata, "namespace");
        return Ok(());
    }
    if !found.is_empty() && found != namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Status::bad_request(message));
    }
    metadata["namespace"] = json!(namespace);
    Ok(())
}

/// Name, uid and times of a new object.
pub(super) fn begin(kind: &Kind, value: &mut Value, context: &Context) {
    let metadata = &mut value["metadata"];
    for field in KEPT {
        remove(metadata, field);
    }
    if metadata["name"].as_str().unwrap_or_default().is_empty()
        && let Some(prefix) = metadata["generateName"].as_str().filter(|prefix| !prefix.is_empty())
    {
        let prefix: String = prefix.chars().take(GENERATE_NAME_LENGTH_MAX).collect();
        metadata["name"] = json!(prefix + &(context.name_suffix)());
    }
    metadata["uid"] = json!((context.uid)());
    metadata["creationTimestamp"] = json!(time(context.now));
    if kind.has_generation {
        metadata["generation"] = json!(1);
    }
}

/// Brings the server's own fields from `current` into `new`, after checking that `new` means this very object in this
/// very version.
pub(super) fn carry_over(kind: &Kind, current: &Object, new: &mut Value) -> Result<(), Status> {
    let metadata = &mut new["metadata"];
    let text = |field: &str| metadata[field].as_str().unwrap_or_default();
    check_preconditions(kind, current, Some(text("uid")), Some(text("resourceVersion")))?;
    if !text("name").is_empty() && text("name") != current.name() {
        return Err(Status::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            text("name"),
            current.name()
        )));
    }
    if !text("namespace").is_empty() && text("namespace") != current.namespace() {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Status::bad_request(message));
    }
    for field in KEPT.iter().chain(&["name", "namespace", "generateName"]) {
        match current.metadata().get(*field) {
            Some(kept) => metadata[*field] = kept.clone(),
            None => remove(metadata, field),
        }
    }
    if metadata["managedFields"].is_null()
        && let Some(known) = current.metadata().get("managedFields")
    {
        metadata["managedFields"] = known.clone();
    }
    Ok(())
}

/// `None` and the empty string ask for nothing.
pub(super) fn check_preconditions(
    kind: &Kind,
    current: &Object,
    uid: Option<&str>,
    resource_version: Option<&str>,
) -> Result<(), Status> {
    let name = current.name();
    if let Some(uid) = uid.filter(|uid| !uid.is_empty() && *uid != current.uid()) {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            kind.resource(),
            current.uid()
        );
        return Err(Status::new(Reason::Conflict, message).about(kind.plural, kind.group, name));
    }
    match resource_version.filter(|version| !version.is_empty() && *version != "0") {
        None => Ok(()),
        Some(version) if version.parse::<u64>().is_err() => {
            let detail = format!("strconv.ParseUint: parsing \"{version}\": invalid syntax");
            let cause = Cause::invalid("metadata.resourceVersion", &json!(version), &detail);
            Err(Status::invalid(kind.kind, kind.group, name, vec![cause]))
        }
        Some(version) if version == current.revision().to_string() => Ok(()),
        Some(_) => Err(Status::modified(kind.plural, kind.group, name)),
    }
}

pub(super) fn validate(kind: &Kind, metadata: &Field, faults: &mut Faults) {
    let name = metadata.get("name");
    if name.is_empty() {
        faults.push(Cause::required(&name.path, "name or generateName is required"));
    } else {
        faults.named(&name, (kind.check_name)(name.text()));
    }
    faults.labels(&metadata.get("labels"));
    annotations(&metadata.get("annotations"), faults);
    for finalizer in metadata.get("finalizers").items() {
        finalizer_name(&finalizer, faults);
    }
    owners(&metadata.get("ownerReferences"), faults);
}

fn annotations(annotations: &Field, faults: &mut Faults) {
    let mut bytes = 0;
    for (key, value) in annotations.entries() {
        let lower = key.to_lowercase();
        faults.causes.extend(names::causes(&annotations.path, key, names::check_qualified_name(&lower)));
        bytes += key.len() + value.as_str().unwrap_or_default().len();
    }
    if bytes > ANNOTATIONS_BYTES_MAX {
        let message = format!("Too long: may not be more than {ANNOTATIONS_BYTES_MAX} bytes");
        faults.push(Cause::new("FieldValueTooLong", &annotations.path, message));
    }
}

/// Qualified, unless it is one of Kubernetes' own.
fn finalizer_name(finalizer: &Field, faults: &mut Faults) {
    let text = finalizer.text();
    faults.named(finalizer, names::check_qualified_name(text));
    if !text.contains('/') && !["kubernetes", "orphan", "foregroundDeletion"].contains(&text) {
        faults.invalid(finalizer, "name is neither a standard finalizer name nor is it fully qualified");
    }
}

fn owners(owners: &Field, faults: &mut Faults) {
    let mut controller: Option<&str> = None;
    for owner in owners.items() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            let field = owner.get(field);
            if field.is_empty() {
                let name = field.path.rsplit('.').next().unwrap_or_default().to_owned();
                let shown = if name == "apiVersion" { "version".to_owned() } else { name };
                faults.invalid(&field, &format!("{shown} must not be empty"));
            }
        }
        if owner.value["controller"] == true {
            if let Some(first) = controller {
                let detail = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {}",
                    owner.get("kind").text()
                );
                faults.invalid(owners, &detail);
            }
            controller = Some(owner.get("kind").text());
        }
    }
}

/// What a write of metadata may not do to an object that is on its way out, nor to its past.
pub(super) fn validate_update(new: &Field, old: &Value, faults: &mut Faults) {
    if !old["deletionTimestamp"].is_string() {
        return;
    }
    let known = old["finalizers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let finalizers = new.get("finalizers");
    let added: Vec<&str> = finalizers.items().filter(|one| !known.contains(one.value)).map(|one| one.text()).collect();
    if !added.is_empty() {
        let list = added.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(", ");
        faults.forbid(
            &finalizers.path,
            &format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{list}}}"
            ),
        );
    }
}

/// Counts a change of what the kind's users want: everything but metadata and status.
pub(super) fn bump_generation(kind: &Kind, current: &Value, new: &mut Value) {
    if !kind.has_generation {
        return;
    }
    let wanted = |value: &Value| -> Map<String, Value> {
        let fields = value.as_object().into_iter().flatten();
        let fields = fields.filter(|(key, _)| !matches!(key.as_str(), "metadata" | "status" | "apiVersion" | "kind"));
        fields.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    if wanted(current) != wanted(new) {
        let generation = current["metadata"]["generation"].as_i64().unwrap_or(0);
        new["metadata"]["generation"] = json!(generation + 1);
    }
}

/// `managedFields` after this write; see [`Context::field_manager`].
pub(super) fn record_fields(
    kind: &'static Kind,
    subresource: &str,
    old: Option<&Value>,
    new: Value,
    context: &Context,
) -> Value {
    let Some(manager) = context.field_manager else { return new };
    let write = FieldWrite { manager, subresource, object_type: Some(kind.schema()), now: context.now };
    write.record(old, new)
}

/// As Kubernetes writes times in metadata: whole seconds, UTC.
pub(crate) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(crate) fn remove(value: &mut Value, field: &str) {
    if let Some(object) = value.as_object_mut() {
        object.remove(field);
    }
}
