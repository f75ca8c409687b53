use serde_json::Value;

use super::diff::two_way;
use crate::arbitrary::Maker;
use crate::patch::apply_strategic_merge;
use crate::patch::types::{FieldType, child_type};
use crate::schema::{Node, check_node};

/// Patches between objects of one kind lead where they should, and do to others no more than they say.
pub fn strategic_merge(bytes: &[u8]) {
    let mut maker = Maker::for_strategic_merge(bytes);
    let kind = maker.kind();
    let object_type = Some(kind.schema());
    let first = maker.object(kind);
    let second = maker.edited(kind, &first);
    let other = maker.edited(kind, &first);
    let patched = |object: &Value, patch: &Value| {
        apply_strategic_merge(object, patch, object_type)
            .unwrap_or_else(|refused| panic!("{refused}: {patch} on {object}"))
    };
    let nothing = serde_json::json!({});
    assert_eq!(patched(&first, &nothing), first, "an empty patch changes nothing");
    let patch = two_way(&first, &second, object_type);
    assert_eq!(patched(&first, &patch), second, "{patch} leads from one to the other");
    let once = patched(&other, &patch);
    assert_eq!(patched(&once, &patch), once, "{patch} twice is once, on {other}");
    let findings = check_node(kind.schema(), &once);
    assert!(findings.wrong_types.is_empty() && findings.unknown.is_empty(), "{findings:?} after {patch} on {other}");
    check_untouched(&other, &patch, &once, object_type);
}

/// What the patch does not name is as before.
fn check_untouched(before: &Value, patch: &Value, after: &Value, object_type: FieldType) {
    let (Value::Object(before), Value::Object(patch)) = (before, patch) else { return };
    if patch.contains_key("$patch") || patch.contains_key("$retainKeys") {
        return;
    }
    for (key, value) in before {
        let field = child_type(object_type, key);
        let named = ["", "$setElementOrder/", "$deleteFromPrimitiveList/"];
        let mut changes = named.iter().filter_map(|prefix| patch.get(&format!("{prefix}{key}"))).peekable();
        if changes.peek().is_none() {
            assert_eq!(after.get(key), Some(value), "{key} was not named");
        }
        match (patch.get(key), value) {
            // What is replaced as a whole keeps nothing.
            _ if field.is_some_and(|field| field.has_patch_strategy("replace")) => {}
            (Some(below @ Value::Object(_)), Value::Object(_)) => check_untouched(value, below, &after[key], field),
            (Some(Value::Array(items)), Value::Array(known)) => check_items(known, items, &after[key], field),
            _ => {}
        }
    }
}

fn check_items(known: &[Value], patch: &[Value], after: &Value, list: FieldType) {
    let Some(key) = list.filter(|list| list.has_patch_strategy("merge")).and_then(Node::patch_merge_key) else {
        return;
    };
    let find = |items: &[Value], item: &Value| items.iter().find(|one| one[key] == item[key]).cloned();
    let after = after.as_array().map(Vec::as_slice).unwrap_or_default();
    for item in known {
        match (find(patch, item), find(after, item)) {
            (None, found) => assert_eq!(found.as_ref(), Some(item), "the item was not named"),
            (Some(change), Some(found)) => check_untouched(item, &change, &found, list.and_then(Node::items)),
            (Some(change), None) => assert_eq!(change["$patch"], "delete", "the item was not to go"),
        }
    }
}
