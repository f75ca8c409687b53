use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use serde_json::Value;

use crate::{Key, Object, ResourceName};

/// Every object at one revision. Cloning is O(1): snapshots share what did not change.
#[derive(Clone, Default, Debug)]
pub struct Snapshot {
    revision: u64,
    objects: OrdMap<Key, Arc<Object>>,
}

/// Operations that take effect together, at one new revision, or not at all. A key appears at most once.
#[derive(Clone, Default, Debug)]
pub struct Transaction {
    pub ops: Vec<Op>,
}

#[derive(Clone, Debug)]
pub enum Op {
    /// `value` is the whole object; its `metadata.resourceVersion` is overwritten at commit.
    Put {
        key: Key,
        value: Value,
        precondition: Precondition,
    },
    Delete {
        key: Key,
        precondition: Precondition,
    },
    /// Changes nothing; guards the transaction on an object that it only read.
    Check {
        key: Key,
        precondition: Precondition,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Precondition {
    Any,
    Absent,
    Present,
    /// Present, and last written by exactly this revision.
    Revision(u64),
}

/// What one operation of a transaction changed.
#[derive(Clone, Debug)]
pub struct Change {
    pub kind: ChangeKind,
    /// The new object; for a deletion the last state, carrying the revision of the deletion.
    pub object: Arc<Object>,
    pub previous: Option<Arc<Object>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

/// A precondition did not hold; nothing was changed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{key} is not as expected: wanted {wanted:?}, found {}", match .found { Some(object) => format!("revision {}", object.revision()), None => "nothing".to_owned() })]
pub struct Conflict {
    pub key: Key,
    pub wanted: Precondition,
    pub found: Option<Arc<Object>>,
}

impl Snapshot {
    /// A snapshot made of known objects, as a store does when it opens and a test when it begins.
    pub fn from_objects(revision: u64, objects: impl IntoIterator<Item = Arc<Object>>) -> Self {
        let objects = objects.into_iter().map(|object| (object.key().clone(), object)).collect();
        Self { revision, objects }
    }

    /// The revision of the last transaction that is part of this snapshot.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    pub fn len(&self) -> usize {
        self.objects.len()
    }

    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    pub fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    /// Every object, in key order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values()
    }

    /// The objects of one resource in key order, of one namespace or (`None`) of all.
    pub fn list<'a>(
        &'a self,
        resource: &'a ResourceName,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arc<Object>> {
        let start = Key::new(resource.clone(), namespace.unwrap_or(""), "");
        self.list_from(start).take_while(move |object| namespace.is_none_or(|wanted| object.namespace() == wanted))
    }

    /// The objects of `start`'s resource whose key is `start` or comes after it; for lists in chunks.
    pub fn list_from(&self, start: Key) -> impl Iterator<Item = &Arc<Object>> {
        let resource = start.resource.clone();
        self.objects
            .range(start..)
            .map(|(_, object)| object)
            .take_while(move |object| object.key().resource == resource)
    }

    /// The inverse of [`Snapshot::apply`]: the snapshot at `revision`, before `changes` were made. They come newest
    /// first; only the objects that they are about go back in time.
    pub fn undo<'a>(&self, revision: u64, changes: impl IntoIterator<Item = &'a Change>) -> Snapshot {
        let mut objects = self.objects.clone();
        for change in changes {
            let key = change.object.key();
            match &change.previous {
                Some(previous) => objects.insert(key.clone(), previous.clone()),
                None => objects.remove(key),
            };
        }
        Snapshot { revision, objects }
    }

    /// What turned `older` into this snapshot, in key order; parts that both share are skipped unseen, so the cost is
    /// that of what changed. Steps in between are not seen: an object that was replaced shows up as `Modified` with
    /// another uid, and a `Deleted` one carries the revision of its last version.
    pub fn changes_since(&self, older: &Snapshot) -> Vec<Change> {
        let changed = |kind, object: &Arc<Object>, previous: Option<&Arc<Object>>| Change {
            kind,
            object: object.clone(),
            previous: previous.cloned(),
        };
        let items = older.objects.diff(&self.objects).map(|item| match item {
            DiffItem::Add(_, new) => changed(ChangeKind::Added, new, None),
            DiffItem::Update { old, new } => changed(ChangeKind::Modified, new.1, Some(old.1)),
            DiffItem::Remove(_, old) => changed(ChangeKind::Deleted, old, Some(old)),
        });
        items.collect()
    }

    /// The meaning of a transaction: the snapshot after it, at `revision() + 1`, and what changed in the order of
    /// its operations. A transaction that only checks leaves the revision as it is.
    pub fn apply(&self, transaction: &Transaction) -> Result<(Snapshot, Vec<Change>), Conflict> {
        for op in &transaction.ops {
            self.check(op)?;
        }
        let revision = self.revision + 1;
        let mut objects = self.objects.clone();
        let changes: Vec<Change> = transaction.ops.iter().filter_map(|op| change(&mut objects, revision, op)).collect();
        if changes.is_empty() {
            return Ok((self.clone(), changes));
        }
        Ok((Snapshot { revision, objects }, changes))
    }

    fn check(&self, op: &Op) -> Result<(), Conflict> {
        let (key, wanted) = match op {
            Op::Put { key, precondition, .. } | Op::Delete { key, precondition } | Op::Check { key, precondition } => {
                (key, *precondition)
            }
        };
        let found = self.objects.get(key);
        let holds = match wanted {
            Precondition::Any => true,
            Precondition::Absent => found.is_none(),
            Precondition::Present => found.is_some(),
            Precondition::Revision(revision) => found.is_some_and(|object| object.revision() == revision),
        };
        if holds { Ok(()) } else { Err(Conflict { key: key.clone(), wanted, found: found.cloned() }) }
    }
}

fn change(objects: &mut OrdMap<Key, Arc<Object>>, revision: u64, op: &Op) -> Option<Change> {
    match op {
        Op::Put { key, value, .. } => {
            let object = Object::new(key.clone(), revision, value.clone());
            let previous = objects.insert(key.clone(), object.clone());
            let kind = if previous.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
            Some(Change { kind, object, previous })
        }
        Op::Delete { key, .. } => {
            let previous = objects.remove(key)?;
            let object = Object::new(key.clone(), revision, previous.value().clone());
            Some(Change { kind: ChangeKind::Deleted, object, previous: Some(previous) })
        }
        Op::Check { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn put(name: &str, precondition: Precondition) -> Op {
        Op::Put { key: Key::new("pods", "default", name), value: json!({"metadata": {"name": name}}), precondition }
    }

    #[test]
    fn a_transaction_with_one_failing_precondition_changes_nothing() {
        let (one, _) = Snapshot::default().apply(&Transaction { ops: vec![put("a", Precondition::Absent)] }).unwrap();
        let both = Transaction { ops: vec![put("b", Precondition::Absent), put("a", Precondition::Absent)] };
        let conflict = one.apply(&both).unwrap_err();
        assert_eq!(conflict.key.name.as_ref(), "a");
        assert_eq!(one.len(), 1);
    }

    #[test]
    fn a_deletion_carries_its_own_revision() {
        let (one, _) = Snapshot::default().apply(&Transaction { ops: vec![put("a", Precondition::Any)] }).unwrap();
        let key = Key::new("pods", "default", "a");
        let delete = Transaction { ops: vec![Op::Delete { key, precondition: Precondition::Revision(1) }] };
        let (two, changes) = one.apply(&delete).unwrap();
        assert!(two.is_empty());
        assert_eq!((changes[0].kind, changes[0].object.revision()), (ChangeKind::Deleted, 2));
        assert_eq!(changes[0].object.value()["metadata"]["resourceVersion"], "2");
    }

    #[test]
    fn undo_gives_back_what_was_there_before() {
        let (one, _) = Snapshot::default().apply(&Transaction { ops: vec![put("a", Precondition::Any)] }).unwrap();
        let delete = Op::Delete { key: Key::new("pods", "default", "a"), precondition: Precondition::Present };
        let (two, changes) = one.apply(&Transaction { ops: vec![delete, put("b", Precondition::Any)] }).unwrap();
        let back = two.undo(one.revision(), changes.iter().rev());
        assert_eq!(back.revision(), 1);
        assert_eq!(back.iter().map(|object| object.name()).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn changes_since_an_older_snapshot_are_those_that_led_here() {
        let names = ["a", "b", "c"].map(|name| put(name, Precondition::Any));
        let (one, _) = Snapshot::default().apply(&Transaction { ops: names.to_vec() }).unwrap();
        let delete = Op::Delete { key: Key::new("pods", "default", "b"), precondition: Precondition::Present };
        let ops = vec![put("a", Precondition::Present), delete, put("d", Precondition::Absent)];
        let (two, _) = one.apply(&Transaction { ops }).unwrap();
        let seen: Vec<_> = two.changes_since(&one).iter().map(|c| (c.kind, c.object.name().to_owned())).collect();
        let wanted = [(ChangeKind::Modified, "a"), (ChangeKind::Deleted, "b"), (ChangeKind::Added, "d")];
        assert_eq!(seen, wanted.map(|(kind, name)| (kind, name.to_owned())));
        assert!(two.changes_since(&two).is_empty());
    }

    #[test]
    fn a_list_stops_at_its_namespace_and_resource() {
        let key = |resource: &str, namespace: &str| Key::new(resource, namespace, "x");
        let objects = [key("nodes", ""), key("pods", "a"), key("pods", "b"), key("podtemplates", "a")];
        let snapshot = Snapshot::from_objects(7, objects.map(|key| Object::new(key, 7, json!({"metadata": {}}))));
        assert_eq!(snapshot.list(&"pods".into(), None).count(), 2);
        assert_eq!(snapshot.list(&"pods".into(), Some("b")).count(), 1);
    }
}
