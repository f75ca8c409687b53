//! Which endpoint goes into which slice: as few writes as possible, then as few slices as needed.

use std::collections::BTreeMap;

use serde_json::Value;

/// Kubernetes' default for endpoints in one slice.
pub(super) const ENDPOINTS_A_SLICE_MAX: usize = 100;

/// Endpoints that share ports, by the uid of their pod.
pub(super) struct Wanted {
    pub(super) ports: Value,
    pub(super) endpoints: BTreeMap<String, Value>,
}

pub(super) struct Packed {
    /// For each existing slice its endpoints, or `None` if it is no longer needed.
    pub(super) existing: Vec<Option<Vec<Value>>>,
    /// Ports and endpoints of new slices.
    pub(super) created: Vec<(Value, Vec<Value>)>,
}

pub(super) fn pack(wanted: BTreeMap<String, Wanted>, slices: Vec<&Value>) -> Packed {
    let mut packed = Packed { existing: vec![None; slices.len()], created: Vec::new() };
    for group in wanted.into_values() {
        let mine: Vec<usize> = (0..slices.len()).filter(|at| slices[*at]["ports"] == group.ports).collect();
        pack_group(group, &mine, &slices, &mut packed);
    }
    packed
}

fn pack_group(mut group: Wanted, mine: &[usize], slices: &[&Value], packed: &mut Packed) {
    let mut kept: Vec<(usize, Vec<Value>, bool)> = Vec::new();
    for &at in mine {
        let old = slices[at]["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
        // Removing from the map also drops a pod that is in two slices from the second.
        let stay: Vec<Value> = old.iter().filter_map(|endpoint| group.endpoints.remove(uid(endpoint))).collect();
        let changed = stay != old;
        kept.push((at, stay, changed));
    }
    let mut new = group.endpoints.into_values().peekable();
    // Slices that are written anyway first, then the fullest, so that the emptiest can go one day.
    kept.sort_by_key(|(at, stay, changed)| (!*changed, std::cmp::Reverse(stay.len()), *at));
    for (at, mut endpoints, _) in kept {
        let room = ENDPOINTS_A_SLICE_MAX.saturating_sub(endpoints.len());
        endpoints.extend(new.by_ref().take(room));
        packed.existing[at] = (!endpoints.is_empty()).then_some(endpoints);
    }
    while new.peek().is_some() {
        packed.created.push((group.ports.clone(), new.by_ref().take(ENDPOINTS_A_SLICE_MAX).collect()));
    }
}

fn uid(endpoint: &Value) -> &str {
    endpoint["targetRef"]["uid"].as_str().unwrap_or_default()
}
