use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Context, Effect, Prepared, Reservation, metadata};
use crate::kind::Kind;
use crate::{Object, Reason, Status};

/// `DeleteOptions`, as far as they change what happens to the object.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeleteOptions {
    /// `None`: the object's own, which only pods have.
    pub grace_period_seconds: Option<i64>,
    /// `None`: what the object's finalizers say, else what its kind does.
    pub propagation: Option<Propagation>,
    pub uid: Option<String>,
    pub resource_version: Option<String>,
}

/// What becomes of the objects that the deleted one owns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Propagation {
    /// They follow once the owner has gone.
    Background,
    /// They go first; the owner waits for them.
    Foreground,
    /// They stay, without the owner.
    Orphan,
}

/// What the cluster itself lives in, after the `NamespaceLifecycle` admission of Kubernetes.
const KEPT_NAMESPACES: [&str; 3] = ["default", "kube-public", "kube-system"];

fn check_may_be_deleted(kind: &Kind, current: &Object) -> Result<(), Status> {
    let name = current.name();
    if kind.resource().as_str() != "namespaces" || !KEPT_NAMESPACES.contains(&name) {
        return Ok(());
    }
    let message = format!("namespaces \"{name}\" is forbidden: this namespace may not be deleted");
    Err(Status::new(Reason::Forbidden, message).about(kind.plural, kind.group, name))
}

/// Removes `current`, or marks it as being deleted while a grace period, finalizers or, for a Namespace, its content ask
/// for it. Deleting once more can only make the grace period shorter.
pub fn delete(
    kind: &'static Kind,
    current: &Object,
    options: &DeleteOptions,
    context: &Context,
) -> Result<Prepared, Status> {
    check_may_be_deleted(kind, current)?;
    metadata::check_deletion(kind, current, options.uid.as_deref(), options.resource_version.as_deref())?;
    let grace = grace_seconds(kind, current.value(), options);
    let mut value = current.value().clone();
    if !current.is_deleting() {
        let unsaid = kind.orphans_dependents.then_some(Propagation::Orphan);
        set_propagation(&mut value["metadata"], options.propagation.or(unsaid));
    }
    let marked = mark(kind, &mut value, grace, current.is_deleting(), context);
    if may_go(&value) {
        let reservation = release(kind, &value, context);
        if !kind.has_grace_period && !current.is_deleting() {
            value = current.value().clone();
        }
        return Ok(Prepared { effect: Effect::Remove, value, warnings: Vec::new(), reservation });
    }
    if !marked {
        return Ok(Prepared::unchanged(current.value().clone()));
    }
    Ok(Prepared { effect: Effect::Put, value, warnings: Vec::new(), reservation: Reservation::default() })
}

/// Deletion has begun, and nobody has anything left to do.
pub(super) fn may_go(value: &Value) -> bool {
    let metadata = &value["metadata"];
    let is_empty = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    metadata["deletionTimestamp"].is_string()
        && metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
        && is_empty(&metadata["finalizers"])
        && (value["kind"] != "Namespace" || is_empty(&value["spec"]["finalizers"]))
}

/// What the object had reserved.
pub(super) fn release(kind: &Kind, value: &Value, context: &Context) -> Reservation {
    let Some(reserve) = kind.reserve else { return Reservation::default() };
    reserve(&mut Value::Null, Some(value), context).unwrap_or_default()
}

/// Only pods that may be running somewhere get time to end.
fn grace_seconds(kind: &Kind, value: &Value, options: &DeleteOptions) -> i64 {
    let unscheduled = value["spec"]["nodeName"].as_str().unwrap_or_default().is_empty();
    let ended = matches!(value["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if !kind.has_grace_period || unscheduled || ended {
        return 0;
    }
    let own = value["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(DEFAULT_GRACE_SECONDS);
    let asked = options.grace_period_seconds.unwrap_or(own);
    // A negative one means the shortest that is still graceful.
    if asked < 0 { 1 } else { asked }
}

/// Kubernetes' default.
const DEFAULT_GRACE_SECONDS: i64 = 30;

/// False when nothing changed.
fn mark(kind: &Kind, value: &mut Value, grace: i64, deleting: bool, context: &Context) -> bool {
    let metadata = &mut value["metadata"];
    let shorter = metadata["deletionGracePeriodSeconds"].as_i64().is_some_and(|known| grace < known);
    if deleting && !shorter {
        return false;
    }
    // A pod may be given more time than there is.
    let at = context.now.checked_add(jiff::SignedDuration::from_secs(grace)).unwrap_or(Timestamp::MAX);
    metadata["deletionTimestamp"] = json!(metadata::time(at));
    metadata["deletionGracePeriodSeconds"] = json!(grace);
    if let Some(generation) = metadata["generation"].as_i64().filter(|generation| *generation > 0) {
        metadata["generation"] = json!(generation + 1);
    }
    if kind.has_subresource("finalize") {
        value["status"]["phase"] = json!("Terminating");
    }
    if !deleting {
        (kind.begin_delete)(value, context);
    }
    true
}

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

fn set_propagation(metadata: &mut Value, propagation: Option<Propagation>) {
    let Some(propagation) = propagation else { return };
    let mut finalizers = metadata["finalizers"].as_array().cloned().unwrap_or_default();
    finalizers.retain(|one| one != ORPHAN && one != FOREGROUND);
    match propagation {
        Propagation::Background => {}
        Propagation::Foreground => finalizers.push(json!(FOREGROUND)),
        Propagation::Orphan => finalizers.push(json!(ORPHAN)),
    }
    if finalizers.is_empty() {
        metadata::remove(metadata, "finalizers");
    } else {
        metadata["finalizers"] = json!(finalizers);
    }
}
