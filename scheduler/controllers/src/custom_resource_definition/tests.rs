use serde_json::{Value, json};
use wasmk_api::Key;

use crate::sim::Sim;

const CRDS: &str = "customresourcedefinitions.apiextensions.k8s.io";

fn definition(plural: &str, kind: &str) -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.shop.example.com")},
        "spec": {
            "group": "shop.example.com", "scope": "Namespaced", "names": {"plural": plural, "kind": kind},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}],
        },
    })
}

fn widget(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "shop.example.com/v1", "kind": "Widget",
        "metadata": {"name": name, "namespace": namespace}, "spec": {"size": 1},
    })
}

fn widgets() -> (Sim, Key, Key) {
    let mut sim = Sim::new();
    let crd = sim.put(CRDS, definition("widgets", "Widget"));
    let widget = sim.put("widgets.shop.example.com", widget("default", "a"));
    sim.settle();
    (sim, crd, widget)
}

#[test]
fn a_definition_goes_after_its_objects() {
    let (mut sim, crd, widget) = widgets();
    sim.edit(&widget, |widget| widget["metadata"]["finalizers"] = json!(["example.com/hold"]));
    sim.delete(&crd, None);
    sim.settle();
    let status = sim.get(&crd).value()["status"].clone();
    let terminating = status["conditions"].as_array().unwrap().iter().find(|one| one["type"] == "Terminating");
    assert_eq!(terminating.unwrap()["reason"], "InstanceDeletionInProgress");
    assert!(sim.get(&widget).is_deleting());
    sim.remove(&widget);
    sim.settle();
    assert!(sim.snapshot.get(&crd).is_none());
}

#[test]
fn a_namespace_goes_with_its_custom_objects() {
    let (mut sim, crd, _) = widgets();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}, "spec": {"finalizers": ["kubernetes"]}});
    let namespace = sim.put("namespaces", namespace);
    let inside = sim.put("widgets.shop.example.com", widget("shop", "b"));
    sim.delete(&namespace, None);
    sim.settle();
    assert!(sim.snapshot.get(&namespace).is_none() && sim.snapshot.get(&inside).is_none());
    assert!(sim.snapshot.get(&crd).is_some());
}

#[test]
fn what_a_custom_object_owns_goes_with_it() {
    let (mut sim, _, owner) = widgets();
    let reference =
        json!({"apiVersion": "shop.example.com/v1", "kind": "Widget", "name": "a", "uid": sim.get(&owner).uid()});
    let metadata = json!({"name": "owned", "namespace": "default", "ownerReferences": [reference]});
    let owned = sim.put("configmaps", json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}));
    sim.settle();
    assert!(sim.snapshot.get(&owned).is_some());
    sim.delete(&owner, None);
    sim.settle();
    assert!(sim.snapshot.get(&owned).is_none());
}

#[test]
fn names_that_are_given_up_go_to_who_waits() {
    let mut sim = Sim::new();
    let first = sim.put(CRDS, definition("widgets", "Widget"));
    let second = sim.put(CRDS, definition("gadgets", "Widget"));
    sim.settle();
    let established = |sim: &Sim, key: &Key| sim.get(key).value()["status"]["conditions"][1]["status"].clone();
    assert_eq!((established(&sim, &first), established(&sim, &second)), (json!("True"), json!("False")));
    sim.delete(&first, None);
    sim.settle();
    assert_eq!(established(&sim, &second), "True");
}
