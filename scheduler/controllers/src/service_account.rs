//! The ServiceAccount `default` in each namespace; clients wait for it before they use a new one.

use std::collections::BTreeSet;

use serde_json::json;
use wasmk_api::{Change, Key};

use crate::{Clock, Controller, Plan, Reason, View};

pub(crate) const CONTROLLER: Controller = Controller {
    name: "serviceaccount",
    reads: &["namespaces", "serviceaccounts"],
    shows_refusals: false,
    affected,
    plan,
};

fn affected(_: &View, change: &Change, keys: &mut BTreeSet<Key>) {
    let object = &change.object;
    match object.key().resource.as_str() {
        "namespaces" => drop(keys.insert(object.key().clone())),
        _ if object.name() == "default" => drop(keys.insert(Key::new("namespaces", "", object.namespace()))),
        _ => {}
    }
}

fn plan(view: &View, key: &Key, _: &Clock) -> Plan {
    let mut plan = Plan::default();
    let active = view.get(key).is_some_and(|namespace| !namespace.is_deleting());
    if active && view.find("serviceaccounts", &key.name, "default").is_none() {
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": &*key.name},
        });
        plan.create("serviceaccounts", account, Reason::DefaultServiceAccount);
    }
    plan
}
