//! A program that works until it is to end, then finishes what it has in hand.

use std::time::Duration;

use wasmk_sdk::shutdown::Shutdown;
use wasmk_sdk::{logs, tracing};

/// `#[wstd::main]` does the same for a crate that depends on wstd itself.
fn main() {
    logs::init();
    wasmk_sdk::block_on(work());
}

async fn work() {
    let shutdown = Shutdown::listen();
    tracing::info!("started");
    let mut jobs = 0;
    while let Some(job) = shutdown.or(next_job(jobs + 1)).await {
        jobs = job;
        tracing::debug!(job, "done");
    }
    // Here a real one gives its lease back, or writes down how far it came.
    std::fs::write("/data/jobs", format!("{jobs}\n"))
        .unwrap_or_else(|error| tracing::error!(%error, "write /data/jobs"));
    tracing::info!(jobs, "ended in order");
}

async fn next_job(number: u64) -> u64 {
    wasmk_sdk::sleep(Duration::from_millis(20)).await;
    number
}
