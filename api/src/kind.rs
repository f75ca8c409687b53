//! The kind registry: what there is to know about a kind of object, in one table.
//!
//! Discovery, OpenAPI, REST, tables, defaulting, validation and deletion read it; none of them knows a kind by name.
//! One file a kind below `kind/`.

mod config_map;
mod deployment;
mod endpoint_slice;
mod event;
mod lease;
mod namespace;
mod node;
mod pod;
mod pod_spec;
mod replica_set;
mod secret;
mod service;
mod service_account;

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use serde_json::Value;

use crate::field::{Faults, Field};
use crate::schema::{self, Node};
use crate::table::{self, Columns};
use crate::write::{Context, Reservation};
use crate::{ResourceName, Status};

/// Everything about one kind in one version. Kinds are compared by address.
pub struct Kind {
    /// Empty for the core group.
    pub group: &'static str,
    pub version: &'static str,
    /// For example `Pod`.
    pub kind: &'static str,
    pub list_kind: &'static str,
    /// For example `pods`.
    pub plural: &'static str,
    pub singular: &'static str,
    pub short_names: &'static [&'static str],
    pub categories: &'static [&'static str],
    pub namespaced: bool,
    pub verbs: &'static [&'static str],
    /// `status`, `scale`, `log`, `binding`, `eviction`, `finalize`.
    pub subresources: &'static [&'static str],
    /// Besides `metadata.name` and, if namespaced, `metadata.namespace`; see [`Kind::field_selectors`].
    pub(crate) selectable: &'static [&'static str],
    /// How its objects look in a table.
    pub columns: &'static Columns,
    /// What is wrong with a name.
    pub(crate) check_name: fn(&str) -> Vec<String>,
    /// `metadata.generation` counts changes of what is neither metadata nor status.
    pub has_generation: bool,
    /// What is written through `status` only; the rest of the object ignores it.
    pub has_status: bool,
    /// A status write may change labels, annotations and finalizers too, as those of pods and nodes may.
    pub(crate) status_carries_metadata: bool,
    /// Deletion waits for a grace period.
    pub(crate) has_grace_period: bool,
    pub delete_answer: DeleteAnswer,
    /// Where the kind keeps the spec of pods.
    pub pod_spec: Option<&'static str>,
    pub(crate) default: fn(&mut Value, &Context),
    /// What only a new object gets: its first status, identity of others' making.
    pub(crate) prepare_create: fn(&mut Value, &Context),
    /// New, then old: what an update keeps though the new object leaves it out, such as allocated addresses.
    pub(crate) prepare_update: fn(&mut Value, &Value),
    pub(crate) validate: fn(&Field, &mut Faults),
    /// New, then old.
    pub(crate) validate_update: fn(&Field, &Value, &mut Faults),
    /// What must be reserved in the same transaction, such as a Service's addresses; it fills them in.
    pub(crate) reserve: Option<Reserve>,
    pub(crate) resource: ResourceName,
}

/// The new object (null when it goes) and the old one (`None` when it comes).
type Reserve = fn(&mut Value, Option<&Value>, &Context) -> Result<Reservation, Status>;

/// What a successful DELETE answers with while the object goes at once. Until it has gone it is always the object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeleteAnswer {
    Object,
    Status,
}

/// Every kind, in the order of discovery.
pub fn all() -> &'static [Kind] {
    &REGISTRY.kinds
}

/// `pods`, `deployments.apps`.
pub fn by_resource(resource: &ResourceName) -> Option<&'static Kind> {
    REGISTRY.by_resource.get(resource.as_str()).map(|index| &REGISTRY.kinds[*index])
}

pub fn by_path(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    all().iter().find(|kind| kind.plural == plural && kind.group == group && kind.version == version)
}

pub fn by_gvk(group: &str, version: &str, kind: &str) -> Option<&'static Kind> {
    all().iter().find(|one| one.kind == kind && one.group == group && one.version == version)
}

/// As [`by_gvk`], from an object's `apiVersion` and `kind`.
pub fn by_api_version(api_version: &str, kind: &str) -> Option<&'static Kind> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    by_gvk(group, version, kind)
}

impl Kind {
    /// What objects of the kind are stored under.
    pub fn resource_name(&self) -> ResourceName {
        self.resource.clone()
    }

    pub fn resource(&self) -> &ResourceName {
        &self.resource
    }

    /// `v1`, `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    pub fn schema(&self) -> &'static Node {
        schema::for_kind(self.group, self.version, self.kind).expect("invariant: the schema has every registered kind")
    }

    pub fn has_subresource(&self, name: &str) -> bool {
        self.subresources.contains(&name)
    }

    /// The paths that a field selector may name.
    pub fn field_selectors(&self) -> Vec<&'static str> {
        let common: &[&str] =
            if self.namespaced { &["metadata.name", "metadata.namespace"] } else { &["metadata.name"] };
        common.iter().chain(self.selectable).copied().collect()
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.api_version(), self.kind)
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

pub(crate) const ALL_VERBS: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

impl Kind {
    /// A kind of which nothing is special; entries override what is.
    pub(crate) fn plain(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        list_kind: &'static str,
        plural: &'static str,
        singular: &'static str,
    ) -> Self {
        Self {
            group,
            version,
            kind,
            list_kind,
            plural,
            singular,
            short_names: &[],
            categories: &[],
            namespaced: true,
            verbs: ALL_VERBS,
            subresources: &[],
            selectable: &[],
            columns: &table::DEFAULT,
            check_name: crate::names::check_dns1123_subdomain,
            has_generation: false,
            has_status: false,
            status_carries_metadata: false,
            has_grace_period: false,
            delete_answer: DeleteAnswer::Status,
            pod_spec: None,
            default: |_, _| {},
            prepare_update: |_, _| {},
            prepare_create: |_, _| {},
            validate: |_, _| {},
            validate_update: |_, _, _| {},
            reserve: None,
            resource: ResourceName::new(plural, group),
        }
    }
}

struct Registry {
    kinds: Vec<Kind>,
    by_resource: HashMap<String, usize>,
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let kinds = vec![
        config_map::kind(),
        event::kind(),
        namespace::kind(),
        node::kind(),
        pod::kind(),
        secret::kind(),
        service_account::kind(),
        service::kind(),
        deployment::kind(),
        replica_set::kind(),
        lease::kind(),
        endpoint_slice::kind(),
    ];
    let by_resource = kinds.iter().enumerate().map(|(index, kind)| (kind.resource.to_string(), index)).collect();
    Registry { kinds, by_resource }
});

#[cfg(test)]
mod tests;
