//! `metadata.managedFields`: who set which field. Source: `k8s.io/apimachinery/pkg/util/managedfields`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::fieldset::FieldSet;
use super::versions::Changes;
use crate::schema::Node;

/// Kubernetes' own bound: the oldest updaters beyond it become one, so that a list of writers cannot grow for ever.
const UPDATERS_MAX: usize = 10;
const ANCIENT_CHANGES: &str = "ancient-changes";
/// Who owns what was there before anybody tracked it.
pub(super) const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// What identity and server write, and so nobody owns.
const UNOWNED: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "metadata.name",
    "metadata.namespace",
    "metadata.creationTimestamp",
    "metadata.deletionTimestamp",
    "metadata.deletionGracePeriodSeconds",
    "metadata.selfLink",
    "metadata.uid",
    "metadata.generation",
    "metadata.managedFields",
    "metadata.resourceVersion",
];

/// An ordinary write (create, update, or a patch that is no server-side apply), as the book-keeping sees it.
#[derive(Clone, Copy)]
pub struct FieldWrite<'a> {
    /// The field manager: the query's, else what the user agent says before its first `/`.
    pub manager: &'a str,
    /// Empty for the object itself, else `status` or `scale`.
    pub subresource: &'a str,
    /// [`schema::for_kind`](crate::schema::for_kind) of the object.
    pub object_type: Option<&'static Node>,
    pub now: Timestamp,
}

impl FieldWrite<'_> {
    /// `new` with the `managedFields` that it has after this write: what the writer added or changed is its own, what
    /// it removed is nobody's. `old` is `None` for a creation. An object that nobody tracks stays so until it is
    /// applied to; `managedFields: [{}]` or `[]` in `new` ends the tracking.
    pub fn record(&self, old: Option<&Value>, mut new: Value) -> Value {
        let Some(mut managed) = self.known(old, &new) else {
            Managed::default().write_to(&mut new);
            return new;
        };
        let empty = json!({});
        let changes = Changes::between(old.unwrap_or(&empty), &new, self.object_type, &managed);
        managed.take_from_all(&changes, None);
        let taken = changes.own.added.union(&changes.own.modified);
        let taken = taken.recursive_difference(&not_of_subresource(self.subresource));
        let taken = taken.difference(&FieldSet::of_fields(UNOWNED));
        managed.add_updater(self, api_version(&new), taken);
        managed.write_to(&mut new);
        new
    }

    /// `None` when nothing is tracked. What a writer says of the fields himself counts, when all of it can be read.
    fn known(&self, old: Option<&Value>, new: &Value) -> Option<Managed> {
        let given = new["metadata"]["managedFields"].as_array().filter(|_| self.subresource.is_empty());
        let known = match given.map(Vec::as_slice) {
            Some([]) => Managed::default(),
            Some([one]) if *one == json!({}) => Managed::default(),
            Some(entries) => Managed::decode(entries).unwrap_or_else(|| old.map(Managed::read).unwrap_or_default()),
            None => old.map(Managed::read).unwrap_or_default(),
        };
        (old.is_none() || !known.entries.is_empty()).then_some(known)
    }
}

/// Whether two versions of an object differ in nothing but when their fields were last written and in their
/// `resourceVersion`: such a write is no write.
pub fn same_but_for_times(a: &Value, b: &Value) -> bool {
    same_maps(a, b, |key, a, b| if key == "metadata" { same_metadata(a, b) } else { a == b })
}

fn same_metadata(a: &Value, b: &Value) -> bool {
    same_maps(a, b, |key, a, b| match (key, a, b) {
        ("resourceVersion", ..) => true,
        ("managedFields", Value::Array(a), Value::Array(b)) => {
            let same = |(a, b): (&Value, &Value)| same_maps(a, b, |key, a, b| key == "time" || a == b);
            a.len() == b.len() && a.iter().zip(b).all(same)
        }
        _ => a == b,
    })
}

fn same_maps(a: &Value, b: &Value, same: impl Fn(&str, &Value, &Value) -> bool) -> bool {
    let (Value::Object(a), Value::Object(b)) = (a, b) else { return a == b };
    let ignored = |key: &str| key == "resourceVersion";
    a.iter().all(|(key, value)| ignored(key) || b.get(key).is_some_and(|other| same(key, value, other)))
        && b.keys().all(|key| ignored(key) || a.contains_key(key))
}

/// Appliers come before updaters, as on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Operation {
    Apply,
    Update,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct ManagerId {
    pub(super) operation: Operation,
    pub(super) manager: String,
    /// Part of the identity of an updater only: an applier stays the same across versions.
    pub(super) api_version: String,
    pub(super) subresource: String,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Entry {
    pub(super) fields: FieldSet,
    pub(super) api_version: String,
    pub(super) time: String,
}

/// The decoded `managedFields`.
#[derive(Clone, PartialEq, Default, Debug)]
pub(super) struct Managed {
    pub(super) entries: BTreeMap<ManagerId, Entry>,
}

impl Managed {
    /// An entry that cannot be read is dropped: book-keeping must not stand in the way of a write.
    pub(super) fn read(object: &Value) -> Self {
        let list = object["metadata"]["managedFields"].as_array();
        Self { entries: list.into_iter().flatten().filter_map(read_entry).collect() }
    }

    /// `None` when one of them cannot be read, or says less than it must.
    fn decode(entries: &[Value]) -> Option<Self> {
        let complete = |entry: &Value| {
            entry["fieldsType"] == "FieldsV1" && entry["apiVersion"].as_str().is_some_and(|text| !text.is_empty())
        };
        let read = entries.iter().map(|entry| read_entry(entry).filter(|_| complete(entry)));
        Some(Self { entries: read.collect::<Option<_>>()? })
    }

    pub(super) fn write_to(&self, object: &mut Value) {
        let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
        let mut entries: Vec<_> = self.entries.iter().filter(|(_, entry)| !entry.fields.is_empty()).collect();
        entries
            .sort_by_key(|(id, entry)| (id.operation, &entry.time, &id.manager, &entry.api_version, &id.subresource));
        if entries.is_empty() {
            metadata.remove("managedFields");
        } else {
            let list = entries.into_iter().map(|(id, entry)| write_entry(id, entry)).collect();
            metadata.insert("managedFields".to_owned(), Value::Array(list));
        }
    }

    pub(super) fn fields_of_all(&self) -> FieldSet {
        self.entries.values().fold(FieldSet::default(), |mut all, entry| {
            all.extend(&entry.fields);
            all
        })
    }

    /// Nobody but `but` owns any longer what was changed, and nobody at all what is gone.
    pub(super) fn take_from_all(&mut self, changes: &Changes, but: Option<&ManagerId>) {
        for (_, entry) in self.entries.iter_mut().filter(|(id, _)| Some(*id) != but) {
            let changes = changes.seen_in(&entry.api_version);
            let left = entry.fields.difference(&changes.modified).difference(&changes.added);
            entry.fields = left.difference(&changes.removed);
        }
        self.entries.retain(|id, entry| Some(id) == but || !entry.fields.is_empty());
    }

    pub(super) fn add_updater(&mut self, write: &FieldWrite, api_version: &str, fields: FieldSet) {
        if fields.is_empty() {
            return;
        }
        let id = ManagerId {
            operation: Operation::Update,
            manager: write.manager.to_owned(),
            api_version: api_version.to_owned(),
            subresource: write.subresource.to_owned(),
        };
        let known = self.entries.get(&id).map(|entry| entry.fields.union(&fields));
        let fields = known.unwrap_or(fields);
        self.entries.insert(id, Entry { fields, api_version: api_version.to_owned(), time: wire_time(write.now) });
        self.bound_updaters();
    }

    /// The oldest updaters of a version become one, until there are few enough.
    fn bound_updaters(&mut self) {
        let updaters = self.entries.iter().filter(|(id, _)| id.operation == Operation::Update);
        let mut oldest: Vec<(String, ManagerId)> =
            updaters.map(|(id, entry)| (entry.time.clone(), id.clone())).collect();
        oldest.sort();
        let mut count = oldest.len();
        let mut first: BTreeMap<String, ManagerId> = BTreeMap::new();
        for (_, id) in oldest {
            if count <= UPDATERS_MAX {
                return;
            }
            let version = id.api_version.clone();
            match first.remove(&version) {
                None => drop(first.insert(version, id)),
                Some(older) => {
                    let bucket = self.unite(older, id);
                    first.insert(version, bucket);
                    count -= 1;
                }
            }
        }
    }

    /// Two updaters of one version become one without a name of its own.
    fn unite(&mut self, older: ManagerId, newer: ManagerId) -> ManagerId {
        let bucket = ManagerId { manager: ANCIENT_CHANGES.to_owned(), subresource: String::new(), ..newer.clone() };
        let time = self.entries.get(&newer).map(|entry| entry.time.clone()).unwrap_or_default();
        for id in [older, newer, bucket.clone()] {
            let Some(entry) = self.entries.remove(&id) else { continue };
            let united = self.entries.entry(bucket.clone()).or_insert_with(|| Entry {
                fields: FieldSet::default(),
                api_version: entry.api_version.clone(),
                time: time.clone(),
            });
            united.fields.extend(&entry.fields);
        }
        bucket
    }
}

/// What a write to this subresource cannot change, and so does not own.
pub(super) fn not_of_subresource(subresource: &str) -> FieldSet {
    match subresource {
        "" => FieldSet::of_fields(&["status"]),
        "status" => FieldSet::of_fields(&["spec"]),
        _ => FieldSet::default(),
    }
}

pub(super) fn without_unowned(fields: &FieldSet) -> FieldSet {
    fields.difference(&FieldSet::of_fields(UNOWNED))
}

pub(super) fn api_version(object: &Value) -> &str {
    object["apiVersion"].as_str().unwrap_or_default()
}

/// Whole seconds, as Kubernetes writes times.
pub(super) fn wire_time(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn read_entry(entry: &Value) -> Option<(ManagerId, Entry)> {
    let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    let operation = match entry["operation"].as_str()? {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return None,
    };
    let fields = FieldSet::from_json(&entry["fieldsV1"])?;
    let id = ManagerId {
        operation,
        manager: text("manager"),
        api_version: if operation == Operation::Update { text("apiVersion") } else { String::new() },
        subresource: text("subresource"),
    };
    Some((id, Entry { fields, api_version: text("apiVersion"), time: text("time") }))
}

fn write_entry(id: &ManagerId, entry: &Entry) -> Value {
    let operation = if id.operation == Operation::Apply { "Apply" } else { "Update" };
    let mut wire = Map::new();
    let mut put = |field: &str, text: &str| {
        if !text.is_empty() {
            wire.insert(field.to_owned(), json!(text));
        }
    };
    put("manager", &id.manager);
    put("operation", operation);
    put("apiVersion", &entry.api_version);
    put("time", &entry.time);
    put("fieldsType", "FieldsV1");
    put("subresource", &id.subresource);
    wire.insert("fieldsV1".to_owned(), entry.fields.to_json());
    Value::Object(wire)
}
