use std::time::SystemTime;

use serde_json::{Map, Value};
use tracing::Level;
use tracing::field::{Field, Visit};

/// What every line has, in this order.
const RESERVED: [&str; 4] = ["time", "level", "message", "target"];

/// Fields of an event or a span, as they are recorded.
#[derive(Clone, Default, Debug)]
pub(super) struct Fields {
    pub(super) message: String,
    pub(super) others: Map<String, Value>,
}

impl Fields {
    fn insert(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) if RESERVED.contains(&name) => drop(self.others.insert(format!("{name}_"), value)),
            (name, value) => drop(self.others.insert(name.to_owned(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.insert(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value.into());
    }

    /// With its causes: `read settings: permission denied`.
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let causes = std::iter::successors(Some(value), |error| error.source());
        self.insert(field, causes.map(ToString::to_string).collect::<Vec<_>>().join(": ").into());
    }
}

/// The line with its newline. JSON has no bare newlines, so an event is always one line.
pub(super) fn encode(time: SystemTime, level: Level, target: &str, fields: Fields) -> String {
    let head = [
        ("time", humantime::format_rfc3339_micros(time).to_string()),
        ("level", level.as_str().to_ascii_lowercase()),
        ("message", fields.message),
        ("target", target.to_owned()),
    ];
    let mut line = String::from("{");
    for (name, text) in head {
        if line.len() > 1 {
            line.push(',');
        }
        line.push_str(&format!("\"{name}\":{}", Value::from(text)));
    }
    for (name, value) in fields.others {
        line.push_str(&format!(",{}:{value}", Value::from(name)));
    }
    line.push_str("}\n");
    line
}
