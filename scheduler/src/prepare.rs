use jiff::Timestamp;
use uuid::Uuid;
use wasmk_api::kind::{self, Kind};
use wasmk_api::write::{self, Context, DeleteOptions, FieldValidation, Settings};
use wasmk_api::{Key, Object, Op, Precondition, Reason, Snapshot, Status, Transaction};
use wasmk_controllers::Write;

/// Under which name the control loops' fields are managed.
const FIELD_MANAGER: &str = "wasmk-controllers";
/// As in Kubernetes: no vowels, so no words; nothing that looks like something else.
const SUFFIX_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;

/// One transaction of `writes`, each defaulted, validated and guarded by the revision that it was planned at, as if it
/// had come through the API. A write sees those before it. [`Reason::Conflict`] when somebody was faster.
pub(crate) fn prepare(
    snapshot: &Snapshot,
    writes: Vec<Write>,
    settings: &Settings,
    now: Timestamp,
) -> Result<Transaction, Status> {
    let mut seen = snapshot.clone();
    let mut ops = Vec::new();
    for write in writes {
        let prepared = prepare_one(&seen, write, settings, now)?;
        let applied = seen.apply(&Transaction { ops: prepared.clone() });
        let (next, _) = applied.map_err(|conflict| Status::new(Reason::Conflict, conflict.to_string()))?;
        seen = next;
        ops.extend(prepared);
    }
    Ok(Transaction { ops })
}

fn prepare_one(snapshot: &Snapshot, write: Write, settings: &Settings, now: Timestamp) -> Result<Vec<Op>, Status> {
    let context = Context {
        now,
        uid: &|| Uuid::new_v4().to_string(),
        name_suffix: &name_suffix,
        field_manager: Some(FIELD_MANAGER),
        validation: FieldValidation::Strict,
        snapshot,
        settings,
    };
    let kind = kind_of(snapshot, write.key())?;
    match write {
        Write::Create { key, value } => {
            Ok(write::create(kind, &key.namespace, value, &context)?.into_ops(kind, Precondition::Absent))
        }
        Write::Update { key, revision, value, part } => {
            let current = at_revision(snapshot, &key, revision)?;
            let prepared = write::update(kind, current, value, part, &context)?;
            Ok(prepared.into_ops(kind, Precondition::Revision(revision)))
        }
        Write::Delete { key, uid, revision, grace_seconds, propagation } => {
            let current = at_revision(snapshot, &key, revision)?;
            let options = DeleteOptions {
                grace_period_seconds: grace_seconds,
                propagation,
                uid: Some(uid),
                resource_version: None,
            };
            let prepared = write::delete(kind, current, &options, &context)?;
            Ok(prepared.into_ops(kind, Precondition::Revision(revision)))
        }
    }
}

fn kind_of(snapshot: &Snapshot, key: &Key) -> Result<&'static Kind, Status> {
    let missing = || Status::new(Reason::InternalError, format!("{key} is of no kind that is known here"));
    kind::find_resource(snapshot, &key.resource).ok_or_else(missing)
}

fn at_revision<'a>(snapshot: &'a Snapshot, key: &Key, revision: u64) -> Result<&'a Object, Status> {
    let found = snapshot.get(key).filter(|object| object.revision() == revision);
    let moved = || Status::new(Reason::Conflict, format!("{key} is no longer at revision {revision}"));
    found.map(AsRef::as_ref).ok_or_else(moved)
}

fn name_suffix() -> String {
    let bytes = Uuid::new_v4().into_bytes();
    let letter = |byte: &u8| char::from(SUFFIX_ALPHABET[usize::from(*byte) % SUFFIX_ALPHABET.len()]);
    bytes.iter().take(SUFFIX_LENGTH).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wasmk_api::write::Part;

    use super::*;

    fn namespace(name: &str) -> Write {
        let value = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        Write::Create { key: Key::new("namespaces", "", name), value }
    }

    fn config_map(name: &str, data: Value) -> (Key, Value) {
        let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}, "data": data});
        (Key::new("configmaps", "shop", name), value)
    }

    fn commit(snapshot: &Snapshot, writes: Vec<Write>) -> Snapshot {
        let transaction = prepare(snapshot, writes, &Settings::default(), Timestamp::UNIX_EPOCH).unwrap();
        snapshot.apply(&transaction).unwrap().0
    }

    fn cluster() -> (Snapshot, Key) {
        let (key, value) = config_map("a", json!({"x": "1"}));
        (commit(&Snapshot::default(), vec![namespace("shop"), Write::Create { key: key.clone(), value }]), key)
    }

    #[test]
    fn a_write_sees_those_before_it() {
        let (snapshot, key) = cluster();
        let object = snapshot.get(&key).unwrap();
        assert!(!object.uid().is_empty());
        assert_eq!(object.revision(), 1, "one transaction");
    }

    #[test]
    fn an_update_of_something_that_moved_on_is_a_conflict() {
        let (snapshot, key) = cluster();
        let value = config_map("a", json!({"x": "2"})).1;
        let update = |revision| Write::Update { key: key.clone(), revision, value: value.clone(), part: Part::Main };
        let refused = prepare(&snapshot, vec![update(7)], &Settings::default(), Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(refused.reason, Reason::Conflict);
        assert_eq!(commit(&snapshot, vec![update(1)]).get(&key).unwrap().value()["data"]["x"], "2");
    }

    #[test]
    fn what_is_invalid_is_refused_with_its_field() {
        let (snapshot, _) = cluster();
        let (key, value) = config_map("b", json!({"no spaces please": "1"}));
        let refused =
            prepare(&snapshot, vec![Write::Create { key, value }], &Settings::default(), Timestamp::UNIX_EPOCH);
        let refused = refused.unwrap_err();
        assert_eq!(refused.reason, Reason::Invalid);
        assert!(refused.message.contains("data"), "{refused}");
    }

    #[test]
    fn a_deleted_object_is_gone_when_nothing_holds_it() {
        let (snapshot, key) = cluster();
        let uid = snapshot.get(&key).unwrap().uid().to_owned();
        let delete = Write::Delete { key: key.clone(), uid, revision: 1, grace_seconds: None, propagation: None };
        assert!(commit(&snapshot, vec![delete]).get(&key).is_none());
    }
}
