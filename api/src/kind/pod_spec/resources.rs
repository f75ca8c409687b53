use serde_json::Value;

use crate::field::{Faults, Field};
use crate::{Quantity, names};

/// Requests and limits of a container. That they are quantities at all was seen when they were decoded.
pub(super) fn validate(resources: &Field, faults: &mut Faults) {
    let (limits, requests) = (resources.get("limits"), resources.get("requests"));
    for map in [&limits, &requests] {
        for (name, value) in map.entries() {
            let field = Field { path: map.key_path(name), value };
            resource_name(&field, name, faults);
            if Quantity::from_value(value).is_ok_and(|quantity| quantity.is_negative()) {
                faults.invalid(&field, "must be greater than or equal to 0");
            }
        }
    }
    for (name, value) in requests.entries() {
        let Some(limit) = limits.value.get(name) else { continue };
        if let (Ok(wanted), Ok(most)) = (Quantity::from_value(value), Quantity::from_value(limit))
            && wanted > most
        {
            let detail = format!("must be less than or equal to {name} limit of {most}");
            faults.invalid(&Field { path: requests.path.clone(), value }, &detail);
        }
    }
}

fn resource_name(field: &Field, name: &str, faults: &mut Faults) {
    let known = matches!(name, "cpu" | "memory" | "ephemeral-storage" | "storage") || name.starts_with("hugepages-");
    if !known && !name.contains('/') {
        let shown = Value::String(name.to_owned());
        let field = Field { path: field.path.clone(), value: &shown };
        faults.invalid(&field, "must be a standard resource type or fully qualified");
    } else {
        let found = names::check_qualified_name(name);
        faults.causes.extend(names::causes(&field.path, name, found));
    }
}

/// `Guaranteed`, `Burstable` or `BestEffort`. Source: `ComputePodQOS`.
pub(in crate::kind) fn qos_class(spec: &Value) -> &'static str {
    let containers = ["initContainers", "containers"].into_iter();
    let containers: Vec<&Value> =
        containers.flat_map(|list| spec[list].as_array().into_iter().flatten()).map(|one| &one["resources"]).collect();
    let amount = |resources: &Value, half: &str, name: &str| {
        Quantity::from_value(&resources[half][name]).ok().filter(|quantity| !quantity.is_zero())
    };
    let mut names = [("requests", "cpu"), ("requests", "memory"), ("limits", "cpu"), ("limits", "memory")].into_iter();
    if names.all(|(half, name)| containers.iter().all(|one| amount(one, half, name).is_none())) {
        return "BestEffort";
    }
    let guaranteed = containers.iter().all(|one| {
        ["cpu", "memory"].iter().all(|name| {
            let limit = amount(one, "limits", name);
            limit.is_some() && amount(one, "requests", name).is_none_or(|request| Some(request) == limit)
        })
    });
    if guaranteed { "Guaranteed" } else { "Burstable" }
}
