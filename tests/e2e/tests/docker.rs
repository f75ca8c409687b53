//! Containers without YAML, as a user of Docker expects them.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use wasmk_e2e::{Cluster, Output, eventually, get};

const LIMIT: Duration = Duration::from_secs(60);

/// The states of all containers, by name.
fn states(cluster: &Cluster) -> Vec<(String, String)> {
    let listed = cluster.wasmk(&["ps", "-a", "--format", "json"]);
    let lines = listed.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    lines.map(|line| (text(&line["Names"]), text(&line["State"]))).collect()
}

fn state(cluster: &Cluster, name: &str) -> String {
    let found = states(cluster).into_iter().find(|(known, _)| known == name);
    found.map_or_else(|| "gone".to_owned(), |(_, state)| state)
}

#[test]
fn a_port_is_opened_by_run_and_start_and_closed_by_stop() {
    let cluster = Cluster::up();
    cluster.build("hello", "hello:v1");
    let url = cluster.url(0, 8080, "/");
    let run = ["run", "-d", "--name", "web", "-p", "8080:80", "-e", "GREETING=Hi $(HOME)", "hello:v1"];
    assert_eq!(cluster.wasmk(&run), "web\n");
    let answer = cluster.get_ok(&url).text();
    assert!(answer.starts_with("Hi $(HOME) from web\n"), "{answer}");
    let listed = cluster.wasmk(&["ps"]);
    let address = cluster.subnet.node(0);
    assert!(listed.starts_with("NAME") && listed.contains("hello:v1") && listed.contains("Up "), "{listed}");
    assert!(listed.contains(&format!("{address}:8080->80/tcp")), "{listed}");
    assert_eq!(cluster.wasmk(&["port", "web"]), format!("80/tcp -> {address}:8080\n"));
    assert_eq!(cluster.wasmk(&["ps", "-q", "--filter", "status=exited"]), "");
    assert!(cluster.wasmk(&["logs", "web"]).contains("GET /"));
    assert_eq!(cluster.wasmk(&["exec", "web", "echo", "-n"]), cluster.wasmk(&["exec", "web", "--", "echo", "-n"]));

    let taken = cluster.wasmk_output(&["run", "-d", "-p", "8080:80", "hello:v1"]);
    assert_eq!(taken.code, Some(125));
    assert!(taken.err().contains("port 8080 is taken: container web has it"));
    let same_name = cluster.wasmk_output(&["run", "-d", "--name", "web", "hello:v1"]);
    assert!(same_name.err().contains("the name web is taken"));

    assert_eq!(cluster.wasmk(&["stop", "web"]), "web\n");
    assert!(get(&url).is_err(), "the port of a stopped container still answers");
    assert_eq!(state(&cluster, "web"), "exited");
    assert_eq!(cluster.wasmk(&["ps", "-q"]), "");
    assert!(cluster.wasmk(&["logs", "web"]).contains("GET /"), "the log outlives the container");
    // Its port is free meanwhile.
    cluster.wasmk(&["run", "-d", "--name", "other", "-p", "8080:80", "hello:v1"]);
    assert!(cluster.get_ok(&url).text().contains("from other"));
    assert!(cluster.wasmk_output(&["start", "web"]).err().contains("container other has it"));
    assert!(cluster.wasmk_output(&["rm", "other"]).err().contains("wasmk rm -f other"));
    cluster.wasmk(&["rm", "-f", "other"]);
    assert!(get(&url).is_err());

    cluster.wasmk(&["start", "web"]);
    assert!(cluster.get_ok(&url).text().contains("Hi $(HOME) from web"));
    cluster.wasmk(&["restart", "web"]);
    assert!(cluster.get_ok(&url).text().contains("from web"));
    cluster.wasmk(&["kill", "web"]);
    assert!(cluster.wasmk_output(&["kill", "web"]).err().contains("is not running"));
    cluster.wasmk(&["rm", "web"]);
    assert!(cluster.items("pods").is_empty() && states(&cluster).is_empty());
    let services = cluster.wasmk(&["get", "services", "-o", "name"]);
    assert_eq!(services.trim(), "service/kubernetes");
}

#[test]
fn a_program_in_the_foreground_gives_its_output_and_its_exit_code() {
    let cluster = Cluster::up();
    cluster.build("worker", "worker:v1");
    cluster.build("hostile", "hostile:v1");
    let fed = |arguments: &[&str], input: &[u8]| Output::fed(&mut cluster.command(arguments), input);
    let sum = fed(&["run", "--rm", "-i", "worker:v1", "-"], b"up-to=4\n");
    assert_eq!((sum.code, sum.stdout.as_str()), (Some(0), "sum of 1 to 4 is 10\n"), "{sum:?}");
    let terminal = fed(&["run", "--rm", "-it", "worker:v1", "-"], b"up-to=4\n");
    assert_eq!((terminal.code, terminal.stdout.as_str()), (Some(0), "sum of 1 to 4 is 10\n"), "{terminal:?}");
    let wrong = cluster.wasmk_output(&["run", "--name", "lost", "worker:v1", "/nowhere"]);
    assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(2), ""), "{wrong:?}");
    assert!(wrong.stderr.contains("read /nowhere"), "stderr is apart: {wrong:?}");
    // Rust's standard library for wasip2 tells failure from success, and no more.
    let failed = cluster.wasmk_output(&["run", "--rm", "hostile:v1", "exit"]);
    assert_eq!((failed.code, failed.stdout.as_str()), (Some(1), "about to exit\n"), "{failed:?}");
    assert_eq!(states(&cluster), [("lost".to_owned(), "exited".to_owned())], "--rm removes, no --rm keeps");
    assert!(cluster.wasmk(&["ps", "-a"]).contains("Exited (2)"));
    assert_eq!(cluster.wasmk(&["wait", "lost"]), "2\n");
    // Once more, the same way.
    let again = cluster.wasmk_output(&["start", "-a", "lost"]);
    assert_eq!(again.code, Some(2), "{again:?}");
    assert!(again.stderr.contains("read /nowhere"), "{again:?}");

    let eaten = cluster.wasmk_output(&["run", "--rm", "-m", "8m", "hostile:v1", "memory"]);
    assert_eq!(eaten.code, Some(137), "{eaten:?}");
    let missing = cluster.wasmk_output(&["run", "nobody-has:this"]);
    assert_eq!(missing.code, Some(125), "{missing:?}");
    assert!(missing.err().contains("nobody-has:this"));
    assert_eq!(states(&cluster).len(), 1, "what never ran leaves nothing behind");
}

#[test]
fn a_signal_stops_the_container() {
    let cluster = Cluster::up();
    cluster.build("hostile", "hostile:v1");
    for (signal, code) in [(libc::SIGINT, 130), (libc::SIGTERM, 143)] {
        let mut child = spawn(cluster.command(&["run", "--rm", "--name", "sleeper", "hostile:v1", "sleep"]));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "about to sleep\n");
        let pid = libc::pid_t::try_from(child.id()).unwrap();
        // SAFETY: sending a signal touches no memory of ours.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
        let status = eventually(LIMIT, || child.try_wait().unwrap().ok_or("still there".to_owned()));
        assert_eq!(status.code(), Some(code), "{}", rest(child));
        assert_eq!(state(&cluster, "sleeper"), "gone");
    }
}

#[test]
fn what_is_created_waits_and_what_is_temporary_goes() {
    let cluster = Cluster::up();
    cluster.build("hello", "hello:v1");
    cluster.build("hostile", "hostile:v1");
    assert_eq!(cluster.wasmk(&["create", "--name", "later", "-p", "8081:80", "hello:v1"]), "later\n");
    assert_eq!(state(&cluster, "later"), "created");
    assert!(get(&cluster.url(0, 8081, "/")).is_err());
    cluster.wasmk(&["stop", "later"]);
    cluster.wasmk(&["start", "later"]);
    assert!(cluster.get_ok(&cluster.url(0, 8081, "/")).text().contains("from later"));

    let named = cluster.wasmk(&["run", "-d", "-p", "80", "hello:v1"]);
    let name = named.trim();
    assert!(name.starts_with("hello-") && name.len() == "hello-0000".len(), "{name}");
    let port = cluster.wasmk(&["port", name, "80"]);
    assert!(cluster.get_ok(&format!("http://{}/", port.trim())).text().contains(name));

    cluster.wasmk(&["run", "-d", "--rm", "--name", "brief", "hostile:v1", "exit"]);
    eventually(LIMIT, || match state(&cluster, "brief").as_str() {
        "gone" => Ok(()),
        other => Err(other.to_owned()),
    });
    cluster.wasmk(&["run", "-d", "--rm", "--name", "stopped", "hostile:v1", "sleep"]);
    cluster.wasmk(&["stop", "stopped"]);
    eventually(LIMIT, || match state(&cluster, "stopped").as_str() {
        "gone" => Ok(()),
        other => Err(other.to_owned()),
    });
    cluster.wasmk(&["run", "-d", "--name", "again", "--restart", "on-failure", "hostile:v1", "exit"]);
    eventually(LIMIT, || match state(&cluster, "again").as_str() {
        "restarting" => Ok(()),
        other => Err(other.to_owned()),
    });
    cluster.wasmk(&["stop", "again"]);
    assert_eq!(state(&cluster, "again"), "exited");
    let no_container = cluster.wasmk_output(&["stop", "nobody"]);
    assert!(no_container.err().contains("no container nobody; `wasmk ps -a` lists them"));
}

#[test]
fn directories_and_files_of_the_node_are_mounted() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    let cluster = Cluster::up_with(&["--host-path-root", root]);
    cluster.build("worker", "worker:v1");
    std::fs::write(dir.path().join("settings"), "up-to=10\n").unwrap();
    let (settings, data) = (format!("{root}/settings:/etc/worker/settings"), format!("{root}/new/data:/data"));
    let run = ["run", "--rm", "-v", &settings, "-v", &data, "worker:v1"];
    assert_eq!(cluster.wasmk(&run), "wrote /data/report.txt, sum 55\n");
    let report = std::fs::read_to_string(dir.path().join("new/data/report.txt")).unwrap();
    assert_eq!(report, "sum of 1 to 10 is 55\n");
    let read_only = format!("{root}/new/data:/data:ro");
    let refused = cluster.wasmk_output(&["run", "--rm", "-v", &settings, "-v", &read_only, "worker:v1"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("/data/report.txt"), "{refused:?}");
    let outside = cluster.wasmk_output(&["run", "--rm", "-v", "/etc:/data", "worker:v1"]);
    assert_eq!(outside.code, Some(125), "{outside:?}");
    assert!(outside.err().contains("--host-path-root /etc"));
    let keys = format!("{}:/data", cluster.data_dir().join("pki").display());
    let outside = cluster.wasmk_output(&["run", "--rm", "-v", &keys, "worker:v1"]);
    assert_eq!(outside.code, Some(125), "{outside:?}");
}

#[test]
fn without_a_cluster_run_says_how_to_start_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(wasmk_e2e::wasmk_binary());
    command.args(["run", "hello"]).env("WASMK_DATA", dir.path()).env("HOME", dir.path()).env_remove("KUBECONFIG");
    let said = Output::of(&mut command);
    assert_eq!(said.code, Some(125), "{said:?}");
    assert!(said.err().contains("wasmk up -d"));
}

fn spawn(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn rest(mut child: Child) -> String {
    let mut text = String::new();
    let _ = child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut text));
    let _ = std::io::stdout().flush();
    text
}
