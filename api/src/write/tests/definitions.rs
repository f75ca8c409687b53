use super::*;
use crate::{Op, Transaction};

fn definition(plural: &str, kind: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.shop.example.com")},
        "spec": {
            "group": "shop.example.com", "scope": "Namespaced", "names": {"plural": plural, "kind": kind},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    })
}

fn ops(snapshot: &Snapshot, value: Value) -> Vec<Op> {
    let prepared = created_in(snapshot, value).unwrap();
    let kind = kind_of(&prepared.value);
    prepared.into_ops(kind, Precondition::Absent)
}

fn accepted(snapshot: &Snapshot, name: &str) -> (Value, Value) {
    let key = Key::new("customresourcedefinitions.apiextensions.k8s.io", "", &format!("{name}.shop.example.com"));
    let status = &snapshot.get(&key).unwrap().value()["status"];
    (status["conditions"][0]["reason"].clone(), status["acceptedNames"]["kind"].clone())
}

/// Each was planned on a snapshot without the other.
#[test]
fn of_two_definitions_at_one_instant_one_gets_the_name() {
    let before = cluster([]);
    let (first, second) = (definition("widgets", "Widget"), definition("gadgets", "Widget"));
    let (one, other) = (ops(&before, first), ops(&before, second.clone()));
    let (snapshot, _) = before.apply(&Transaction { ops: one }).unwrap();
    let conflict = snapshot.apply(&Transaction { ops: other }).unwrap_err();
    assert_eq!(conflict.key.resource.as_str(), "internal.customnames");
    let (snapshot, _) = snapshot.apply(&Transaction { ops: ops(&snapshot, second) }).unwrap();
    assert_eq!(accepted(&snapshot, "widgets"), (json!("NoConflicts"), json!("Widget")));
    assert_eq!(accepted(&snapshot, "gadgets"), (json!("SingularConflict"), Value::Null));

    // The loser gives back what it has, and nothing of the winner's.
    let remove = |snapshot: &Snapshot, name: &str| {
        let key = Key::new("customresourcedefinitions.apiextensions.k8s.io", "", &format!("{name}.shop.example.com"));
        let current = snapshot.get(&key).unwrap();
        let kind = kind_of(current.value());
        let marked = with(snapshot, |context| delete(kind, current, &DeleteOptions::default(), context)).unwrap();
        let current = Object::new(key, current.revision(), marked.value);
        let mut value = current.value().clone();
        metadata::remove(&mut value["metadata"], "finalizers");
        let prepared = with(snapshot, |context| update(kind, &current, value, Part::Main, context)).unwrap();
        assert_eq!(prepared.effect, Effect::Remove);
        snapshot.apply(&Transaction { ops: prepared.into_ops(kind, Precondition::Present) }).unwrap().0
    };
    let names = |snapshot: &Snapshot| -> Vec<String> {
        snapshot.list(&"internal.customnames".into(), None).map(|name| name.name().to_owned()).collect()
    };
    let without_loser = remove(&snapshot, "gadgets");
    assert_eq!(
        names(&without_loser),
        [
            "kind.Widget.shop.example.com",
            "kind.WidgetList.shop.example.com",
            "resource.widget.shop.example.com",
            "resource.widgets.shop.example.com"
        ]
    );
    assert!(names(&remove(&without_loser, "widgets")).is_empty());
}
