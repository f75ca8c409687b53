//! EndpointSlice: where the pods of a Service can be reached.
//! Sources of the rules: `k8s.io/endpointslice/reconciler.go` and `utils.go`.
//!
//! Pods on the same ports share slices. A slice that has room takes new endpoints, and one whose endpoints did not change is
//! not written. Deliberately absent: topology hints, IPv6, the empty placeholder slice of a Service without pods.

mod endpoint;
mod pack;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use wasmk_api::{Change, Key, Object, Selector};

use crate::json::controller_reference;
use crate::view::IndexKey;
use crate::{Clock, Controller, Plan, Reason, View, names, namespace};
use wasmk_api::write::Part;

pub(crate) const CONTROLLER: Controller =
    Controller { name: "endpointslice", reads: &["services", RESOURCE, "pods"], shows_refusals: false, affected, plan };

pub(crate) const SERVICE_LABEL: &str = "kubernetes.io/service-name";
const RESOURCE: &str = "endpointslices.discovery.k8s.io";
const MANAGED_BY_LABEL: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.wasmk.dev";
const HEADLESS_LABEL: &str = "service.kubernetes.io/headless";

fn affected(view: &View, change: &Change, keys: &mut BTreeSet<Key>) {
    let versions = || [Some(&change.object), change.previous.as_ref()].into_iter().flatten();
    match change.object.key().resource.as_str() {
        "services" => drop(keys.insert(change.object.key().clone())),
        RESOURCE => {
            let services = versions().filter_map(|slice| Some((slice.namespace(), slice.label(SERVICE_LABEL)?)));
            keys.extend(services.map(|(namespace, name)| Key::new("services", namespace, name)));
        }
        _ => versions().for_each(|pod| keys.extend(view.selecting("services", pod).cloned())),
    }
}

fn plan(view: &View, key: &Key, _: &Clock) -> Plan {
    let mut plan = Plan::default();
    let service_key = IndexKey::service(&key.namespace, &key.name);
    let slices: Vec<&Object> = view
        .indexed(&service_key)
        .map(|slice| &**slice)
        .filter(|slice| is_ours(slice) && !slice.is_deleting())
        .collect();
    let service = view.get(key).filter(|service| !service.is_deleting());
    let Some(service) = service else {
        slices.into_iter().for_each(|slice| plan.delete(slice, Reason::NoEndpointsLeft));
        return plan;
    };
    if service.value()["spec"]["type"] == "ExternalName" || service.value()["spec"]["selector"].is_null() {
        return plan;
    }
    let wanted = wanted_endpoints(view, service);
    let packed = pack::pack(wanted, slices.iter().map(|slice| slice.value()).collect());
    plan_slices(view, service, &slices, packed, &mut plan);
    plan
}

/// What every slice should say, by ports.
fn wanted_endpoints(view: &View, service: &Object) -> BTreeMap<String, pack::Wanted> {
    let mut wanted: BTreeMap<String, pack::Wanted> = BTreeMap::new();
    for pod in view.selected("pods", service.namespace(), &selector(service)) {
        if let Some(endpoint) = endpoint::endpoint(view, service, pod) {
            let ports = endpoint::ports(service, pod);
            let group =
                wanted.entry(ports.to_string()).or_insert_with(|| pack::Wanted { ports, endpoints: BTreeMap::new() });
            group.endpoints.insert(pod.uid().to_owned(), endpoint);
        }
    }
    wanted
}

fn plan_slices(view: &View, service: &Object, slices: &[&Object], packed: pack::Packed, plan: &mut Plan) {
    for (slice, endpoints) in slices.iter().zip(packed.existing) {
        match endpoints {
            Some(endpoints) => {
                plan.update(slice, with_endpoints(service, slice, endpoints), Part::Main, Reason::EndpointsChanged)
            }
            None => plan.delete(slice, Reason::NoEndpointsLeft),
        }
    }
    if namespace::is_terminating(view, service.namespace()) {
        return;
    }
    let seed = names::seed(service.uid(), view.snapshot().revision());
    let names = (0..).map(|nth| names::generated(service.name(), seed, nth));
    let free = names.filter(|name| view.find(RESOURCE, service.namespace(), name).is_none());
    for (name, (ports, endpoints)) in free.zip(packed.created) {
        plan.create(RESOURCE, new_slice(service, &name, ports, endpoints), Reason::EndpointsChanged);
    }
}

fn selector(service: &Object) -> Selector {
    let pairs = service.value()["spec"]["selector"].as_object().into_iter().flatten();
    Selector::from_map(pairs.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))))
}

fn is_ours(slice: &Object) -> bool {
    slice.label(MANAGED_BY_LABEL) == Some(MANAGER)
}

fn new_slice(service: &Object, name: &str, ports: Value, endpoints: Vec<Value>) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": name, "generateName": format!("{}-", service.name()), "namespace": service.namespace(),
            "labels": labels(service), "ownerReferences": [controller_reference(service)],
        },
        "addressType": "IPv4", "ports": ports, "endpoints": endpoints,
    })
}

fn with_endpoints(service: &Object, slice: &Object, endpoints: Vec<Value>) -> Value {
    let mut value = slice.value().clone();
    value["endpoints"] = Value::Array(endpoints);
    value["metadata"]["labels"] = labels(service);
    value
}

/// The Service's own labels, and those that say whose slice this is.
fn labels(service: &Object) -> Value {
    let mut labels = match &service.metadata()["labels"] {
        Value::Object(labels) => Value::Object(labels.clone()),
        _ => json!({}),
    };
    labels[SERVICE_LABEL] = json!(service.name());
    labels[MANAGED_BY_LABEL] = json!(MANAGER);
    if service.value()["spec"]["clusterIP"] == "None" {
        labels[HEADLESS_LABEL] = json!("");
    }
    labels
}
