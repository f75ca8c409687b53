//! Guests that misbehave: the node and its other pods do not notice, and each ends with a reason that a user understands.

use std::time::{Duration, Instant};

use serde_json::Value;
use wasmk_e2e::{Cluster, eventually, get};

#[test]
fn hostile_guests_hurt_nobody_but_themselves() {
    let mut cluster = Cluster::up();
    cluster.build("hello", "hello:v1");
    cluster.build("hostile", "hostile:v1");
    cluster.wasmk(&["apply", "-f", "manifests/hello.yaml"]);
    cluster.rolled_out("hello");
    let url = cluster.url(0, 30080, "/");
    cluster.get_ok(&url);
    cluster.wasmk(&["apply", "-f", "manifests/hostile.yaml"]);

    let memory = ended(&cluster, "hostile-memory");
    assert!(memory["reason"] == "OOMKilled" && memory["exitCode"] == 137, "{memory}");
    let crash = ended(&cluster, "hostile-crash");
    assert_eq!(crash["reason"], "Error", "{crash}");
    assert!(crash["message"].as_str().unwrap_or_default().contains("index out of bounds"), "{crash}");
    let recursion = ended(&cluster, "hostile-recurse");
    assert!(recursion["message"].as_str().unwrap_or_default().contains("stack"), "{recursion}");

    // The spinning and the flooding one go on, and everything else does too.
    for name in ["hostile-spin", "hostile-flood"] {
        cluster.wasmk(&["wait", &format!("pod/{name}"), "--for=condition=Ready", "--timeout", "60s"]);
    }
    let started = Instant::now();
    for _ in 0..50 {
        assert_eq!(get(&url).unwrap().status, 200);
    }
    let mean = started.elapsed() / 50;
    assert!(mean < Duration::from_millis(500), "a neighbour answers in {mean:?}");
    assert!(cluster.wasmk(&["logs", "hostile-flood", "--tail", "2"]).contains("of a flood"));
    let logs = cluster.data_dir();
    let kept = bytes_below(&logs, "hostile-flood");
    assert!(kept < 80 << 20, "{kept} bytes of logs are kept for one pod");

    let deleted = Instant::now();
    cluster.wasmk(&["delete", "-f", "manifests/hostile.yaml"]);
    assert!(deleted.elapsed() < Duration::from_secs(30), "deleting took {:?}", deleted.elapsed());
    assert!(cluster.server.is_running());
    assert_eq!(cluster.get_ok(&url).status, 200);
}

#[track_caller]
fn ended(cluster: &Cluster, pod: &str) -> Value {
    eventually(Duration::from_secs(60), || {
        let status = cluster.items(&format!("pod/{pod}")).pop().unwrap_or_default()["status"].clone();
        let ended = &status["containerStatuses"][0]["state"]["terminated"];
        if ended.is_object() { Ok(ended.clone()) } else { Err(format!("{pod}: {status}")) }
    })
}

/// The size of every file below `dir` whose path has `part` in it.
fn bytes_below(dir: &std::path::Path, part: &str) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path(), part),
        Ok(metadata) if entry.path().to_string_lossy().contains(part) => metadata.len(),
        _ => 0,
    });
    sizes.sum()
}
