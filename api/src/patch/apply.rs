use jiff::Timestamp;
use serde_json::{Value, json};

use super::compare::{compare, field_set, merge, remove};
use super::conflict::{self, Conflicts};
use super::fieldset::FieldSet;
use super::managed::{
    BEFORE_FIRST_APPLY, Entry, FieldWrite, Managed, ManagerId, Operation, api_version, not_of_subresource, wire_time,
    without_unowned,
};
use super::same_but_for_times;
use super::versions::Changes;
use crate::Status;
use crate::schema::Node;
use crate::write::metadata::{self, ANNOTATIONS_BYTES_MAX};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The manager whose server-side apply takes over what its client-side apply left behind.
const KUBECTL: &str = "kubectl";

/// Server-side apply (KEP-555): the applier sends all that it wants and owns what it sent. What it no longer sends
/// goes, unless another manager owns it too; what another owns and would change is a conflict, unless forced.
/// Source: `sigs.k8s.io/structured-merge-diff/merge/update.go`.
#[derive(Clone, Copy)]
pub struct ServerSideApply<'a> {
    pub manager: &'a str,
    pub force: bool,
    /// Empty for the object itself, else `status` or `scale`.
    pub subresource: &'a str,
    /// [`schema::for_kind`](crate::schema::for_kind) of the object.
    pub object_type: Option<&'static Node>,
    pub now: Timestamp,
}

impl ServerSideApply<'_> {
    /// The object after `config` has been applied to `current` (`None`: it is created), with its `managedFields`.
    /// Answers with `current` as it is when nothing but times would change. A `resourceVersion` or `uid` in `config`
    /// is kept, for the write to check.
    ///
    /// 409 with `FieldManagerConflict` causes, or 400 for a config that is no apply configuration.
    pub fn apply(&self, current: Option<&Value>, config: &Value) -> Result<Value, Status> {
        let config = self.clean(config)?;
        let applied = field_set(&config, self.object_type).map_err(|faults| no_typed_object(&config, &faults))?;
        let applied = applied.recursive_difference(&not_of_subresource(self.subresource));
        let (live, managed) = self.live(current, &config);
        let done = match self.update(&live, &managed, &config, &applied, self.force) {
            Err(conflicts) => match self.not_mine(&live, api_version(&config), conflicts) {
                conflicts if conflicts.is_empty() => self.update(&live, &managed, &config, &applied, true),
                conflicts => Err(conflicts),
            },
            done => done,
        };
        let applied = done.map_err(|conflicts| conflict::status(&conflicts))?;
        match current {
            Some(current) if same_but_for_times(current, &applied) && same_version(current, &applied) => {
                Ok(current.clone())
            }
            _ => Ok(applied),
        }
    }

    /// The config without what a client may send back but cannot apply.
    fn clean(&self, config: &Value) -> Result<Value, Status> {
        let mut config = config.clone();
        if self.subresource.is_empty()
            && let Some(object) = config.as_object_mut()
        {
            object.remove("status");
        }
        let Some(metadata) = config.get_mut("metadata").and_then(Value::as_object_mut) else {
            return Err(Status::bad_request("an apply configuration must be an object with metadata"));
        };
        if metadata.remove("managedFields").is_some_and(|fields| !fields.is_null()) {
            return Err(Status::bad_request("metadata.managedFields must be nil"));
        }
        for field in ["creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink"]
        {
            metadata.remove(field);
        }
        Ok(config)
    }

    /// What is there, and who owns it. What nobody tracked so far was written before the first apply.
    fn live(&self, current: Option<&Value>, config: &Value) -> (Value, Managed) {
        let Some(current) = current else {
            return (json!({"metadata": {}}), Managed::default());
        };
        let mut live = current.clone();
        let mut managed = Managed::read(current);
        Managed::default().write_to(&mut live);
        if managed.entries.is_empty() {
            let write = FieldWrite {
                manager: BEFORE_FIRST_APPLY,
                subresource: "",
                object_type: self.object_type,
                now: self.now,
            };
            let all = compare(&json!({}), &live, self.object_type).added;
            let all = without_unowned(&all.recursive_difference(&not_of_subresource("")));
            managed.add_updater(&write, api_version(config), all);
        }
        (live, managed)
    }

    fn update(
        &self,
        live: &Value,
        managed: &Managed,
        config: &Value,
        applied: &FieldSet,
        force: bool,
    ) -> Result<Value, Conflicts> {
        let me = self.id();
        let mut managed = managed.clone();
        let mut merged = merge(live, config, self.object_type);
        let entry = Entry {
            fields: without_unowned(applied),
            api_version: api_version(config).to_owned(),
            time: wire_time(self.now),
        };
        let last = managed.entries.insert(me.clone(), entry);
        if let Some(last) = &last {
            self.prune(&mut merged, &managed, applied, &last.fields);
        }
        let changes = Changes::between(live, &merged, self.object_type, &managed);
        let conflicts = conflicts(&managed, &changes, &me);
        if !force && !conflicts.is_empty() {
            return Err(conflicts);
        }
        managed.take_from_all(&changes, Some(&me));
        managed.write_to(&mut merged);
        self.sync_last_applied(&mut merged, config);
        Ok(merged)
    }

    /// Takes out what this manager applied the last time, and neither it nor another one owns now.
    fn prune(&self, merged: &mut Value, managed: &Managed, applied: &FieldSet, last: &FieldSet) {
        let owned = managed.fields_of_all().union(applied).with_named_fields(self.object_type);
        let gone = last.with_named_fields(self.object_type).difference(&owned);
        remove(merged, &gone, &owned, self.object_type);
    }

    /// The conflicts without those about what the user's own client-side apply set and nobody changed since.
    fn not_mine(&self, live: &Value, version: &str, mut conflicts: Conflicts) -> Conflicts {
        let annotation = live["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap_or_default();
        let Ok(last) = serde_json::from_str::<Value>(annotation) else { return conflicts };
        if self.manager != KUBECTL || api_version(&last) != version {
            return conflicts;
        }
        let Ok(set) = field_set(&last, self.object_type) else { return conflicts };
        let since = compare(&last, live, self.object_type);
        let mine = set.difference(&since.modified).difference(&since.added).difference(&since.removed);
        for (_, fields) in &mut conflicts {
            *fields = fields.difference(&mine);
        }
        conflicts.retain(|(_, fields)| !fields.is_empty());
        conflicts
    }

    /// So that a user can go back to client-side apply. What is too long for annotations is left out.
    fn sync_last_applied(&self, merged: &mut Value, config: &Value) {
        let known = merged["metadata"]["annotations"][LAST_APPLIED].as_str();
        if self.manager != KUBECTL || known.is_none_or(str::is_empty) {
            return;
        }
        let annotations = &mut merged["metadata"]["annotations"];
        let mut config = config.clone();
        if let Some(annotations) = config["metadata"].get_mut("annotations") {
            metadata::remove(annotations, LAST_APPLIED);
        }
        annotations[LAST_APPLIED] = json!(format!("{config}\n"));
        if metadata::annotations_bytes(annotations) > ANNOTATIONS_BYTES_MAX {
            metadata::remove(annotations, LAST_APPLIED);
        }
    }

    fn id(&self) -> ManagerId {
        ManagerId {
            operation: Operation::Apply,
            manager: self.manager.to_owned(),
            api_version: String::new(),
            subresource: self.subresource.to_owned(),
        }
    }
}

fn conflicts(managed: &Managed, changes: &Changes, me: &ManagerId) -> Conflicts {
    let others = managed.entries.iter().filter(|(id, _)| *id != me);
    others
        .map(|(id, entry)| {
            let changes = changes.seen_in(&entry.api_version);
            (id.clone(), entry.fields.intersection(&changes.modified.union(&changes.added)))
        })
        .filter(|(_, fields)| !fields.is_empty())
        .collect()
}

/// Kubernetes answers this with a 500 and the same words.
fn no_typed_object(config: &Value, faults: &[String]) -> Status {
    let text = |field: &str| config["metadata"][field].as_str().unwrap_or_default();
    let (namespace, name) = (text("namespace"), text("name"));
    let faults = match faults {
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    let gvk = group_version_kind(config);
    Status::bad_request(format!("failed to create typed patch object ({namespace}/{name}; {gvk}): {faults}"))
}

/// As Go shows it: `apps/v1, Kind=Deployment`, `/v1, Kind=Pod`.
pub fn group_version_kind(object: &Value) -> String {
    let version = api_version(object);
    let slash = if version.contains('/') { "" } else { "/" };
    format!("{slash}{version}, Kind={}", object["kind"].as_str().unwrap_or_default())
}

/// Whether the config asks for no other version than the one that is there.
fn same_version(current: &Value, applied: &Value) -> bool {
    current["metadata"]["resourceVersion"] == applied["metadata"]["resourceVersion"]
}
