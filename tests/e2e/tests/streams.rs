//! Commands beside containers, attached clients, copies and forwarded ports, by kubectl and by wasmk.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use wasmk_e2e::{Cluster, Output, eventually, get};

/// A handler with a writable directory and a ConfigMap.
const FILES: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {mode: quiet}
---
apiVersion: v1
kind: Pod
metadata: {name: files}
spec:
  containers:
  - name: c
    image: hello:v1
    env: [{name: GREETING, value: Hi}]
    ports: [{containerPort: 8080}]
    volumeMounts: [{name: data, mountPath: /data}, {name: settings, mountPath: /etc/settings}]
  volumes: [{name: data, emptyDir: {}}, {name: settings, configMap: {name: settings}}]
";

/// A program of `kubectl` or `wasmk` with these arguments.
type Client = fn(&Cluster, &[&str]) -> Command;

const CLIENTS: [Client; 2] = [Cluster::kubectl_command, Cluster::command];

fn files() -> Cluster {
    let cluster = Cluster::up();
    cluster.build("hello", "hello:v1");
    cluster.apply(FILES).ok();
    cluster.wasmk(&["wait", "pod/files", "--for=condition=Ready", "--timeout=120s"]);
    cluster
}

fn run(cluster: &Cluster, client: Client, arguments: &[&str]) -> Output {
    Output::of(&mut client(cluster, arguments))
}

#[test]
fn commands_run_beside_a_container() {
    let cluster = files();
    for client in CLIENTS {
        let run = |arguments: &[&str]| run(&cluster, client, arguments);
        assert_eq!(run(&["exec", "files", "--", "echo", "two", "words"]).ok(), "two words\n");
        assert!(run(&["exec", "files", "--", "env"]).ok().contains("GREETING=Hi\n"));
        assert_eq!(run(&["exec", "files", "--", "cat", "/etc/settings/mode"]).ok(), "quiet");
        assert_eq!(run(&["exec", "files", "--", "ls", "/"]).ok(), "data\netc\n");
        let failed = run(&["exec", "files", "--", "cat", "/nowhere"]);
        assert_eq!(failed.code, Some(1), "{failed:?}");
        assert!(failed.stderr.contains("cat: /nowhere: No such file or directory"), "{failed:?}");
        assert!(failed.stderr.contains("command terminated with exit code 1"), "{failed:?}");
        let fed = Output::fed(&mut client(&cluster, &["exec", "-i", "files", "--", "cat"]), b"through the pod");
        assert_eq!(fed.ok(), "through the pod");
        let missing = run(&["exec", "files", "--", "sh", "-c", "ls"]).err();
        assert!(missing.contains("exec: \"sh\": executable file not found in $PATH"), "{missing}");
        assert!(missing.contains("a wasm container has no shell"), "{missing}");
        let read_only = run(&["exec", "files", "--", "rm", "/etc/settings/mode"]).err();
        assert!(read_only.contains("Read-only file system"), "{read_only}");
    }
    let handler = cluster.kubectl(&["exec", "files", "--", "hello"]).err();
    assert!(handler.contains("it is called and has no `run` to start"), "{handler}");
    let unknown = cluster.kubectl(&["exec", "files", "-c", "other", "--", "ls"]).err();
    assert!(unknown.contains("other"), "{unknown}");
}

#[test]
fn whatever_was_begun_ends_with_the_pod() {
    let cluster = files();
    let mut waiting = Vec::new();
    for client in CLIENTS {
        for arguments in [&["exec", "-i", "files", "--", "cat"][..], &["attach", "files"]] {
            let mut command = client(&cluster, arguments);
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
            waiting.push(command.spawn().unwrap());
        }
    }
    // They are there before the pod goes.
    assert_eq!(cluster.kubectl(&["exec", "files", "--", "true"]).code, Some(0));
    cluster.wasmk(&["delete", "pod", "files"]);
    for child in &mut waiting {
        let status = eventually(Duration::from_secs(30), || child.try_wait().unwrap().ok_or("still there".to_owned()));
        assert!(!status.success());
    }
}

#[test]
fn much_input_and_output_pass_at_once() {
    let cluster = files();
    let much: Vec<u8> = (0..4_000_000_u32).map(|number| b'a' + (number % 26) as u8).collect();
    for client in CLIENTS {
        let fed = Output::fed(&mut client(&cluster, &["exec", "-i", "files", "--", "cat"]), &much);
        assert!(fed.ok().as_bytes() == much, "what came back is not what was sent");
    }
}

#[test]
fn files_are_copied_both_ways_and_programs_among_them_run() {
    let cluster = files();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::create_dir_all(dir.path().join("tree/sub")).unwrap();
    std::fs::write(dir.path().join("tree/one"), "1").unwrap();
    std::fs::write(dir.path().join("tree/sub/large"), vec![7; 1_000_000]).unwrap();
    for (number, client) in CLIENTS.into_iter().enumerate() {
        let run = |arguments: &[&str]| run(&cluster, client, arguments).ok();
        let (there, back) = (format!("/data/tree{number}"), path(&format!("back{number}")));
        run(&["cp", &path("tree"), &format!("files:{there}")]);
        assert_eq!(run(&["exec", "files", "--", "ls", &there]), "one\nsub\n");
        run(&["cp", &format!("files:{there}"), &back]);
        assert_eq!(std::fs::read_to_string(format!("{back}/one")).unwrap(), "1");
        assert_eq!(std::fs::read(format!("{back}/sub/large")).unwrap(), vec![7; 1_000_000]);
        // Into a directory that is there, under its own name.
        run(&["cp", &path("tree/one"), "files:/data"]);
        assert_eq!(run(&["exec", "files", "--", "cat", "/data/one"]), "1");
        run(&["exec", "files", "--", "rm", "-r", "/data/one", &there]);
        let refused = self::run(&cluster, client, &["cp", &path("tree/one"), "files:/etc/settings/one"]).err();
        assert!(refused.contains("Read-only file system"), "{refused}");
    }
    // kubectl takes an empty archive for a success.
    let nothing = cluster.wasmk_output(&["cp", "files:/nowhere", &path("nothing")]).err();
    assert!(nothing.contains("nowhere"), "{nothing}");
    cluster.build("worker", "worker:v1");
    let wasm = wasmk_e2e::repository().join("sample-apps/target/wasm32-wasip1/release/worker.wasm");
    cluster.kubectl(&["cp", wasm.to_str().unwrap(), "files:/data/worker.wasm"]).ok();
    let sum = |input: &[u8]| {
        Output::fed(&mut cluster.kubectl_command(&["exec", "-i", "files", "--", "/data/worker", "-"]), input)
    };
    assert_eq!(sum(b"up-to=4\n").ok(), "sum of 1 to 4 is 10\n");
    let wrong = sum(b"nonsense");
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

#[test]
fn a_pod_that_reads_stdin_is_run_and_attached_to() {
    let cluster = Cluster::up();
    cluster.build("worker", "worker:v1");
    let arguments = ["run", "sum", "-i", "--quiet", "--restart=Never", "--image=worker:v1", "--", "-"];
    let ran = Output::fed(&mut cluster.kubectl_command(&arguments), b"up-to=10\n");
    assert!(ran.stdout.contains("sum of 1 to 10 is 55"), "{ran:?}");
    eventually(Duration::from_secs(30), || match cluster.items("pod sum")[0]["status"]["phase"].as_str() {
        Some("Succeeded") => Ok(()),
        phase => Err(format!("{phase:?}")),
    });
    let late = cluster.kubectl(&["attach", "sum"]).err();
    assert!(late.contains("completed pod"), "{late}");
}

#[test]
fn ports_lead_to_pods_of_every_node_and_die_with_them() {
    let cluster = Cluster::of_nodes(2);
    cluster.build("hello", "hello:v1");
    cluster.build("echo", "echo:v1");
    cluster.wasmk(&["apply", "-f", "manifests/echo.yaml", "-f", "manifests/hello.yaml"]);
    cluster.rolled_out("echo");
    cluster.rolled_out("hello");
    for pod in cluster.items("pods") {
        let name = pod["metadata"]["name"].as_str().unwrap();
        let port = if name.starts_with("echo") { 7000 } else { 8080 };
        for client in CLIENTS {
            assert_eq!(run(&cluster, client, &["exec", name, "--", "pwd"]).ok(), "/\n", "{name}");
            let forward =
                Forward::start(client(&cluster, &["port-forward", &format!("pod/{name}"), &format!(":{port}")]));
            if port == 7000 {
                assert_eq!(forward.line("hello"), format!("{name}: hello"));
            } else {
                assert!(get(&forward.url("/")).unwrap().text().contains(name));
            }
        }
    }
    let forward = Forward::start(cluster.command(&["port-forward", "svc/hello", ":80"]));
    assert!(get(&forward.url("/")).unwrap().text().contains("Hello"));
    let mut silent = Forward::start(cluster.kubectl_command(&["port-forward", "deploy/echo", ":7001"]));
    assert!(get(&silent.url("/")).is_err());
    let said = silent.errors();
    assert!(said.contains("failed to connect to localhost:7001") && said.contains("connection refused"), "{said}");
}

/// A `port-forward` that runs until it is dropped.
struct Forward {
    child: Child,
    address: String,
    /// It complains when nobody reads.
    _output: BufReader<std::process::ChildStdout>,
}

impl Forward {
    #[track_caller]
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.strip_prefix("Forwarding from ").and_then(|rest| rest.split(' ').next());
        let address = address.unwrap_or_else(|| panic!("{command:?} said {line:?}")).to_owned();
        Self { child, address, _output: output }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends a line and reads one.
    fn line(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        writeln!(stream, "{text}").unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }

    fn errors(&mut self) -> String {
        self.child.kill().unwrap();
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
