//! The ConfigMap `kube-root-ca.crt` in each namespace: by it pods know the API server for the real one.

use std::collections::BTreeSet;

use serde_json::json;
use wasmk_api::write::Part;
use wasmk_api::{Change, Key};

use crate::{Clock, Controller, Plan, Reason, View};

pub(crate) const CONTROLLER: Controller = Controller {
    name: "root-ca-certificate-publisher",
    reads: &["namespaces", "configmaps"],
    shows_refusals: false,
    affected,
    plan,
};

const NAME: &str = "kube-root-ca.crt";
const KEY: &str = "ca.crt";

fn affected(_: &View, change: &Change, keys: &mut BTreeSet<Key>) {
    let object = &change.object;
    match object.key().resource.as_str() {
        "namespaces" => drop(keys.insert(object.key().clone())),
        _ if object.name() == NAME => drop(keys.insert(Key::new("namespaces", "", object.namespace()))),
        _ => {}
    }
}

fn plan(view: &View, key: &Key, clock: &Clock) -> Plan {
    let (mut plan, certificate) = (Plan::default(), clock.settings.root_certificate.as_str());
    let active = view.get(key).is_some_and(|namespace| !namespace.is_deleting());
    if !active || certificate.is_empty() {
        return plan;
    }
    match view.find("configmaps", &key.name, NAME) {
        None => {
            let config_map = json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": NAME, "namespace": &*key.name},
                "data": {KEY: certificate},
            });
            plan.create("configmaps", config_map, Reason::RootCertificate);
        }
        Some(found) if found.value()["data"] != json!({KEY: certificate}) && !found.is_deleting() => {
            let mut value = found.value().clone();
            value["data"] = json!({KEY: certificate});
            plan.update(found, value, Part::Main, Reason::RootCertificate);
        }
        Some(_) => {}
    }
    plan
}
