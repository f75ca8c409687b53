use jiff::Timestamp;
use serde_json::{Value, json};

use crate::Status;
use crate::arbitrary::Maker;
use crate::kind::Kind;
use crate::patch::compare::{compare, field_set, merge};
use crate::patch::fieldset::{FieldSet, PathElement};
use crate::patch::managed::{Managed, ManagerId, Operation, without_unowned};
use crate::patch::types::{FieldType, Topology, child_type};
use crate::patch::{FieldWrite, ServerSideApply};
use crate::schema::{Node, check_node};

const APPLIERS: [&str; 2] = ["one", "two"];
/// Writes that a history has at most.
const STEPS_MAX: usize = 8;

/// Managers apply and update in turns; after each apply the laws of server-side apply are checked.
pub fn server_side_apply(bytes: &[u8]) {
    let mut maker = Maker::for_apply(bytes);
    let kind = maker.kind();
    let base = maker.object(kind);
    let mut live: Option<Value> = None;
    for second in 0..STEPS_MAX {
        let step = Step { kind, live: live.as_ref(), second };
        let config = maker.edited(kind, &base);
        let next = match maker.roll(3) {
            2 => step.update(&mut maker, config),
            applier => step.apply(APPLIERS[applier], &config),
        };
        check_owned_fields_exist(&next, kind.schema());
        live = Some(next);
        if maker.is_over() {
            break;
        }
    }
}

pub(super) fn applied(
    current: Option<&Value>,
    config: &Value,
    manager: &str,
    force: bool,
    object_type: FieldType,
    second: usize,
) -> Result<Value, Status> {
    let now = time(second);
    ServerSideApply { manager, force, subresource: "", object_type, now }.apply(current, config)
}

struct Step<'a> {
    kind: &'static Kind,
    live: Option<&'a Value>,
    second: usize,
}

impl Step<'_> {
    fn object_type(&self) -> FieldType {
        Some(self.kind.schema())
    }

    fn update(&self, maker: &mut Maker, config: Value) -> Value {
        let new = self.live.map_or(config, |live| {
            let mut new = maker.edited(self.kind, &without_managed(live));
            new["metadata"]["managedFields"] = live["metadata"]["managedFields"].clone();
            new
        });
        let now = time(self.second);
        FieldWrite { manager: "editor", subresource: "", object_type: self.object_type(), now }.record(self.live, new)
    }

    /// Applies, by force if need be.
    fn apply(&self, manager: &str, config: &Value) -> Value {
        let done = match applied(self.live, config, manager, false, self.object_type(), self.second) {
            Ok(done) => {
                self.check_others_keep(manager, &done);
                done
            }
            Err(refused) => {
                self.check_conflicts(manager, config, &refused);
                applied(self.live, config, manager, true, self.object_type(), self.second).expect("force has its way")
            }
        };
        self.check_again(manager, config, &done);
        self.check_there_and_owned(manager, config, &done);
        self.check_removed(manager, config, &done);
        let findings = check_node(self.kind.schema(), &done);
        assert!(findings.wrong_types.is_empty() && findings.unknown.is_empty(), "{findings:?} in {done}");
        done
    }

    /// Twice is once: not even a time changes. Another one who wants the same shares it.
    fn check_again(&self, manager: &str, config: &Value, done: &Value) {
        // Where nobody owns anything, the next apply finds an owner who came before all.
        if Managed::read(done).entries.is_empty() {
            return;
        }
        let again = applied(Some(done), config, manager, false, self.object_type(), self.second + 60);
        assert_eq!(again.as_ref(), Ok(done), "applying {config} again changes nothing");
        let shared = applied(Some(done), config, "sharer", false, self.object_type(), self.second)
            .expect("the same is no conflict");
        assert_eq!(without_managed(&shared), without_managed(done), "sharing {config} changes nothing");
    }

    fn check_there_and_owned(&self, manager: &str, config: &Value, done: &Value) {
        assert_eq!(merge(done, config, self.object_type()), *done, "{config} is there");
        let wanted = without_unowned(&field_set(config, self.object_type()).expect("a config has a field set"));
        assert_eq!(fields_of(done, manager), wanted, "{manager} owns what it applied, no more");
        let changed = self.live.map(|live| compare(&without_managed(live), &without_managed(done), self.object_type()));
        let changed = changed.map(|changed| changed.modified).unwrap_or_default();
        for (id, entry) in Managed::read(done).entries.iter().filter(|(id, _)| id.manager != manager) {
            let kept = entry.fields.intersection(&changed);
            assert!(kept.is_empty(), "{id:?} still owns {:?}", kept.paths());
        }
    }

    /// Only what this manager owned, no longer applies, and shares with nobody goes; an item goes with all in it.
    fn check_removed(&self, manager: &str, config: &Value, done: &Value) {
        let Some(live) = self.live else { return };
        let before = Managed::read(live);
        let mine = fields_of(live, manager).with_named_fields(self.object_type());
        let others = before.entries.iter().filter(|(id, _)| !is(id, manager));
        let others = others.fold(FieldSet::default(), |all, (_, entry)| all.union(&entry.fields));
        let removed = compare(&without_managed(live), &without_managed(done), self.object_type()).removed;
        let gone_with_item = within(&mine.difference(&others), &removed);
        let unexplained = removed.recursive_difference(&gone_with_item);
        let emptied = without_containers(&unexplained, live, self.object_type());
        let taken = emptied.difference(&mine);
        assert!(taken.is_empty(), "{:?} were not {manager}'s: {config} on {live}", taken.paths());
        let shared = emptied.intersection(&others);
        assert!(shared.is_empty(), "{:?} are others' too: {config} on {live}", shared.paths());
    }

    /// Without force nobody loses a field that is still there.
    fn check_others_keep(&self, manager: &str, done: &Value) {
        let Some(live) = self.live else { return };
        let after = Managed::read(done);
        let there = compare(&json!({}), &without_managed(done), self.object_type()).added;
        for (id, entry) in Managed::read(live).entries.iter().filter(|(id, _)| !is(id, manager)) {
            let now = after.entries.get(id).map(|entry| entry.fields.clone()).unwrap_or_default();
            let lost = entry.fields.difference(&now).intersection(&there);
            assert!(lost.is_empty(), "{id:?} lost {:?} to {manager}", lost.paths());
        }
    }

    /// Each conflict is about a field that another one owns and that would change; none of those is missing.
    fn check_conflicts(&self, manager: &str, config: &Value, refused: &Status) {
        assert_eq!(refused.code, 409, "{refused}: {config}");
        let live = self.live.expect("nothing is there to conflict with");
        let plain = without_managed(live);
        let entries = Managed::read(live).entries;
        let others = entries.iter().filter(|(id, _)| !is(id, manager));
        // What nobody tracked so far is one owner's who came before all.
        let untracked = compare(&json!({}), &plain, self.object_type()).added;
        let owned = if entries.is_empty() {
            untracked
        } else {
            others.fold(FieldSet::default(), |all, (_, entry)| all.union(&entry.fields))
        };
        let wanted = without_unowned(&field_set(config, self.object_type()).expect("a config has a field set"));
        let mut expected: Vec<String> = Vec::new();
        differing(&plain, config, &owned.intersection(&wanted), self.object_type(), String::new(), &mut expected);
        let mut told: Vec<String> = refused.causes.iter().map(|cause| cause.field.clone()).collect();
        told.sort();
        told.dedup();
        expected.sort();
        assert_eq!(told, expected, "{config} on {live}");
    }
}

/// The members of `fields` whose values differ.
fn differing(live: &Value, config: &Value, fields: &FieldSet, of: FieldType, path: String, found: &mut Vec<String>) {
    let topology = Topology::of(live, of);
    for (element, branch) in fields.iter() {
        let below = child_of(of, element);
        let (Some(old), Some(new)) = (find(live, topology, element), find(config, topology, element)) else { continue };
        let path = format!("{path}{element}");
        let leaf = branch.children.is_empty() && Topology::of(old, below) == Topology::Leaf;
        if branch.member && leaf && old != new && !same_quantity(old, new, below) {
            found.push(path.clone());
        }
        differing(old, new, &branch.children, below, path, found);
    }
}

fn same_quantity(old: &Value, new: &Value, of: FieldType) -> bool {
    of.and_then(Node::format) == Some(crate::schema::Format::Quantity)
        && crate::Quantity::from_value(old).ok() == crate::Quantity::from_value(new).ok()
}

fn find<'a>(value: &'a Value, topology: Topology, element: &PathElement) -> Option<&'a Value> {
    match value {
        Value::Object(map) => map.iter().find(|(key, _)| PathElement::field(key) == *element).map(|(_, value)| value),
        Value::Array(items) => items.iter().find(|item| topology.element(item) == *element),
        _ => None,
    }
}

fn child_of(of: FieldType, element: &PathElement) -> FieldType {
    match element.field_name() {
        Some(name) => child_type(of, name),
        None => of.and_then(Node::items),
    }
}

/// The list items of `owned` that `removed` has, as whole branches.
fn within(owned: &FieldSet, removed: &FieldSet) -> FieldSet {
    let mut whole = FieldSet::default();
    for (element, branch) in removed.iter() {
        let Some(mine) = owned.get(element) else { continue };
        let mut found =
            crate::patch::fieldset::Branch { member: false, children: within(&mine.children, &branch.children) };
        found.member = mine.member && element.field_name().is_none();
        whole.insert(element.clone(), found);
    }
    whole
}

/// Without maps, structs and lists that merge by item: they go when the last thing in them goes.
fn without_containers(removed: &FieldSet, live: &Value, of: FieldType) -> FieldSet {
    let topology = Topology::of(live, of);
    let mut leaves = FieldSet::default();
    for (element, branch) in removed.iter() {
        let below = child_of(of, element);
        let Some(value) = find(live, topology, element) else { continue };
        let member = branch.member && Topology::of(value, below) == Topology::Leaf;
        let children = without_containers(&branch.children, value, below);
        leaves.insert(element.clone(), crate::patch::fieldset::Branch { member, children });
    }
    leaves
}

fn check_owned_fields_exist(object: &Value, node: &'static Node) {
    let managed = Managed::read(object);
    for (id, entry) in &managed.entries {
        check_exist(&without_managed(object), &entry.fields, Some(node), &format!("{id:?}"));
    }
    let mut again = object.clone();
    managed.write_to(&mut again);
    assert_eq!(again, *object, "managedFields are written as they were read");
}

fn check_exist(value: &Value, fields: &FieldSet, of: FieldType, path: &str) {
    let topology = Topology::of(value, of);
    for (element, branch) in fields.iter() {
        let path = format!("{path}{element}");
        let Some(found) = find(value, topology, element) else { panic!("{path} is owned and not there: {value}") };
        check_exist(found, &branch.children, child_of(of, element), &path);
    }
}

fn fields_of(object: &Value, manager: &str) -> FieldSet {
    let entries = Managed::read(object).entries;
    entries.into_iter().find(|(id, _)| is(id, manager)).map(|(_, entry)| entry.fields).unwrap_or_default()
}

fn is(id: &ManagerId, applier: &str) -> bool {
    id.operation == Operation::Apply && id.manager == applier
}

fn without_managed(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    object
}

fn time(second: usize) -> Timestamp {
    let second = i64::try_from(second).unwrap_or_default();
    Timestamp::from_second(1_700_000_000 + second).expect("invariant: a time of this century")
}
