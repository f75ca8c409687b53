//! Structured logs: a subscriber for [`tracing`] that writes one JSON object a line to standard output.
//!
//! ```json
//! {"time":"2026-03-01T12:00:00.123456Z","level":"warn","message":"slow answer","target":"shop::orders","order":17}
//! ```
//!
//! `time` (RFC 3339), `level` (`error`, `warn`, `info`, `debug`, `trace`), `message` and `target` are always there; the
//! fields of the event and of the spans that it is in stand beside them, the innermost winning. A field that has one of the
//! four names gets an underscore behind it. `wasmk logs --level warn` shows lines of at least that level, and every other
//! tool reads JSON.
//!
//! [`init`] is called by [`serve!`](crate::serve) for handlers; a program calls it first thing in `main`. A panic is logged
//! as an `error` line before it ends the guest. `LOG_LEVEL` says what is logged: `info` if it is not set, else a level, or
//! levels by target such as `warn,shop=debug`.

mod layer;
mod line;

use std::io::Write;
use std::str::FromStr;
use std::sync::Once;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

const LEVEL_VARIABLE: &str = "LOG_LEVEL";

/// Makes every `tracing` event of this guest a line of its log. Does nothing the second time, or when the guest has set a
/// subscriber of its own.
pub fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let wanted = std::env::var(LEVEL_VARIABLE).ok();
        let (targets, problem) = targets(wanted.as_deref());
        let subscriber = tracing_subscriber::registry().with(layer(print).with_filter(targets));
        if tracing::subscriber::set_global_default(subscriber).is_err() {
            return;
        }
        std::panic::set_hook(Box::new(|panic| {
            let at = panic.location().map(ToString::to_string).unwrap_or_default();
            let message = panic.payload_as_str().unwrap_or("panicked");
            tracing::error!(target: "panic", at, "{message}");
        }));
        if let Some(problem) = problem {
            tracing::warn!("{problem}");
        }
    });
}

/// The layer alone, for a guest that composes its own subscriber; `write` gets each line with its newline.
pub fn layer<S>(write: impl Fn(&str) + 'static) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    layer::JsonLayer::new(write)
}

/// What `LOG_LEVEL` asks for, and what is wrong with it.
fn targets(wanted: Option<&str>) -> (Targets, Option<String>) {
    let usual = Targets::new().with_default(LevelFilter::INFO);
    match wanted.map(str::trim).filter(|wanted| !wanted.is_empty()) {
        None => (usual, None),
        Some(wanted) => match Targets::from_str(wanted) {
            Ok(targets) => (targets, None),
            Err(_) => {
                let problem = format!(
                    "{LEVEL_VARIABLE}={wanted:?} is not understood, so it is info; set it to error, warn, info, debug or trace, \
                     or to levels by target such as warn,shop=debug"
                );
                (usual, Some(problem))
            }
        },
    }
}

/// One write a line, so that lines stay whole.
fn print(line: &str) {
    let mut stdout = std::io::stdout().lock();
    // A log that cannot be written is nobody's to hear of.
    let _ = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests;
