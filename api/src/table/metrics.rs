use serde_json::{Value, json};

use super::{Columns, NAME, array, name, str_of, text};

pub static NODEMETRICS: Columns = Columns {
    definitions: &[
        NAME,
        text("CPU", 0, "Processor time, in cores."),
        text("Memory", 0, "Memory in use."),
        text("Window", 0, "The time that the processor time is measured over."),
    ],
    row: |object, _| {
        let usage = &object["usage"];
        vec![name(object), usage["cpu"].clone(), usage["memory"].clone(), object["window"].clone()]
    },
};

/// As those of nodes; a pod uses what its containers do.
pub static PODMETRICS: Columns = Columns {
    definitions: &[
        NAME,
        text("CPU", 0, "Processor time, in cores."),
        text("Memory", 0, "Memory in use."),
        text("Window", 0, "The time that the processor time is measured over."),
    ],
    row: |object, _| {
        let total = |resource: &str, unit: &str| json!(total(&object["containers"], resource, unit));
        vec![name(object), total("cpu", "n"), total("memory", "Ki"), object["window"].clone()]
    },
};

/// Metrics are always told in the same units.
fn total(containers: &Value, resource: &str, unit: &str) -> String {
    let each = array(containers).map(|one| str_of(&one["usage"][resource]).trim_end_matches(unit).parse::<u64>());
    format!("{}{unit}", each.flatten().fold(0, u64::saturating_add))
}
