//! What the machine itself takes.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wasmk_e2e::wasmk_binary;

use crate::median;

/// Starting and ending the binary without doing anything.
pub(crate) fn process() -> Duration {
    let once = |_| {
        let started = Instant::now();
        let status = Command::new(wasmk_binary()).args(["version", "--client"]).stdout(Stdio::null()).status();
        assert!(status.expect("the binary runs").success());
        started.elapsed()
    };
    median((0..11).map(once).collect())
}

/// Starting and ending as many of the smallest processes, one after the other.
pub(crate) fn processes(count: u32) -> Duration {
    let started = Instant::now();
    for _ in 0..count {
        assert!(Command::new("true").status().expect("`true` runs").success());
    }
    started.elapsed()
}
