//! What a pod's containers should do next: plain values and functions, no clock, no task, no I/O.

mod settings;

pub use settings::{Backoff, Settings};
