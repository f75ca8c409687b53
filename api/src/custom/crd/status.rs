//! Which names a definition gets, and whether its kinds are served. Source: `apiextensions-apiserver/pkg/controller/status`.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::custom::{CRDS, DEFINITIONS_MAX, has_room};
use crate::write::metadata::time;
use crate::{Snapshot, kind};

/// Keeps a definition until its objects have gone.
pub(crate) const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Writes what follows from the spec and the other definitions: accepted names, stored versions, conditions. Done again,
/// it changes nothing.
pub(crate) fn settle(crd: &mut Value, snapshot: &Snapshot, now: Timestamp) {
    let conflict = accept_names(crd, snapshot);
    let storage = crd["spec"]["versions"].as_array().into_iter().flatten().find(|version| version["storage"] == true);
    let storage = storage.map(|version| version["name"].clone()).unwrap_or_default();
    let stored = &mut crd["status"]["storedVersions"];
    match stored.as_array_mut() {
        Some(versions) if versions.contains(&storage) => {}
        Some(versions) => versions.push(storage),
        None => *stored = json!([storage]),
    }
    let accepted = conflict.is_none();
    let names = match conflict {
        None => Condition {
            name: "NamesAccepted",
            status: true,
            reason: "NoConflicts",
            message: "no conflicts found".to_owned(),
        },
        Some((reason, message)) => Condition { name: "NamesAccepted", status: false, reason, message },
    };
    names.set(crd, now);
    established(crd, accepted).set(crd, now);
    approval(crd).into_iter().for_each(|condition| condition.set(crd, now));
}

pub(crate) fn is_established(crd: &Value) -> bool {
    condition(crd, "Established").is_some_and(|condition| condition["status"] == "True")
}

/// Deletion waits for the objects: nothing new may come.
pub(crate) fn begin_delete(crd: &mut Value, now: Timestamp) {
    let finalizers = &mut crd["metadata"]["finalizers"];
    match finalizers.as_array_mut() {
        Some(list) if list.iter().any(|one| one == FINALIZER) => {}
        Some(list) => list.push(json!(FINALIZER)),
        None => *finalizers = json!([FINALIZER]),
    }
    let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon".to_owned();
    Condition { name: "Terminating", status: true, reason: "InstanceDeletionPending", message }.set(crd, now);
}

struct Condition {
    name: &'static str,
    status: bool,
    reason: &'static str,
    message: String,
}

impl Condition {
    /// `lastTransitionTime` moves only when the status does.
    fn set(self, crd: &mut Value, now: Timestamp) {
        let status = if self.status { "True" } else { "False" };
        let since = condition(crd, self.name)
            .filter(|old| old["status"] == status)
            .map(|old| old["lastTransitionTime"].clone());
        let since = since.unwrap_or_else(|| json!(time(now)));
        let new = json!({
            "lastTransitionTime": since, "message": self.message, "reason": self.reason, "status": status, "type": self.name,
        });
        let conditions = &mut crd["status"]["conditions"];
        if !conditions.is_array() {
            *conditions = json!([]);
        }
        let Some(conditions) = conditions.as_array_mut() else { return };
        match conditions.iter_mut().find(|condition| condition["type"] == self.name) {
            Some(old) => *old = new,
            None => conditions.push(new),
        }
    }
}

fn condition<'a>(crd: &'a Value, name: &str) -> Option<&'a Value> {
    crd["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == name)
}

/// Once established, a definition stays so, unless this process cannot make its kinds.
fn established(crd: &Value, accepted: bool) -> Condition {
    let name = "Established";
    if !accepted && !is_established(crd) {
        return Condition {
            name,
            status: false,
            reason: "NotAccepted",
            message: "not all names are accepted".to_owned(),
        };
    }
    if !has_room(crd) {
        let message = format!(
            "this server has seen {DEFINITIONS_MAX} distinct definitions, or 64 MiB of them, since it started, which is as many as it takes; restart it"
        );
        return Condition { name, status: false, reason: "TooManyDefinitions", message };
    }
    let message = "the initial names have been accepted".to_owned();
    Condition { name, status: true, reason: "InitialNamesAccepted", message }
}

/// Only groups of Kubernetes' own need an approval.
fn approval(crd: &Value) -> Option<Condition> {
    let name = "KubernetesAPIApprovalPolicyConformant";
    let approved = crd["metadata"]["annotations"][super::APPROVAL].as_str()?;
    Some(match approved.contains("://") {
        true => {
            Condition { name, status: true, reason: "ApprovedAnnotation", message: format!("approved in {approved}") }
        }
        false => Condition {
            name,
            status: false,
            reason: "UnapprovedAnnotation",
            message: format!("not approved: {:?}", approved),
        },
    })
}

/// Takes the names that nobody else has; answers with the first that somebody does. What was accepted stays accepted.
fn accept_names(crd: &mut Value, snapshot: &Snapshot) -> Option<(&'static str, String)> {
    let taken = Taken::of_others(crd, snapshot);
    let wanted = crd["spec"]["names"].clone();
    let mut accepted = crd["status"]["acceptedNames"].clone();
    let mut conflict = None;
    let mut refuse = |reason, name: &str| {
        conflict.get_or_insert((reason, format!("{name:?} is already in use")));
    };
    for (field, reason, used) in [
        ("plural", "PluralConflict", &taken.resources),
        ("singular", "SingularConflict", &taken.resources),
        ("kind", "KindConflict", &taken.kinds),
        ("listKind", "ListKindConflict", &taken.kinds),
    ] {
        let Some(name) = wanted[field].as_str() else { continue };
        if accepted[field] != wanted[field] && used.contains(name) {
            refuse(reason, name);
        } else {
            accepted[field] = wanted[field].clone();
        }
    }
    let had = accepted["shortNames"].as_array().cloned().unwrap_or_default();
    let short_names = wanted["shortNames"].as_array().cloned().unwrap_or_default();
    let lost = short_names
        .iter()
        .find(|name| !had.contains(name) && taken.resources.contains(name.as_str().unwrap_or_default()));
    match lost {
        Some(name) => refuse("ShortNamesConflict", name.as_str().unwrap_or_default()),
        None => copy(&mut accepted, &wanted, "shortNames"),
    }
    copy(&mut accepted, &wanted, "categories");
    crd["status"]["acceptedNames"] = accepted;
    conflict
}

fn copy(target: &mut Value, source: &Value, field: &str) {
    match source.get(field) {
        Some(value) => target[field] = value.clone(),
        None => crate::write::metadata::remove(target, field),
    }
}

/// Names of the same group that others have.
#[derive(Default)]
struct Taken {
    resources: BTreeSet<String>,
    kinds: BTreeSet<String>,
}

impl Taken {
    fn of_others(crd: &Value, snapshot: &Snapshot) -> Self {
        let (group, own) = (&crd["spec"]["group"], &crd["metadata"]["name"]);
        let mut taken = Self::default();
        for kind in kind::all().iter().filter(|kind| *group == kind.group) {
            taken.resources.extend(
                [kind.plural, kind.singular].into_iter().chain(kind.short_names.iter().copied()).map(str::to_owned),
            );
            taken.kinds.extend([kind.kind.to_owned(), kind.list_kind.to_owned()]);
        }
        let others = snapshot.list(&CRDS, None).map(|other| other.value());
        for other in others.filter(|other| other["spec"]["group"] == *group && other["metadata"]["name"] != *own) {
            let names = &other["status"]["acceptedNames"];
            let text = |name: &Value| name.as_str().map(str::to_owned);
            taken.resources.extend([&names["plural"], &names["singular"]].into_iter().filter_map(text));
            taken.resources.extend(names["shortNames"].as_array().into_iter().flatten().filter_map(text));
            taken.kinds.extend([&names["kind"], &names["listKind"]].into_iter().filter_map(text));
        }
        taken
    }
}
