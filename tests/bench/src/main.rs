//! What a user waits for, each figure beside a floor that was measured in the same run on the same machine.
//!
//! `cargo build --release -p wasmk && WASMK_BIN=target/release/wasmk cargo run --release -p wasmk-bench`
//!
//! Machines are shared and noisy: read the ratios and medians, not single figures.

mod floor;
mod start;
mod throughput;

use std::time::Duration;

fn main() {
    let replicas = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1000);
    start::up(5);
    start::apply_to_first_answer(5);
    start::replicas(replicas);
    throughput::node_port(Duration::from_secs(5));
}

/// Prints a figure beside its floor.
fn report(what: &str, figure: Duration, floor_name: &str, floor: Duration) {
    let ratio = figure.as_secs_f64() / floor.as_secs_f64();
    println!("{what:<52} {:>10.2} ms   {ratio:>7.1} x {floor_name} ({:.2} ms)", ms(figure), ms(floor));
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}
