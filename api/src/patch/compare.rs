//! Walks over objects that know their types: which fields an object sets, what differs between two, merging one into
//! the other, taking fields out. Source: `sigs.k8s.io/structured-merge-diff/typed`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::fieldset::{Branch, FieldSet, PathElement};
use super::types::{FieldType, Topology, child_type, has_field, is_struct};
use crate::schema::{Format, Node};

/// What differs between two versions of an object.
#[derive(Clone, PartialEq, Default, Debug)]
pub(super) struct Comparison {
    pub(super) added: FieldSet,
    pub(super) modified: FieldSet,
    pub(super) removed: FieldSet,
}

/// The fields that `object` sets. Refuses fields that the type does not have and lists whose items cannot be told apart,
/// each with its path.
pub(super) fn field_set(object: &Value, object_type: FieldType) -> Result<FieldSet, Vec<String>> {
    let mut faults = Vec::new();
    let set = set_branch(object, object_type, "", &mut faults).children;
    if faults.is_empty() { Ok(set) } else { Err(faults) }
}

fn set_branch(value: &Value, value_type: FieldType, path: &str, faults: &mut Vec<String>) -> Branch {
    match (value, Topology::of(value, value_type)) {
        (Value::Object(map), Topology::Granular) => {
            let mut children = FieldSet::default();
            for (key, child) in map {
                let below = child_type(value_type, key);
                let path = format!("{path}.{key}");
                if below.is_none() && is_closed(value_type) {
                    faults.push(format!("{path}: field not declared in schema"));
                }
                let mut node = set_branch(child, below, &path, faults);
                node.member |= is_empty(child) || !has_field(value_type, key);
                children.insert(PathElement::field(key), node);
            }
            Branch { member: false, children }
        }
        (Value::Array(items), topology @ (Topology::Set | Topology::Keyed(_))) => {
            let item_type = value_type.and_then(Node::items);
            let mut children = FieldSet::default();
            for (index, item) in items.iter().enumerate() {
                let element = match topology.strict_element(item) {
                    Ok(element) => element,
                    Err(fault) => {
                        faults.push(format!("{path}: element {index}: {fault}"));
                        continue;
                    }
                };
                if children.get(&element).is_some() {
                    faults.push(format!("{path}: duplicate entries for key {element}"));
                    continue;
                }
                let mut node = set_branch(item, item_type, &format!("{path}{element}"), faults);
                node.member = true;
                children.insert(element, node);
            }
            Branch { member: false, children }
        }
        _ => Branch::leaf(),
    }
}

/// Whether the type names all the fields there are.
fn is_closed(value_type: FieldType) -> bool {
    value_type.is_some_and(|node| node.fields().next().is_some() && !node.preserves_unknown_fields())
}

pub(super) fn compare(old: &Value, new: &Value, object_type: FieldType) -> Comparison {
    let [added, modified, removed] = compare_node(Some(old), Some(new), object_type, false);
    Comparison { added: added.children, modified: modified.children, removed: removed.children }
}

/// `always_there`: an absent value counts as an empty struct or a null list, as it does in Kubernetes' own types, so that
/// it is never itself added.
fn compare_node(old: Option<&Value>, new: Option<&Value>, value_type: FieldType, always_there: bool) -> [Branch; 3] {
    let present = |value: Option<&Value>| value.is_some_and(|value| !is_empty(value));
    let Some(shown) = new.or(old) else { return Default::default() };
    let topology = Topology::of(shown, value_type);
    let same_form = old.zip(new).is_none_or(|(old, new)| form(old) == form(new));
    if topology == Topology::Leaf || !same_form || !(present(old) || present(new)) {
        return compare_leaves(old, new, value_type);
    }
    let mut nodes: [Branch; 3] = Default::default();
    if shown.is_object() {
        let (old, new) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
        let new_keys = new.into_iter().flatten().map(|(key, _)| key);
        let gone = |key: &&String| new.is_none_or(|new| !new.contains_key(*key));
        for key in new_keys.chain(old.into_iter().flatten().map(|(key, _)| key).filter(gone)) {
            let below = child_type(value_type, key);
            let named = has_field(value_type, key);
            let always_there = named && (is_struct(below) || is_required(value_type, key));
            let found = compare_node(child(old, key), child(new, key), below, always_there);
            insert(&mut nodes, PathElement::field(key), found);
        }
    } else {
        let (old, new) = (keyed(old, &topology), keyed(new, &topology));
        let item_type = value_type.and_then(Node::items);
        for (element, new) in &new {
            insert(&mut nodes, element.clone(), compare_items(old.get(element), Some(new), item_type));
        }
        for (element, old) in old.iter().filter(|(element, _)| !new.contains_key(*element)) {
            insert(&mut nodes, element.clone(), compare_items(Some(old), None, item_type));
        }
    }
    nodes[0].member |= old.is_none() && !always_there;
    nodes[2].member |= new.is_none();
    nodes
}

fn is_required(value_type: FieldType, field: &str) -> bool {
    value_type.is_some_and(|node| node.required().any(|required| required == field))
}

type Items<'a> = Vec<&'a Value>;

/// Items that share a key, which old objects may hold, are compared as one.
fn compare_items(old: Option<&Items>, new: Option<&Items>, item_type: FieldType) -> [Branch; 3] {
    if [old, new].iter().flatten().all(|items| items.len() == 1) {
        return compare_node(old.map(|items| items[0]), new.map(|items| items[0]), item_type, false);
    }
    let many = |items: Option<&Items>| items.map(|items| items.iter().map(|item| (*item).clone()).collect());
    let (old, new): (Option<Value>, Option<Value>) = (many(old), many(new));
    compare_leaves(old.as_ref(), new.as_ref(), None)
}

fn compare_leaves(old: Option<&Value>, new: Option<&Value>, value_type: FieldType) -> [Branch; 3] {
    let mut nodes: [Branch; 3] = Default::default();
    match (old, new) {
        (None, Some(_)) => nodes[0] = Branch::leaf(),
        (Some(_), None) => nodes[2] = Branch::leaf(),
        (Some(old), Some(new)) if !equal(old, new, value_type) => nodes[1] = Branch::leaf(),
        _ => {}
    }
    nodes
}

/// `1000m` is `1` where the type is a quantity.
fn equal(old: &Value, new: &Value, value_type: FieldType) -> bool {
    old == new
        || value_type.and_then(Node::format) == Some(Format::Quantity)
            && crate::Quantity::from_value(old).is_ok_and(|old| Ok(old) == crate::Quantity::from_value(new))
}

fn insert(nodes: &mut [Branch; 3], element: PathElement, found: [Branch; 3]) {
    for (node, found) in nodes.iter_mut().zip(found) {
        node.children.insert(element.clone(), found);
    }
}

/// `config` over `live`, as server-side apply merges: maps by key, keyed lists and sets by item, all else replaced.
pub(super) fn merge(live: &Value, config: &Value, value_type: FieldType) -> Value {
    match (live, config, Topology::of(config, value_type)) {
        (Value::Object(live), Value::Object(config), Topology::Granular) => {
            let mut merged = live.clone();
            for (key, value) in config {
                let below = child_type(value_type, key);
                match live.get(key) {
                    _ if value.is_null() => drop(merged.remove(key)),
                    Some(live) => drop(merged.insert(key.clone(), merge(live, value, below))),
                    None => drop(merged.insert(key.clone(), value.clone())),
                }
            }
            Value::Object(merged)
        }
        (Value::Array(live), Value::Array(config), topology @ (Topology::Set | Topology::Keyed(_))) => {
            let item_type = value_type.and_then(Node::items);
            Value::Array(merge_items(live, config, &topology, item_type))
        }
        _ => config.clone(),
    }
}

/// The applied items keep their order; each live-only item stays before the shared item that it preceded.
fn merge_items(live: &[Value], config: &[Value], topology: &Topology, item_type: FieldType) -> Vec<Value> {
    let of_live: Vec<PathElement> = live.iter().map(|item| topology.element(item)).collect();
    let of_config: Vec<PathElement> = config.iter().map(|item| topology.element(item)).collect();
    let (in_live, in_config) = (first_places(&of_live), first_places(&of_config));
    let apply = |at: usize| match in_live.get(&of_config[at]) {
        Some(found) => merge(&live[*found], &config[at], item_type),
        None => config[at].clone(),
    };
    let (mut merged, mut done) = (Vec::new(), 0);
    for (item, element) in live.iter().zip(&of_live) {
        match in_config.get(element).copied() {
            None => merged.push(item.clone()),
            Some(shared) => {
                merged.extend((done..=shared).map(apply));
                done = done.max(shared + 1);
            }
        }
    }
    merged.extend((done..config.len()).map(apply));
    merged
}

fn first_places(elements: &[PathElement]) -> BTreeMap<&PathElement, usize> {
    elements.iter().enumerate().rev().map(|(at, element)| (element, at)).collect()
}

/// Takes the members of `gone` out of `value`. A map or list that this empties goes too, unless `kept` has it.
pub(super) fn remove(value: &mut Value, gone: &FieldSet, kept: &FieldSet, value_type: FieldType) {
    let topology = Topology::of(value, value_type);
    let nothing = FieldSet::default();
    match value {
        Value::Object(map) => map.retain(|key, child| {
            let element = PathElement::field(key);
            let Some(node) = gone.get(&element) else { return true };
            if node.member {
                return false;
            }
            let below = child_type(value_type, key);
            let owner = kept.get(&element);
            remove(child, &node.children, owner.map_or(&nothing, |owner| &owner.children), below);
            !is_empty(child) || owner.is_some()
        }),
        Value::Array(items) => {
            let item_type = value_type.and_then(Node::items);
            items.retain_mut(|item| {
                let element = topology.element(item);
                let Some(node) = gone.get(&element) else { return true };
                let owner = kept.get(&element);
                remove(item, &node.children, owner.map_or(&nothing, |owner| &owner.children), item_type);
                !node.member
            });
        }
        _ => {}
    }
}

fn keyed<'a>(list: Option<&'a Value>, topology: &Topology) -> BTreeMap<PathElement, Items<'a>> {
    let mut found: BTreeMap<PathElement, Items<'a>> = BTreeMap::new();
    for item in list.and_then(Value::as_array).into_iter().flatten() {
        found.entry(topology.element(item)).or_default().push(item);
    }
    found
}

/// A null counts as absent.
fn child<'a>(map: Option<&'a Map<String, Value>>, key: &str) -> Option<&'a Value> {
    map?.get(key).filter(|value| !value.is_null())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        other => other.is_null(),
    }
}

fn form(value: &Value) -> std::mem::Discriminant<Value> {
    std::mem::discriminant(value)
}
