//! What happens to images and native code on nodes when something is wrong with them, and when it is not.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use wasmk_e2e::{Cluster, Output, condition, eventually, wasmk_binary};

const LIMIT: Duration = Duration::from_secs(120);

fn pod(name: &str, node: &str) -> String {
    let selector = format!("nodeSelector: {{kubernetes.io/hostname: {node}}}");
    format!(
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{{selector}, containers: [{{name: c, image: 'hello:v1'}}]}}}}\n"
    )
}

#[track_caller]
fn ready(cluster: &Cluster, name: &str) {
    eventually(LIMIT, || match cluster.items(&format!("pod {name}")).first() {
        Some(pod) if condition(pod, "Ready") == "True" => Ok(()),
        other => Err(format!("{:?}", other.map(|pod| &pod["status"]))),
    });
}

/// The files of a directory with that ending.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with(ending)).collect()
}

#[test]
fn a_node_takes_native_code_of_another_over_compiling_it_again() {
    let cluster = Cluster::of_nodes(2);
    cluster.build("hello", "hello:v1");
    cluster.apply(&pod("first", "node-1")).ok();
    ready(&cluster, "first");
    assert!(!cluster.agents[0].log().contains("native code of another node"), "{}", cluster.agents[0].log());
    cluster.apply(&pod("second", "node-2")).ok();
    ready(&cluster, "second");
    let log = cluster.agents[1].log();
    assert!(log.contains("native code of another node") && log.contains("node-1"), "{log}");
    let code =
        |index: u8| std::fs::read(&files(&cluster.agent_dir(index).join("node/native-code"), ".cwasm")[0]).unwrap();
    assert!(code(1) == code(2));
}

#[test]
fn damaged_blobs_and_native_code_are_made_again_and_never_run() {
    let mut cluster = Cluster::of_nodes(1);
    cluster.build("hello", "hello:v1");
    cluster.apply(&pod("hello", "node-1")).ok();
    ready(&cluster, "hello");
    let (images, node) = (cluster.agent_dir(1).join("images/blobs/sha256"), cluster.agent_dir(1).join("node"));
    cluster.agents[0].kill();
    for path in files(&images, "") {
        // Digests are the names: every byte that changes shows.
        let mut content = std::fs::read(&path).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 0x20;
        std::fs::write(&path, &content[..content.len() - 1]).unwrap();
    }
    for path in files(&node.join("native-code"), ".cwasm") {
        let content = std::fs::read(&path).unwrap();
        std::fs::write(&path, &content[..content.len() / 2]).unwrap();
    }
    cluster.agents[0] = cluster.agent(1);
    cluster.wait_for_nodes(1);
    cluster.wasmk(&["delete", "pod", "hello"]);
    cluster.apply(&pod("again", "node-1")).ok();
    ready(&cluster, "again");
    for path in files(&images, "") {
        let mut sum = Command::new("sha256sum");
        let sum = Output::of(sum.arg(&path)).ok();
        assert!(path.to_string_lossy().ends_with(&sum[..64]), "{}", path.display());
    }
}

#[test]
fn a_second_up_compiles_nothing() {
    let mut cluster = Cluster::up();
    cluster.build("hello", "hello:v1");
    cluster.wasmk(&["apply", "-f", "manifests/hello.yaml"]);
    cluster.rolled_out("hello");
    cluster.wasmk(&["scale", "deploy/hello", "--replicas=50"]);
    cluster.rolled_out("hello");
    let compiled = |cluster: &Cluster| -> Vec<(PathBuf, SystemTime)> {
        let code = files(&cluster.data_dir().join("node/native-code"), ".cwasm");
        code.into_iter().map(|path| (path.clone(), std::fs::metadata(path).unwrap().modified().unwrap())).collect()
    };
    let before = compiled(&cluster);
    assert_eq!(before.len(), 1, "one program, however many replicas: {before:?}");
    cluster.server.interrupt(Duration::from_secs(30)).expect("Ctrl-C ends it");
    cluster.restart_server();
    cluster.rolled_out("hello");
    cluster.get_ok(&cluster.url(0, 30080, "/"));
    assert_eq!(compiled(&cluster), before);
}

/// A limit on the size of files fails a write in the middle, as a full disk does, and needs no rights.
#[test]
fn a_write_that_fails_ends_in_a_clear_error_and_keeps_nothing_wrong() {
    let cluster = Cluster::up();
    cluster.build("hello", "hello:v1");
    let pull = cluster.elsewhere("small", &["pull", "hello:v1"]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" pull hello:v1"]).arg(wasmk_binary());
    for (name, value) in pull.get_envs() {
        limited.env(name, value.expect("it is set"));
    }
    let said = Output::of(&mut limited).err();
    assert!(said.contains("hello:v1") && said.contains("File too large"), "{said}");
    let small = cluster.data_dir().with_file_name("small/images");
    assert!(files(&small.join("uploads"), "").is_empty(), "half a blob was left");
    assert_eq!(Output::of(&mut cluster.elsewhere("small", &["images", "-q"])).ok(), "");
    Output::of(&mut cluster.elsewhere("small", &["pull", "hello:v1"])).ok();
}

#[test]
fn images_are_handled_as_with_docker() {
    let cluster = Cluster::up();
    cluster.build("hello", "hello:v1");
    let docker = |arguments: &[&str]| cluster.wasmk(arguments);
    let listed = docker(&["images"]);
    let row: Vec<&str> = listed.lines().nth(1).unwrap().split_whitespace().collect();
    assert!(listed.starts_with("REPOSITORY   TAG   IMAGE ID       CREATED   SIZE\n"), "{listed}");
    assert_eq!((row[0], row[1], row[3]), ("hello", "v1", "N/A"), "{listed}");
    let id = docker(&["images", "-q"]);
    assert_eq!(id.trim(), row[2]);
    docker(&["tag", id.trim(), "team/hello:stable"]);
    let names = docker(&["images", "--filter", "reference=team/*", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert_eq!(names, "team/hello:stable\n");
    let inspected = docker(&["inspect", "hello:v1"]);
    for word in ["\"RepoTags\"", "\"hello:v1\"", "\"team/hello:stable\"", "\"Architecture\": \"wasm\""] {
        assert!(inspected.contains(word), "{word} is not in {inspected}");
    }
    assert!(docker(&["history", "hello:v1"]).contains("application/wasm"));
    let pulled = cluster.wasmk_output(&["pull", "hello:v1"]);
    assert!(pulled.stderr.contains("Status: Image is up to date for hello:v1"), "{}", pulled.stderr);
    assert!(cluster.wasmk_output(&["pull", "nobody:v1"]).err().contains("not found"));
    assert!(cluster.wasmk_output(&["tag", "nobody:v1", "a:b"]).err().contains("No such image: nobody:v1"));

    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("hello.tar");
    docker(&["save", "hello:v1", "team/hello:stable", "-o", archive.to_str().unwrap()]);
    let loaded = Output::of(&mut cluster.elsewhere("other", &["load", "-i", archive.to_str().unwrap()])).ok();
    assert_eq!(loaded, "Loaded image: hello:v1\nLoaded image: team/hello:stable\n");

    cluster.wasmk(&["apply", "-f", "manifests/hello.yaml"]);
    cluster.rolled_out("hello");
    assert_eq!(docker(&["rmi", "team/hello:stable"]), "Untagged: team/hello:stable\n");
    let refused = cluster.wasmk_output(&["rmi", "hello:v1"]).err();
    assert!(refused.contains("conflict") && refused.contains("pod default/hello-"), "{refused}");
    cluster.wasmk(&["delete", "-f", "manifests/hello.yaml"]);
    eventually(LIMIT, || match cluster.items("pods").len() {
        0 => Ok(()),
        count => Err(format!("{count} pods")),
    });
    let removed = docker(&["rmi", "hello:v1"]);
    assert!(removed.starts_with("Untagged: hello:v1\nDeleted: sha256:"), "{removed}");
    assert_eq!(docker(&["image", "prune", "-f"]), "Total reclaimed space: 0B\n");
    assert_eq!(docker(&["images", "-q"]), "");
}
