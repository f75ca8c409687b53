use std::time::{Duration, Instant};

use wasmk_e2e::{Cluster, condition, eventually, get};

use crate::{floor, median, ms, report};

const LIMIT: Duration = Duration::from_secs(120);

/// From starting `wasmk up` on an empty directory to its word that it is ready.
pub(crate) fn up(rounds: usize) {
    let took: Vec<Duration> = (0..rounds).map(|_| ready_after(&Cluster::up())).collect();
    report("wasmk up, empty data directory, to ready", median(took), "an empty run of the binary", floor::process());
}

/// What the process itself says of how long it took.
fn ready_after(cluster: &Cluster) -> Duration {
    let text = eventually(LIMIT, || {
        let log = cluster.server.log();
        let line = log.lines().find_map(|line| line.strip_prefix("wasmk is ready after "));
        line.map(str::to_owned).ok_or_else(|| "not ready".to_owned())
    });
    Duration::from_secs_f64(text.trim_end_matches(" s").parse().expect("a number of seconds"))
}

/// From `wasmk apply` of three replicas and a Service to the first 200 of its port; the first time the image is compiled too.
pub(crate) fn apply_to_first_answer(rounds: usize) {
    let cluster = Cluster::up();
    cluster.build("hello", "hello:v1");
    let url = cluster.url(0, 30080, "/");
    let mut took = Vec::new();
    for _ in 0..=rounds {
        let started = Instant::now();
        cluster.wasmk(&["apply", "-f", "manifests/hello.yaml"]);
        while !get(&url).is_ok_and(|answer| answer.status == 200) {
            assert!(started.elapsed() < LIMIT, "no answer:\n{}", cluster.server.log());
            std::thread::sleep(Duration::from_millis(1));
        }
        took.push(started.elapsed());
        cluster.wasmk(&["delete", "-f", "manifests/hello.yaml"]);
    }
    let floor = floor::process();
    report("apply to first 200, image compiled on the way", took.remove(0), "an empty run of the binary", floor);
    report("apply to first 200, image known", median(took), "an empty run of the binary", floor);
}

/// Scales to many replicas: time until all are ready, and memory of each.
pub(crate) fn replicas(count: u32) {
    for (app, manifest) in [("hello", "manifests/hello.yaml"), ("echo", "manifests/echo.yaml")] {
        let cluster = Cluster::up();
        cluster.build(app, &format!("{app}:v1"));
        cluster.wasmk(&["apply", "-f", manifest]);
        // What they ask for must fit on this machine, however many they are.
        let small = format!(
            "{{spec: {{template: {{spec: {{containers: [{{name: {app}, resources: {{requests: {{cpu: 1m, memory: 1Mi}}}}}}]}}}}}}}}"
        );
        cluster.wasmk(&["patch", &format!("deploy/{app}"), "-p", &small]);
        cluster.rolled_out(app);
        let before = resident_bytes(cluster.server.id());
        let started = Instant::now();
        cluster.wasmk(&["scale", &format!("deploy/{app}"), &format!("--replicas={count}")]);
        eventually(LIMIT, || {
            let ready = cluster.items(&format!("deploy/{app}"))[0]["status"]["readyReplicas"].as_u64().unwrap_or(0);
            if ready == u64::from(count) { Ok(()) } else { Err(format!("{ready} of {count} ready")) }
        });
        let took = started.elapsed();
        report(
            &format!("{app}: scale to {count} replicas, all ready"),
            took,
            &format!("{count} processes"),
            floor::processes(count),
        );
        let grown = resident_bytes(cluster.server.id()).saturating_sub(before);
        println!(
            "{:<52} {:>10.1} KiB (control plane, node and objects)",
            format!("{app}: memory of each further replica"),
            grown as f64 / 1024.0 / f64::from(count - 3)
        );
        println!(
            "{:<52} {:>10.2} ms",
            format!("{app}: start of each further replica"),
            ms(took) / f64::from(count - 3)
        );
        assert!(cluster.items("pods").iter().all(|pod| condition(pod, "Ready") == "True"));
    }
}

fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}
