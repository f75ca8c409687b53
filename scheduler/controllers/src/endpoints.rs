//! Endpoints, the old form of EndpointSlices, for clients that still read or write them: those of a Service are made from
//! its slices, and those that somebody wrote for a Service without selector become slices.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use wasmk_api::write::Part;
use wasmk_api::{Change, Key, Object};

use crate::endpoint_slice::SERVICE_LABEL;
use crate::json::controller_reference;
use crate::view::IndexKey;
use crate::{Clock, Controller, Plan, Reason, View, namespace};

pub(crate) const CONTROLLER: Controller =
    Controller { name: "endpoints", reads: &["services", SLICES, ENDPOINTS], shows_refusals: false, affected, plan };

const ENDPOINTS: &str = "endpoints";
const SLICES: &str = "endpointslices.discovery.k8s.io";
/// Endpoints that are made here; others are somebody's own.
const MANAGED_LABEL: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";
/// Slices that are made here.
const MIRROR_LABEL: &str = "endpointslice.kubernetes.io/managed-by";
const MIRROR: &str = "endpointslicemirroring-controller.k8s.io";
const CHANGED_AT: &str = "endpoints.kubernetes.io/last-change-trigger-time";
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
/// As in Kubernetes: the object holds all addresses, and each change writes all of it.
const ADDRESSES_MAX: usize = 1000;
/// While many pods come and go, nobody needs each step in the old form.
const PAUSE: SignedDuration = SignedDuration::from_secs(1);

fn affected(_: &View, change: &Change, keys: &mut BTreeSet<Key>) {
    let versions = [Some(&change.object), change.previous.as_ref()].into_iter().flatten();
    match change.object.key().resource.as_str() {
        SLICES => {
            let services = versions.filter_map(|slice| Some((slice.namespace(), slice.label(SERVICE_LABEL)?)));
            keys.extend(services.map(|(namespace, name)| Key::new("services", namespace, name)));
        }
        _ => drop(keys.insert(Key::new("services", change.object.namespace(), change.object.name()))),
    }
}

fn plan(view: &View, key: &Key, clock: &Clock) -> Plan {
    let mut plan = Plan::default();
    let found = view.find(ENDPOINTS, &key.namespace, &key.name).map(AsRef::as_ref);
    let slices = view.indexed(&IndexKey::service(&key.namespace, &key.name)).map(AsRef::as_ref);
    let (mirrors, slices): (Vec<&Object>, Vec<&Object>) =
        slices.filter(|slice| !slice.is_deleting()).partition(|slice| slice.label(MIRROR_LABEL) == Some(MIRROR));
    let service = view.get(key).filter(|service| !service.is_deleting()).map(AsRef::as_ref);
    let written = found.filter(|endpoints| !is_managed(endpoints));
    let Some(service) = service.filter(|service| service.value()["spec"]["type"] != "ExternalName") else {
        let managed = found.filter(|endpoints| is_managed(endpoints));
        managed.into_iter().chain(mirrors).for_each(|gone| plan.delete(gone, Reason::NoEndpointsLeft));
        return plan;
    };
    let is_selecting = service.value()["spec"]["selector"].is_object();
    if is_selecting || !slices.is_empty() {
        mirrors.into_iter().for_each(|mirror| plan.delete(mirror, Reason::NoEndpointsLeft));
        plan_endpoints(view, service, found, &slices, clock, &mut plan);
    } else {
        plan_mirrors(view, service, written, &mirrors, &mut plan);
    }
    plan
}

fn is_managed(endpoints: &Object) -> bool {
    endpoints.label(MANAGED_LABEL) == Some(MANAGER)
}

fn plan_endpoints(
    view: &View,
    service: &Object,
    found: Option<&Object>,
    slices: &[&Object],
    clock: &Clock,
    plan: &mut Plan,
) {
    let (subsets, truncated) = subsets(slices);
    match found {
        None if namespace::is_terminating(view, service.namespace()) => {}
        None => plan.create(ENDPOINTS, endpoints(service, subsets, truncated, clock), Reason::EndpointsChanged),
        // Somebody's own stay theirs.
        Some(found) if !is_managed(found) => {}
        Some(found) if *json_or_empty(&found.value()["subsets"]) == subsets => {}
        Some(found) => match paused_until(found, clock).filter(|until| *until > clock.now) {
            Some(until) => plan.wake(until),
            None => {
                let mut value = found.value().clone();
                let fresh = endpoints(service, subsets, truncated, clock);
                value["subsets"] = fresh["subsets"].clone();
                value["metadata"]["annotations"] = fresh["metadata"]["annotations"].clone();
                plan.update(found, value, Part::Main, Reason::EndpointsChanged);
            }
        },
    }
}

fn json_or_empty(value: &Value) -> &Value {
    static EMPTY: std::sync::LazyLock<Value> = std::sync::LazyLock::new(|| json!([]));
    if value.is_null() { &EMPTY } else { value }
}

/// `None` for what is no time: anybody may write the annotation. Nor does one in the future hold up a write.
fn paused_until(endpoints: &Object, clock: &Clock) -> Option<Timestamp> {
    let changed_at: Timestamp = endpoints.annotation(CHANGED_AT)?.parse().ok()?;
    if changed_at > clock.now { None } else { changed_at.checked_add(PAUSE).ok() }
}

fn endpoints(service: &Object, subsets: Value, truncated: bool, clock: &Clock) -> Value {
    let mut labels = match &service.metadata()["labels"] {
        Value::Object(labels) => Value::Object(labels.clone()),
        _ => json!({}),
    };
    labels[MANAGED_LABEL] = json!(MANAGER);
    let mut annotations = json!({CHANGED_AT: clock.stamp()});
    if truncated {
        annotations[OVER_CAPACITY] = json!("truncated");
    }
    json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {
            "name": service.name(), "namespace": service.namespace(), "labels": labels, "annotations": annotations,
        },
        "subsets": subsets,
    })
}

/// One subset for all slices of the same ports; and whether addresses were left out.
fn subsets(slices: &[&Object]) -> (Value, bool) {
    let mut by_ports: BTreeMap<String, (Value, [BTreeMap<String, Value>; 2])> = BTreeMap::new();
    let (mut count, mut truncated) = (0, false);
    for slice in slices {
        let ports = slice.value()["ports"].clone();
        let (_, [ready, unready]) = by_ports.entry(ports.to_string()).or_insert_with(|| (ports, Default::default()));
        for endpoint in slice.value()["endpoints"].as_array().into_iter().flatten() {
            let Some(ip) = endpoint["addresses"][0].as_str() else { continue };
            if count == ADDRESSES_MAX {
                truncated = true;
                continue;
            }
            count += 1;
            let list = if endpoint["conditions"]["ready"] == false { &mut *unready } else { &mut *ready };
            list.insert(ip.to_owned(), address(ip, endpoint));
        }
    }
    let subsets = by_ports.into_values().filter_map(|(ports, lists)| subset(ports, lists));
    (subsets.collect(), truncated)
}

fn subset(ports: Value, [ready, unready]: [BTreeMap<String, Value>; 2]) -> Option<Value> {
    let mut subset = json!({});
    for (field, list) in [("addresses", ready), ("notReadyAddresses", unready)] {
        if !list.is_empty() {
            subset[field] = list.into_values().collect();
        }
    }
    if subset.as_object().is_none_or(|fields| fields.is_empty()) {
        return None;
    }
    let ports: Vec<Value> = ports.as_array().into_iter().flatten().map(named_port).collect();
    if !ports.is_empty() {
        subset["ports"] = json!(ports);
    }
    Some(subset)
}

/// A port without a name has an empty one in slices, and none here.
fn named_port(port: &Value) -> Value {
    let mut kept = json!({});
    for field in ["appProtocol", "name", "port", "protocol"] {
        if !port[field].is_null() && port[field] != "" {
            kept[field] = port[field].clone();
        }
    }
    kept
}

fn address(ip: &str, endpoint: &Value) -> Value {
    let mut address = json!({"ip": ip});
    for field in ["hostname", "nodeName", "targetRef"] {
        if !endpoint[field].is_null() {
            address[field] = endpoint[field].clone();
        }
    }
    address
}

fn plan_mirrors(view: &View, service: &Object, written: Option<&Object>, mirrors: &[&Object], plan: &mut Plan) {
    let subsets = written.and_then(|endpoints| endpoints.value()["subsets"].as_array());
    let wanted: Vec<Value> = subsets
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(index, subset)| mirror(service, written.unwrap_or(service), index, subset))
        .collect();
    for gone in mirrors.iter().filter(|mirror| !wanted.iter().any(|one| one["metadata"]["name"] == mirror.name())) {
        plan.delete(gone, Reason::NoEndpointsLeft);
    }
    for wanted in wanted {
        let found = mirrors.iter().find(|mirror| wanted["metadata"]["name"] == mirror.name());
        let Some(found) = found else {
            if !namespace::is_terminating(view, service.namespace()) {
                plan.create(SLICES, wanted, Reason::EndpointsChanged);
            }
            continue;
        };
        let mut value = found.value().clone();
        for field in ["endpoints", "ports"] {
            value[field] = wanted[field].clone();
        }
        plan.update(found, value, Part::Main, Reason::EndpointsChanged);
    }
}

fn mirror(service: &Object, owner: &Object, index: usize, subset: &Value) -> Value {
    let endpoints = |field: &str, ready: bool| {
        let addresses = subset[field].as_array().into_iter().flatten().take(ADDRESSES_MAX);
        addresses.map(move |address| mirrored(address, ready)).collect::<Vec<_>>()
    };
    let endpoints: Vec<Value> = endpoints("addresses", true)
        .into_iter()
        .chain(endpoints("notReadyAddresses", false))
        .take(ADDRESSES_MAX)
        .collect();
    let ports: Vec<Value> = subset["ports"].as_array().into_iter().flatten().map(slice_port).collect();
    let is_ipv6 = endpoints.iter().any(|one| one["addresses"][0].as_str().is_some_and(|ip| ip.contains(':')));
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{}-mirrored-{index}", service.name()), "namespace": service.namespace(),
            "labels": {SERVICE_LABEL: service.name(), MIRROR_LABEL: MIRROR},
            "ownerReferences": [controller_reference(owner)],
        },
        "addressType": if is_ipv6 { "IPv6" } else { "IPv4" }, "ports": ports, "endpoints": endpoints,
    })
}

fn slice_port(port: &Value) -> Value {
    let mut port = port.clone();
    if port["name"].is_null() {
        port["name"] = json!("");
    }
    port
}

fn mirrored(address: &Value, ready: bool) -> Value {
    let mut endpoint = json!({"addresses": [address["ip"]], "conditions": {"ready": ready}});
    for field in ["hostname", "nodeName", "targetRef"] {
        if !address[field].is_null() {
            endpoint[field] = address[field].clone();
        }
    }
    endpoint
}

#[cfg(test)]
mod tests;
