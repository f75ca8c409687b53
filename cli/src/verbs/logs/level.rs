//! How severe a line of a structured log is.

use clap::ValueEnum;
use serde_json::Value;

/// From the least severe on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum)]
pub(super) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// What loggers call the field: wasmk's SDK, slog, zap and pino; Stackdriver; zerolog's short form.
const FIELDS: [&str; 3] = ["level", "severity", "lvl"];

/// Of a line that may begin with a time. A line that is no JSON object, or has no level, is as `info`.
pub(super) fn level_of(line: &str) -> Level {
    let object = line.find('{').and_then(|start| serde_json::from_str::<Value>(&line[start..]).ok());
    let stated = object.as_ref().and_then(|object| FIELDS.iter().find_map(|field| object.get(field)));
    stated.and_then(read).unwrap_or(Level::Info)
}

fn read(stated: &Value) -> Option<Level> {
    match stated {
        Value::String(word) => match word.to_ascii_lowercase().as_str() {
            "trace" => Some(Level::Trace),
            "debug" => Some(Level::Debug),
            "info" | "notice" => Some(Level::Info),
            "warn" | "warning" => Some(Level::Warn),
            "error" | "err" | "fatal" | "panic" | "critical" | "alert" | "emergency" => Some(Level::Error),
            _ => None,
        },
        // Of pino and bunyan.
        Value::Number(number) => Some(match number.as_u64()? {
            ..20 => Level::Trace,
            20..30 => Level::Debug,
            30..40 => Level::Info,
            40..50 => Level::Warn,
            _ => Level::Error,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_read_as_common_loggers_write_it() {
        for (line, level) in [
            (r#"{"time":"t","level":"warn","message":"m"}"#, Level::Warn),
            (r#"2026-03-01T12:00:00Z {"severity":"CRITICAL"}"#, Level::Error),
            (r#"{"level":20,"msg":"m"}"#, Level::Debug),
            (r#"{"level":60}"#, Level::Error),
            (r#"{"lvl":"dbug"}"#, Level::Info),
            (r#"{"message":"no level"}"#, Level::Info),
            (r#"{"level":"error""#, Level::Info),
            ("plain text with level error", Level::Info),
            ("", Level::Info),
        ] {
            assert_eq!(level_of(line), level, "{line}");
        }
    }
}
