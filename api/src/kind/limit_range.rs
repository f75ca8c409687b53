use serde_json::Value;

use super::Kind;
use crate::Quantity;
use crate::field::{Faults, Field};

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["limits"],
        default: |range, _| {
            let limits = range.get_mut("spec").and_then(|spec| spec.get_mut("limits")).and_then(Value::as_array_mut);
            limits.into_iter().flatten().filter(|limit| limit["type"] == "Container").for_each(default_container);
        },
        validate: |range, faults| {
            range.get("spec").get("limits").items().for_each(|limit| validate(&limit, faults));
        },
        inert: Some("nothing acts on LimitRanges: limits are those of the containers"),
        ..Kind::plain("", "v1", "LimitRange", "LimitRangeList", "limitranges", "limitrange")
    }
}

/// Source: `SetDefaults_LimitRangeItem`: the limit is the most, the request the limit, else the least.
fn default_container(limit: &mut Value) {
    for (target, source) in [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")] {
        let Some(given) = limit[source].as_object().cloned() else { continue };
        for (resource, quantity) in given {
            if limit[target][&resource].is_null() {
                limit[target][resource] = quantity;
            }
        }
    }
}

fn validate(limit: &Field, faults: &mut Faults) {
    faults.require(&limit.get("type"), "");
    if limit.get("type").text() == "Pod" {
        for field in ["default", "defaultRequest"].map(|name| limit.get(name)).iter().filter(|field| !field.is_empty())
        {
            faults.forbid(&field.path, "may not be specified when `type` is 'Pod'");
        }
    }
    for (low, high, text) in [
        ("min", "max", "min value"),
        ("min", "defaultRequest", "min value"),
        ("min", "default", "min value"),
        ("defaultRequest", "max", "default request value"),
        ("defaultRequest", "default", "default request value"),
        ("default", "max", "default value"),
    ] {
        for (resource, value) in limit.get(low).entries() {
            let above = &limit.value[high][resource];
            let (Ok(less), Ok(more)) = (Quantity::from_value(value), Quantity::from_value(above)) else { continue };
            if !above.is_null() && less > more {
                let field = Field { path: limit.get(low).key_path(resource), value };
                let (less, more) = (plain(value), plain(above));
                faults.invalid(&field, &format!("{text} {less} is greater than {} value {more}", named(high)));
            }
        }
    }
}

fn named(field: &str) -> &str {
    if field == "defaultRequest" { "default request" } else { field }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
