//! Who may do what: administrators everything, nodes what a node needs, everybody what roles grant them.

mod attributes;
mod escalation;
mod node;
mod rbac;
mod rule;

use serde_json::Value;
use wasmk_api::{Snapshot, Status};

pub(crate) use attributes::{Attributes, What};
pub(crate) use rbac::rules_of;

use crate::Identity;
use crate::identity::MASTERS_GROUP;
use crate::request::Target;

/// Whether something may be done, and by which grant.
pub(crate) struct Decision {
    pub(crate) allowed: bool,
    /// For whoever wonders; may be empty.
    pub(crate) reason: String,
}

/// Whether `identity` may do what `target` says; else 403, worded as Kubernetes words it.
pub(crate) fn authorize(identity: &Identity, target: &Target, snapshot: &Snapshot) -> Result<(), Status> {
    require(&Attributes::of(identity, target), snapshot)
}

pub(crate) fn require(attributes: &Attributes, snapshot: &Snapshot) -> Result<(), Status> {
    if decide(attributes, snapshot).allowed { Ok(()) } else { Err(attributes.forbidden()) }
}

pub(crate) fn decide(attributes: &Attributes, snapshot: &Snapshot) -> Decision {
    let identity = attributes.identity;
    let by_right = identity.is_in(MASTERS_GROUP)
        || identity.node_name().is_some_and(|node| node::may(node, attributes.verb, &attributes.what, snapshot));
    if by_right {
        return Decision { allowed: true, reason: String::new() };
    }
    match rbac::grant(attributes, snapshot) {
        Some(reason) => Decision { allowed: true, reason },
        None => Decision { allowed: false, reason: String::new() },
    }
}

/// Paths that need no certificate: health, the version, and what a machine needs before it has one.
pub(crate) fn is_public(path: &str) -> bool {
    let public = ["/healthz", "/livez", "/readyz", "/version", "/version/", "/cacerts", "/wasmk/v1/join"];
    public.contains(&path)
}

/// What the path does not tell: nodes write in their own name only, and nobody grants what they do not have.
pub(crate) fn admit_write(
    identity: &Identity,
    target: &Target,
    snapshot: &Snapshot,
    old: Option<&Value>,
    new: &Value,
) -> Result<(), Status> {
    let Some(path) = &target.resource else { return Ok(()) };
    if identity.is_in(MASTERS_GROUP) {
        return Ok(());
    }
    if identity.node_name().is_some_and(|node| !node::admits(node, path, old, new)) {
        return Err(Attributes::of(identity, target).forbidden());
    }
    escalation::check(identity, path, snapshot, old, new)
}

#[cfg(test)]
mod tests;
