//! The walk of README, line by line, as a user of kubectl expects each to behave.

use std::collections::BTreeSet;
use std::time::Duration;

use wasmk_e2e::{Cluster, condition, eventually, get};

#[test]
fn a_user_builds_applies_curls_scales_updates_undoes_and_deletes() {
    let cluster = Cluster::up();
    cluster.build("hello", "hello:v1");
    let applied = cluster.wasmk(&["apply", "-f", "manifests/hello.yaml"]);
    for line in
        ["configmap/hello created", "secret/hello created", "deployment.apps/hello created", "service/hello created"]
    {
        assert!(applied.contains(line), "{applied}");
    }
    let again = cluster.wasmk(&["apply", "-f", "manifests/hello.yaml"]);
    assert_eq!(again.matches("unchanged").count(), 4, "{again}");
    cluster.rolled_out("hello");

    let url = cluster.url(0, 30080, "/");
    let answer = cluster.get_ok(&url).text();
    assert!(answer.starts_with("Hello from hello-"), "{answer}");
    assert!(answer.contains("version: v1") && answer.contains("secret: mounted, 9 bytes"), "{answer}");
    every_replica_answers(&cluster, &url, 3);

    let pods = cluster.wasmk(&["get", "pods", "-o", "wide"]);
    assert!(pods.starts_with("NAME") && pods.contains("NODE") && pods.matches("1/1").count() == 3, "{pods}");
    let logs = cluster.wasmk(&["logs", "deploy/hello", "--all-pods"]);
    assert!(logs.contains("GET /"), "{logs}");
    let name = cluster.wasmk(&["get", "pods", "-l", "app=hello", "-o", "jsonpath={.items[0].metadata.name}"]);
    let described = cluster.wasmk(&["describe", "pod", &name]);
    for word in ["Controlled By:", "hello:v1", "Ready", "Scheduled", "Pulled", "Started"] {
        assert!(described.contains(word), "{word} is not in\n{described}");
    }

    cluster.wasmk(&["scale", "deploy/hello", "--replicas=10"]);
    cluster.rolled_out("hello");
    every_replica_answers(&cluster, &url, 10);
    cluster.wasmk(&["scale", "deploy/hello", "--replicas=2"]);
    eventually(Duration::from_secs(20), || match cluster.items("pods -l app=hello").len() {
        2 => Ok(()),
        count => Err(format!("{count} pods")),
    });

    build_v2(&cluster);
    cluster.wasmk(&["set", "image", "deploy/hello", "hello=hello:v2"]);
    cluster.rolled_out("hello");
    assert!(cluster.get_ok(&url).text().contains("version: v2"));
    let history = cluster.wasmk(&["rollout", "history", "deploy/hello"]);
    assert!(history.contains("hello:v1") && history.contains("hello:v2"), "{history}");
    cluster.wasmk(&["rollout", "undo", "deploy/hello"]);
    cluster.rolled_out("hello");
    assert!(cluster.get_ok(&url).text().contains("version: v1"));

    cluster.wasmk(&["delete", "-f", "manifests/hello.yaml"]);
    eventually(Duration::from_secs(20), || match cluster.items("pods").len() {
        0 => Ok(()),
        count => Err(format!("{count} pods")),
    });
    assert!(cluster.wasmk(&["get", "deploy,rs,pods"]).is_empty());
    assert!(get(&url).is_err(), "the port of a deleted Service still answers");
}

#[test]
fn ctrl_c_drains_and_up_finds_everything_again() {
    let mut cluster = Cluster::up();
    cluster.build("hello", "hello:v1");
    cluster.wasmk(&["apply", "-f", "manifests/hello.yaml"]);
    cluster.rolled_out("hello");
    let names = |cluster: &Cluster| -> BTreeSet<String> {
        cluster.items("pods").iter().map(|pod| pod["metadata"]["name"].to_string()).collect()
    };
    let before = names(&cluster);

    let status = cluster.server.interrupt(Duration::from_secs(30)).expect("Ctrl-C ends it");
    assert!(status.success(), "{status}");
    cluster.restart_server();
    cluster.rolled_out("hello");
    assert_eq!(names(&cluster), before, "the same pods run again");
    assert!(cluster.get_ok(&cluster.url(0, 30080, "/")).text().contains("version: v1"));

    cluster.server.kill();
    cluster.restart_server();
    cluster.rolled_out("hello");
    assert_eq!(names(&cluster), before, "the same pods run again after kill -9");
    cluster.get_ok(&cluster.url(0, 30080, "/"));
}

#[test]
fn kubectl_does_the_same() {
    let cluster = Cluster::up();
    cluster.build("hello", "hello:v1");
    assert!(cluster.kubectl(&["apply", "-f", "manifests/hello.yaml"]).ok().contains("deployment.apps/hello created"));
    cluster.kubectl(&["rollout", "status", "deployment/hello", "--timeout=60s"]).ok();
    cluster.get_ok(&cluster.url(0, 30080, "/"));
    let pods = cluster.kubectl(&["get", "pods", "-o", "wide"]).ok();
    assert_eq!(pods.matches("Running").count(), 3, "{pods}");
    assert!(cluster.kubectl(&["logs", "deployment/hello"]).ok().contains("GET /"));
    let described = cluster.kubectl(&["describe", "deployment", "hello"]).ok();
    assert!(described.contains("3 desired | 3 updated | 3 total | 3 available"), "{described}");
    assert!(cluster.kubectl(&["describe", "pods"]).ok().contains("Started"));
    assert!(cluster.kubectl(&["get", "nodes"]).ok().contains("Ready"));
    cluster.kubectl(&["scale", "deployment/hello", "--replicas=5"]).ok();
    cluster.kubectl(&["rollout", "status", "deployment/hello", "--timeout=60s"]).ok();
    assert_eq!(cluster.items("pods").len(), 5);
    assert!(cluster.kubectl(&["delete", "-f", "manifests/hello.yaml"]).ok().contains("deleted"));
}

#[test]
fn anonymous_requests_see_health_only() {
    let cluster = Cluster::up();
    let server = format!("https://{}:6443", cluster.subnet.node(0));
    let curl = |path: &str| {
        let mut command = std::process::Command::new("curl");
        command.args(["-sk", "-o", "/dev/null", "-w", "%{http_code}", &format!("{server}{path}")]);
        wasmk_e2e::Output::of(&mut command).ok()
    };
    assert_eq!(curl("/readyz"), "200");
    assert!(["401", "403"].contains(&curl("/api/v1/secrets").as_str()));
    assert!(["401", "403"].contains(&curl("/v2/").as_str()));
    let node = cluster.items("nodes").remove(0);
    assert_eq!(condition(&node, "Ready"), "True");
    assert!(
        node["status"]["capacity"]["memory"].is_string() && node["status"]["allocatable"]["cpu"].is_string(),
        "{node}"
    );
}

#[track_caller]
fn every_replica_answers(cluster: &Cluster, url: &str, count: usize) {
    let mut names = BTreeSet::new();
    eventually(Duration::from_secs(30), || {
        for _ in 0..20 {
            let text = cluster.get_ok(url).text();
            names.insert(text.lines().next().unwrap_or_default().to_owned());
        }
        if names.len() == count {
            Ok(())
        } else {
            Err(format!("{} of {count} replicas answered: {names:?}", names.len()))
        }
    });
}

#[track_caller]
fn build_v2(cluster: &Cluster) {
    let mut command = cluster.command(&["build", "sample-apps/hello", "-t", "hello:v2"]);
    command.env("HELLO_VERSION", "v2");
    wasmk_e2e::Output::of(&mut command).ok();
}
