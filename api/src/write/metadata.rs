//! `metadata`: what the server writes, and what it makes sure of.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Context;
use crate::field::{Faults, Field};
use crate::kind::Kind;
use crate::patch::FieldWrite;
use crate::{Cause, Key, Object, Reason, Status, names};

/// Kubernetes' own bound, summed over keys and values.
pub(crate) const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;
/// Kubernetes' own bound on the part of a generated name that is given: a label's length without the suffix.
const GENERATE_NAME_LENGTH_MAX: usize = 58;

/// As often as Kubernetes makes up another name when one is taken.
const GENERATE_NAME_TRIES: usize = 8;

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
        let namespace = metadata["namespace"].as_str().unwrap_or_default();
        let is_taken = |name: &String| context.snapshot.get(&Key::new(kind.resource_name(), namespace, name)).is_some();
        let mut names = (0..GENERATE_NAME_TRIES).map(|_| format!("{prefix}{}", (context.name_suffix)()));
        let name = names.find(|name| !is_taken(name)).unwrap_or_else(|| format!("{prefix}{}", (context.name_suffix)()));
        metadata["name"] = json!(name);
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
    for (key, _) in annotations.entries() {
        let lower = key.to_lowercase();
        faults.causes.extend(names::causes(&annotations.path, key, names::check_qualified_name(&lower)));
    }
    if annotations_bytes(annotations.value) > ANNOTATIONS_BYTES_MAX {
        let message = format!("Too long: may not be more than {ANNOTATIONS_BYTES_MAX} bytes");
        faults.push(Cause::new("FieldValueTooLong", &annotations.path, message));
    }
}

/// Keys and values together.
pub(crate) fn annotations_bytes(annotations: &Value) -> usize {
    let entries = annotations.as_object().into_iter().flatten();
    entries.map(|(key, value)| key.len() + value.as_str().unwrap_or_default().len()).sum()
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
        if owner.get("apiVersion").text() == "v1" && owner.get("kind").text() == "Event" {
            faults.invalid(&owner, "/v1, Kind=Event is disallowed from being an owner");
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

/// Times that only the server writes may be left out or repeated, not changed. `asked` is the metadata as it was sent.
pub(super) fn check_times(asked: &Value, current: &Value) -> Vec<Cause> {
    let instant = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let changed = |field: &&str| asked[*field].is_string() && instant(&asked[*field]) != instant(&current[*field]);
    let cause = |field: &str| Cause::invalid(format!("metadata.{field}"), &asked[field], "field is immutable");
    ["creationTimestamp", "deletionTimestamp"].into_iter().filter(changed).map(cause).collect()
}

/// The body of a deletion says which object it means.
pub(super) fn check_deletion(
    kind: &Kind,
    current: &Object,
    uid: Option<&str>,
    version: Option<&str>,
) -> Result<(), Status> {
    let refused = |what: &str, asked: &str, found: &str, why: &str| {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{}\": the {what} in the precondition ({asked}) does not match the {what} in record ({found}). The object might have been {why}",
            kind.kind,
            current.name()
        );
        Err(Status::new(Reason::Conflict, message).about(kind.kind, kind.group, current.name()))
    };
    let revision = current.revision().to_string();
    match (uid, version) {
        (Some(uid), _) if uid != current.uid() => refused("UID", uid, current.uid(), "deleted and then recreated"),
        (_, Some(version)) if version != revision => refused("ResourceVersion", version, &revision, "modified"),
        _ => Ok(()),
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
        let is_spec =
            |key: &str| !(["metadata", "apiVersion", "kind"].contains(&key) || key == "status" && kind.has_status);
        let fields = fields.filter(|(key, _)| is_spec(key));
        fields.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    if wanted(current) != wanted(new) {
        let generation = current["metadata"]["generation"].as_i64().unwrap_or(0);
        new["metadata"]["generation"] = json!(generation + 1);
    }
}

/// `managedFields` after this write, in the version that it was made in; see [`Context::field_manager`].
pub(super) fn record_fields(
    kind: &'static Kind,
    subresource: &str,
    old: Option<&Value>,
    mut new: Value,
    context: &Context,
) -> Value {
    let Some(manager) = context.field_manager else { return new };
    let write = FieldWrite { manager, subresource, object_type: Some(kind.schema()), now: context.now };
    if kind.stored() == kind {
        return write.record(old, new);
    }
    let shown = write.record(old.map(|old| kind.shown(old)).as_deref(), kind.shown(&new).into_owned());
    copy(&mut new["metadata"], &shown["metadata"], "managedFields");
    new
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

/// Makes `field` of `target` what it is in `source`, absent too.
pub(crate) fn copy(target: &mut Value, source: &Value, field: &str) {
    match source.get(field) {
        Some(value) => target[field] = value.clone(),
        None => remove(target, field),
    }
}
