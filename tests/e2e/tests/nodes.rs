//! Several nodes, each a process with an address of its own: spread, requests across nodes, loss of an agent, loss of
//! the server.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use wasmk_e2e::{Cluster, Load, condition, eventually, get};

#[test]
fn three_nodes_spread_serve_and_survive() {
    let mut cluster = Cluster::of_nodes(3);
    let nodes = cluster.wasmk(&["get", "nodes"]);
    assert_eq!(nodes.matches(" Ready").count(), 3, "{nodes}");
    cluster.build("hello", "hello:v1");
    cluster.wasmk(&["apply", "-f", "manifests/hello.yaml"]);
    cluster.wasmk(&["scale", "deploy/hello", "--replicas=6"]);
    cluster.rolled_out("hello");
    assert_eq!(nodes_in_use(&cluster), BTreeSet::from(["node-1", "node-2", "node-3"].map(str::to_owned)));

    // Every node answers, and reaches the replicas of the others.
    for node in 1..=3 {
        let url = cluster.url(node, 30080, "/");
        let mut names = BTreeSet::new();
        eventually(Duration::from_secs(30), || {
            names.insert(cluster.get_ok(&url).text().lines().next().unwrap_or_default().to_owned());
            if names.len() == 6 { Ok(()) } else { Err(format!("node {node} reaches {names:?}")) }
        });
    }

    // The server goes: nodes go on serving. It comes back and finds everything as it was.
    let uids = |cluster: &Cluster| -> BTreeSet<String> {
        cluster.items("pods").iter().map(|pod| pod["metadata"]["uid"].to_string()).collect()
    };
    let before = uids(&cluster);
    cluster.server.kill();
    let load = Load::start(2, (1..=3).map(|node| cluster.url(node, 30080, "/")).collect());
    eventually(Duration::from_secs(30), || match load.so_far().ok {
        count if count >= 200 => Ok(()),
        count => Err(format!("{count} answers without the server")),
    });
    cluster.restart_server();
    cluster.wait_for_nodes(3);
    let report = load.stop();
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    assert_eq!(uids(&cluster), before, "the same pods are there after the server came back");

    // kill -9 of an agent under load at the other two: its replicas are placed elsewhere within seconds.
    let load = Load::start(2, vec![cluster.url(1, 30080, "/"), cluster.url(2, 30080, "/")]);
    eventually(Duration::from_secs(30), || if load.so_far().ok > 50 { Ok(()) } else { Err("no load yet".to_owned()) });
    let killed = Instant::now();
    cluster.agents[2].kill();
    eventually(Duration::from_secs(60), || {
        let pods = cluster.items("pods");
        let ready =
            pods.iter().filter(|pod| pod["spec"]["nodeName"] != "node-3" && condition(pod, "Ready") == "True").count();
        if ready == 6 { Ok(()) } else { Err(format!("{ready} of 6 replicas are ready on the nodes that are left")) }
    });
    println!("six replicas were ready again {:?} after the kill", killed.elapsed());
    let report = load.stop();
    let failures: usize = report.failures.values().sum();
    assert!(failures <= 4, "only what was in flight at the kill may fail, not {failures}: {:?}", report.failures);
    let nodes = cluster.wasmk(&["get", "nodes"]);
    assert!(nodes.contains("NotReady"), "{nodes}");

    // It comes back under its own name and takes part again.
    cluster.agents[2] = cluster.agent(3);
    cluster.wait_for_nodes(3);
    eventually(Duration::from_secs(30), || match get(&cluster.url(3, 30080, "/")) {
        Ok(answer) if answer.status == 200 => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn an_agent_with_a_wrong_token_is_told_so() {
    let cluster = Cluster::of_nodes(0);
    let dir = tempfile::tempdir().unwrap();
    let token = cluster.token();
    let wrong = format!("{}x", token.trim());
    let mut agent = std::process::Command::new(wasmk_e2e::wasmk_binary());
    let server = format!("https://{}:6443", cluster.subnet.node(0));
    agent
        .args([
            "agent",
            "--server",
            &server,
            "--token",
            &wrong,
            "--node-ip",
            &cluster.subnet.node(1),
            "--name",
            "x",
            "--data-dir",
        ])
        .arg(dir.path());
    let said = wasmk_e2e::Output::of(&mut agent).err();
    assert!(said.contains("token"), "{said}");
}

fn nodes_in_use(cluster: &Cluster) -> BTreeSet<String> {
    cluster.items("pods").iter().filter_map(|pod| Some(pod["spec"]["nodeName"].as_str()?.to_owned())).collect()
}
