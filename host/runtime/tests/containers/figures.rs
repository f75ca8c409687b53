//! Figures for the curious, not for CI: `cargo test -p wasmk-runtime --test containers -- --ignored --nocapture figures`.

use crate::support::*;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmk_runtime::*;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn spec() -> ContainerSpec {
    let (logs, _) = tokio::sync::mpsc::channel(1);
    ContainerSpec::new("guest", logs, Arc::new(NoNetwork))
}

fn roomy() -> Arc<Runtime> {
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("runtime-code");
    Runtime::new(RuntimeConfig::new(dir, Compiler::InProcess)).unwrap()
}

#[tokio::test]
#[ignore = "prints figures"]
async fn figures_of_starts() {
    let runtime = roomy();
    for (name, wasm) in [("p1", command_p1()), ("p2", command_p2())] {
        let program = prepare(&runtime, &wasm).await;
        let mut times = Vec::new();
        for _ in 0..300 {
            let mut spec = spec();
            spec.args = vec!["exit".into(), "0".into()];
            let start = Instant::now();
            runtime.start(&program, spec).await.unwrap().wait().await;
            times.push(start.elapsed());
        }
        println!("command {name}: start to exit {:?}", median(times));
    }
}

#[tokio::test]
#[ignore = "prints figures"]
async fn figures_of_calls() {
    let runtime = roomy();
    for (name, wasm) in [("p2", http_p2()), ("p3", http_p3())] {
        for per_instance_max in [1, 1000] {
            let program = prepare(&runtime, &wasm).await;
            let mut spec = spec();
            spec.requests.per_instance_max = per_instance_max;
            let container = runtime.start(&program, spec).await.unwrap();
            let http = container.http().unwrap();
            for _ in 0..100 {
                call(&http, "/").await.unwrap();
            }
            let before = container.usage().cpu_time;
            let times = async {
                let mut times = Vec::new();
                for _ in 0..1000 {
                    let start = Instant::now();
                    call(&http, "/").await.unwrap();
                    times.push(start.elapsed());
                }
                times
            };
            let median = median(times.await);
            let cpu = (container.usage().cpu_time - before) / 1000;
            println!("http {name}, {per_instance_max} requests an instance: {median:?} a call, guest CPU {cpu:?}");
        }
    }
}

#[tokio::test]
#[ignore = "prints figures"]
async fn figures_of_memory() {
    const REPLICAS: u64 = 1000;
    let runtime = roomy();
    for (name, wasm, args) in [("http", http_p2(), ""), ("sleeping command", command_p2(), "sleep")] {
        let program = prepare(&runtime, &wasm).await;
        let warm = runtime.start(&program, spec()).await.unwrap();
        let before = resident_bytes();
        let start = Instant::now();
        let mut replicas = Vec::new();
        for _ in 0..REPLICAS {
            let mut spec = spec();
            spec.args = vec![args.into()];
            replicas.push(runtime.start(&program, spec).await.unwrap());
        }
        let is_command = !args.is_empty();
        eventually("all run", || !is_command || replicas.iter().all(|one| one.usage().memory_bytes > 0)).await;
        let started = start.elapsed() / REPLICAS as u32;
        let each = resident_bytes().saturating_sub(before) / REPLICAS;
        println!("{name}: {each} bytes a replica, {started:?} each to start");
        drop((warm, replicas));
    }
}
