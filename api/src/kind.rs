//! The kind registry: what there is to know about a kind of object, in one table.
//!
//! Discovery, OpenAPI, REST, tables, defaulting, validation and deletion read it; none of them knows a kind by name.
//! One file a kind below `kind/`.

mod certificate_request;
mod config_map;
mod controller_revision;
mod count;
mod cron_job;
mod custom_resource_definition;
mod daemon_set;
mod deployment;
mod endpoint_slice;
mod endpoints;
mod event;
mod find;
mod horizontal_pod_autoscaler;
mod ingress;
mod ingress_class;
mod job;
mod lease;
mod limit_range;
mod metrics;
mod namespace;
mod network_policy;
mod node;
mod persistent_volume;
mod persistent_volume_claim;
mod pod;
mod pod_disruption_budget;
mod pod_spec;
mod pod_template;
mod priority_class;
mod replica_set;
mod replication_controller;
mod resource_quota;
mod review;
mod role;
mod role_binding;
mod runtime_class;
mod secret;
mod service;
mod service_account;
mod stateful_set;
mod storage_class;
mod view;

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use serde_json::Value;

pub use find::{find_api_version, find_gvk, find_path, find_resource, served, stored_kinds};

use crate::custom::CustomKind;
use crate::field::{Faults, Field};
use crate::schema::{self, Node};
use crate::table::{self, Rows};
use crate::write::{Context, Reservation};
use crate::{ResourceName, Status};

/// Everything about one kind in one version. Kinds are compared by address.
#[derive(Clone)]
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
    pub columns: &'static dyn Rows,
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
    /// What it owns stays when a deletion does not say what becomes of it.
    pub(crate) orphans_dependents: bool,
    /// Where the kind keeps the spec of pods.
    pub pod_spec: Option<&'static str>,
    pub(crate) default: fn(&mut Value, &Context),
    /// What only a new object gets: its first status, identity of others' making.
    pub(crate) prepare_create: fn(&mut Value, &Context),
    /// New, then old: what an update keeps though the new object leaves it out, such as allocated addresses.
    pub(crate) prepare_update: fn(&mut Value, &Value),
    /// What a new object takes from others, and what it may not be without.
    pub(crate) admit: fn(&mut Value, &Context) -> Result<(), Status>,
    pub(crate) validate: fn(&Field, &mut Faults),
    /// What is asked of new objects besides.
    pub(crate) validate_create: fn(&Field, &mut Faults),
    /// New, then old.
    pub(crate) validate_update: fn(&Field, &Value, &mut Faults),
    /// What the beginning of a deletion writes into an object besides its mark.
    pub(crate) begin_delete: fn(&mut Value, &Context),
    /// What must be reserved in the same transaction, such as a Service's addresses; it fills them in.
    pub(crate) reserve: Option<Reserve>,
    pub(crate) resource: ResourceName,
    /// The kind whose objects this one shows in its own form; see [`Kind::stored`].
    pub(crate) stored_as: Option<&'static Kind>,
    /// Between the stored form and this kind's; `apiVersion` and `kind` are not theirs to set. There and back, nothing
    /// is lost.
    pub(crate) from_stored: fn(&mut Value),
    pub(crate) to_stored: fn(&mut Value),
    /// What the kind knows from the definition that made it; none for those of the registry.
    pub(crate) custom: Option<&'static CustomKind>,
    /// What to tell who creates one while nothing acts on the kind.
    pub(crate) inert: Option<&'static str>,
    /// Where a selectable field is in the stored form, when it is elsewhere.
    pub(crate) selectable_as: &'static [(&'static str, &'static str)],
}

/// The new object (null when it goes) and the old one (`None` when it comes).
type Reserve = fn(&mut Value, Option<&Value>, &Context) -> Result<Reservation, Status>;

/// What a successful DELETE answers with while the object goes at once. Until it has gone it is always the object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeleteAnswer {
    Object,
    Status,
}

/// Every kind of the registry, views among them, in the order of discovery: the first version of a group is the preferred one.
pub fn all() -> &'static [&'static Kind] {
    &REGISTRY.kinds
}

/// Every kind of the registry that objects are stored as.
pub fn stored() -> impl Iterator<Item = &'static Kind> {
    all().iter().copied().filter(|kind| kind.stored_as.is_none())
}

/// The kind that `pods` or `deployments.apps` are stored as.
pub fn by_resource(resource: &ResourceName) -> Option<&'static Kind> {
    REGISTRY.by_resource.get(resource.as_str()).copied()
}

pub fn by_path(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    all().iter().copied().find(|kind| kind.plural == plural && kind.group == group && kind.version == version)
}

pub fn by_gvk(group: &str, version: &str, kind: &str) -> Option<&'static Kind> {
    all().iter().copied().find(|one| one.kind == kind && one.group == group && one.version == version)
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

    /// Of a version that Kubernetes no longer has it is that of the version which is stored.
    pub fn schema(&self) -> &'static Node {
        if let Some(custom) = self.custom {
            return &custom.node;
        }
        let own = schema::for_kind(self.group, self.version, self.kind);
        own.or_else(|| self.stored_as.map(Kind::schema)).expect("invariant: the schema has every registered kind")
    }

    /// Its objects are checked by expressions of those who defined it, which may take their time.
    pub fn has_rules(&self) -> bool {
        self.custom.is_some_and(CustomKind::has_rules)
    }

    /// The `openAPIV3Schema` of a kind that a definition made.
    pub fn custom_schema(&self) -> Option<&'static Value> {
        self.custom.map(|custom| &custom.published)
    }

    /// What every answer about a deprecated version warns of.
    pub fn deprecation(&self) -> Option<&'static str> {
        self.custom?.warning.as_deref()
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
            orphans_dependents: false,
            pod_spec: None,
            default: |_, _| {},
            prepare_update: |_, _| {},
            prepare_create: |_, _| {},
            admit: |_, _| Ok(()),
            validate: |_, _| {},
            validate_create: |_, _| {},
            validate_update: |_, _, _| {},
            begin_delete: |_, _| {},
            reserve: None,
            resource: ResourceName::new(plural, group),
            stored_as: None,
            from_stored: |_| {},
            to_stored: |_| {},
            custom: None,
            inert: None,
            selectable_as: &[],
        }
    }
}

struct Registry {
    kinds: Vec<&'static Kind>,
    by_resource: HashMap<String, &'static Kind>,
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let event = keep(event::kind());
    let autoscaler = keep(horizontal_pod_autoscaler::kind());
    let cron_job = keep(cron_job::kind());
    let budget = keep(pod_disruption_budget::kind());
    let kinds = vec![
        keep(config_map::kind()),
        event,
        keep(namespace::kind()),
        keep(node::kind()),
        keep(pod::kind()),
        keep(pod_template::kind()),
        keep(replication_controller::kind()),
        keep(secret::kind()),
        keep(service_account::kind()),
        keep(service::kind()),
        keep(controller_revision::kind()),
        keep(daemon_set::kind()),
        keep(deployment::kind()),
        keep(replica_set::kind()),
        keep(stateful_set::kind()),
        autoscaler,
        keep(horizontal_pod_autoscaler::v1(autoscaler)),
        cron_job,
        keep(job::kind()),
        keep(cron_job::v1beta1(cron_job)),
        keep(lease::kind()),
        keep(endpoint_slice::kind()),
        keep(event::events_v1(event)),
        keep(endpoints::kind()),
        keep(limit_range::kind()),
        keep(persistent_volume_claim::kind()),
        keep(persistent_volume::kind()),
        keep(resource_quota::kind()),
        keep(ingress::kind()),
        keep(ingress_class::kind()),
        keep(network_policy::kind()),
        keep(role::cluster_role()),
        keep(role_binding::cluster_role_binding()),
        keep(role::role()),
        keep(role_binding::role_binding()),
        keep(review::token_review()),
        keep(review::self_subject_review()),
        keep(review::local_subject_access_review()),
        keep(review::self_subject_access_review()),
        keep(review::self_subject_rules_review()),
        keep(review::subject_access_review()),
        budget,
        keep(pod_disruption_budget::v1beta1(budget)),
        keep(custom_resource_definition::kind()),
        keep(certificate_request::kind()),
        keep(storage_class::kind()),
        keep(runtime_class::kind()),
        keep(priority_class::kind()),
        keep(metrics::node_metrics()),
        keep(metrics::pod_metrics()),
    ];
    let stored = kinds.iter().copied().filter(|kind| kind.stored_as.is_none());
    let by_resource = stored.map(|kind| (kind.resource.to_string(), kind)).collect();
    Registry { kinds, by_resource }
});

/// The registry is made once and lives as long as the process.
fn keep(kind: Kind) -> &'static Kind {
    Box::leak(Box::new(kind))
}

#[cfg(test)]
mod tests;
