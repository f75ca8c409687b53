//! What a Service has to itself in the whole cluster: its address and its node ports.
//!
//! Each is an internal object, put with `Precondition::Absent` in the Service's own transaction, so that two writers
//! can never both get one; the loser's commit conflicts, and a new attempt sees what is taken.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::{needs_cluster_ip, needs_node_ports};
use crate::write::{Context, Reservation};
use crate::{Cause, Key, Reason, Snapshot, Status};

const CLUSTER_IPS: &str = "internal.clusterips";
const NODE_PORTS: &str = "internal.nodeports";

/// Fills in the addresses and ports of `service` and says what to reserve and give back. A null `service` gives back
/// all that `old` has.
pub(super) fn reserve(service: &mut Value, old: Option<&Value>, context: &Context) -> Result<Reservation, Status> {
    let before = old.map(held).unwrap_or_default();
    let name = service["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    if service.is_object() {
        let chance = chance(context);
        cluster_ip(&mut service["spec"], &before, chance, context)
            .and_then(|()| node_ports(&mut service["spec"], &before, chance, context))
            .map_err(|refusal| refusal.into_status(&name))?;
    }
    let after = held(service);
    let taken = after.difference(&before).cloned().collect();
    let released = before.difference(&after).cloned().collect();
    Ok(Reservation { taken, released })
}

enum Refusal {
    Invalid(Cause),
    /// Nothing is left.
    Exhausted(&'static str),
}

impl Refusal {
    fn into_status(self, name: &str) -> Status {
        match self {
            Self::Invalid(cause) => Status::invalid("Service", "", name, vec![cause]),
            Self::Exhausted(what) => Status::new(Reason::InternalError, what),
        }
    }
}

/// The keys that a Service as it stands has reserved.
fn held(service: &Value) -> BTreeSet<Key> {
    let spec = &service["spec"];
    let mut keys = BTreeSet::new();
    if let Some(ip) = spec["clusterIP"].as_str().filter(|ip| !ip.is_empty() && needs_cluster_ip(spec)) {
        keys.insert(Key::new(CLUSTER_IPS, "", ip));
    }
    for port in spec["ports"].as_array().into_iter().flatten() {
        if let Some(number) = port["nodePort"].as_i64().filter(|number| *number != 0) {
            keys.insert(Key::new(NODE_PORTS, "", &number.to_string()));
        }
    }
    keys
}

fn cluster_ip(spec: &mut Value, before: &BTreeSet<Key>, chance: u64, context: &Context) -> Result<(), Refusal> {
    if !needs_cluster_ip(spec) {
        if spec["clusterIP"] == "None" {
            spec["clusterIPs"] = json!(["None"]);
        }
        return Ok(());
    }
    let asked = spec["clusterIP"].as_str().unwrap_or_default().to_owned();
    if asked.is_empty() {
        let ip = free_ip(chance, context).ok_or(Refusal::Exhausted("failed to allocate a serviceIP: range is full"))?;
        spec["clusterIP"] = json!(ip);
        spec["clusterIPs"] = json!([ip]);
        return Ok(());
    }
    let key = Key::new(CLUSTER_IPS, "", &asked);
    if before.contains(&key) {
        return Ok(());
    }
    let why = if !in_network(&asked, context) {
        let (network, bits) = context.settings.service_network;
        format!("the provided IP ({asked}) is not in the valid range. The range of valid IPs is {network}/{bits}")
    } else if context.snapshot.get(&key).is_some() {
        "provided IP is already allocated".to_owned()
    } else {
        return Ok(());
    };
    let detail = format!("failed to allocate IP {asked}: {why}");
    Err(Refusal::Invalid(Cause::invalid("spec.clusterIPs", &json!([asked]), &detail)))
}

/// Hosts of the network, without its own and its broadcast address.
fn hosts(context: &Context) -> (u32, u64) {
    let (network, bits) = context.settings.service_network;
    let size = 1u64 << (32 - u32::from(bits.min(30)));
    (u32::from(network) + 1, size - 2)
}

fn free_ip(chance: u64, context: &Context) -> Option<String> {
    let (first, count) = hosts(context);
    let candidates = (0..count).map(|step| (chance.wrapping_add(step) % count) as u32);
    let mut addresses = candidates.map(|offset| Ipv4Addr::from(first + offset).to_string());
    addresses.find(|ip| is_free(context.snapshot, CLUSTER_IPS, ip))
}

fn in_network(ip: &str, context: &Context) -> bool {
    let (first, count) = hosts(context);
    let address = ip.parse::<Ipv4Addr>().map(u32::from);
    address.is_ok_and(|address| address >= first && u64::from(address - first) < count)
}

fn node_ports(spec: &mut Value, before: &BTreeSet<Key>, chance: u64, context: &Context) -> Result<(), Refusal> {
    let wanted = needs_node_ports(spec);
    let mut taken: BTreeSet<u16> = BTreeSet::new();
    let explicit = spec["ports"].as_array().into_iter().flatten().filter_map(|port| port["nodePort"].as_u64());
    taken.extend(explicit.filter_map(|port| u16::try_from(port).ok()));
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten();
    for (index, port) in ports.enumerate() {
        let asked = port["nodePort"].as_i64().unwrap_or(0);
        if asked == 0 {
            if wanted {
                let free = free_port(chance, &taken, context)
                    .ok_or(Refusal::Exhausted("failed to allocate a nodePort: range is full"))?;
                taken.insert(free);
                port["nodePort"] = json!(free);
            }
            continue;
        }
        let key = Key::new(NODE_PORTS, "", &asked.to_string());
        if before.contains(&key) {
            continue;
        }
        let range = &context.settings.node_ports;
        let why = if !u16::try_from(asked).is_ok_and(|port| range.contains(&port)) {
            let (start, end) = (range.start(), range.end());
            format!("provided port is not in the valid range. The range of valid ports is {start}-{end}")
        } else if context.snapshot.get(&key).is_some() {
            "provided port is already allocated".to_owned()
        } else {
            continue;
        };
        let field = format!("spec.ports[{index}].nodePort");
        return Err(Refusal::Invalid(Cause::invalid(field, &json!(asked), &why)));
    }
    Ok(())
}

fn free_port(chance: u64, taken: &BTreeSet<u16>, context: &Context) -> Option<u16> {
    let range = &context.settings.node_ports;
    let count = u64::from(range.end().saturating_sub(*range.start())) + 1;
    let candidates = (0..count).map(|step| (chance.wrapping_add(step) % count) as u16);
    let mut ports = candidates.map(|offset| range.start() + offset);
    ports.find(|port| !taken.contains(port) && is_free(context.snapshot, NODE_PORTS, &port.to_string()))
}

fn is_free(snapshot: &Snapshot, resource: &str, name: &str) -> bool {
    snapshot.get(&Key::new(resource, "", name)).is_none()
}

/// Where to begin looking, so that two Services seldom want the same.
fn chance(context: &Context) -> u64 {
    let mut hasher = DefaultHasher::new();
    (context.name_suffix)().hash(&mut hasher);
    hasher.finish()
}
