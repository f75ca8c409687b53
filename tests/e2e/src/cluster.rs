use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::{Answer, Output, Process, Subnet, eventually, get, repository, wasmk_binary};

/// How long a cluster may take to be ready on a machine that does other things too.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A cluster of one or more processes, with everything it keeps in a directory that goes with it.
#[derive(Debug)]
pub struct Cluster {
    pub server: Process,
    pub agents: Vec<Process>,
    pub subnet: Subnet,
    dir: TempDir,
    arguments: Vec<String>,
    verb: &'static str,
}

impl Cluster {
    /// `wasmk up`: control plane and one node in one process.
    #[track_caller]
    pub fn up() -> Self {
        Self::start("up", &[])
    }

    /// `wasmk up` with further flags.
    #[track_caller]
    pub fn up_with(flags: &[&str]) -> Self {
        Self::start("up", flags)
    }

    /// `wasmk server` and as many `wasmk agent`s, each a process with an address of its own.
    #[track_caller]
    pub fn of_nodes(count: u8) -> Self {
        let mut cluster = Self::start("server", &[]);
        for index in 1..=count {
            let agent = cluster.agent(index);
            cluster.agents.push(agent);
        }
        cluster.wait_for_nodes(usize::from(count));
        cluster
    }

    #[track_caller]
    fn start(verb: &'static str, flags: &[&str]) -> Self {
        let subnet = Subnet::claim();
        let dir = tempfile::Builder::new().prefix("wasmk-e2e-").tempdir().expect("a temporary directory");
        let address = subnet.node(0);
        let mut arguments =
            vec!["--bind-address".to_owned(), address.clone(), "--cluster-cidr".to_owned(), subnet.cluster_cidr()];
        if verb == "up" {
            arguments.extend(["--node-ip".to_owned(), address]);
        }
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let server = spawn(verb, &arguments, dir.path(), "server");
        let mut cluster = Self { server, agents: Vec::new(), subnet, dir, arguments, verb };
        cluster.wait_until_ready();
        if verb == "up" {
            cluster.wait_for_nodes(1);
        }
        cluster
    }

    /// Starts agent `index` (from 1), as its own join command says.
    #[track_caller]
    pub fn agent(&self, index: u8) -> Process {
        let token = self.token();
        let server = format!("https://{}:6443", self.subnet.node(0));
        let name = format!("node-{index}");
        let arguments =
            ["--server", &server, "--token", token.trim(), "--node-ip", &self.subnet.node(index), "--name", &name]
                .map(str::to_owned);
        spawn("agent", &arguments, self.dir.path(), &name)
    }

    /// What the server wrote for nodes to join with.
    #[track_caller]
    pub fn token(&self) -> String {
        let file = self.data_dir().join("node-token");
        eventually(START_LIMIT, || match std::fs::read_to_string(&file) {
            Ok(token) if !token.is_empty() => Ok(token),
            other => Err(format!("{}: {other:?}", file.display())),
        })
    }

    /// Starts the server again on what it kept, after it was stopped or killed.
    #[track_caller]
    pub fn restart_server(&mut self) {
        self.server = spawn(self.verb, &self.arguments, self.dir.path(), "server");
        self.wait_until_ready();
    }

    #[track_caller]
    fn wait_until_ready(&mut self) {
        let started = std::time::Instant::now();
        eventually(START_LIMIT, || {
            assert!(self.server.is_running(), "the server ended after {:?}:\n{}", started.elapsed(), self.server.log());
            let output = self.wasmk_output(&["get", "namespace", "default"]);
            if output.success { Ok(()) } else { Err(output.stderr) }
        });
    }

    #[track_caller]
    pub fn wait_for_nodes(&self, count: usize) {
        eventually(START_LIMIT, || {
            let ready = self.items("nodes").iter().filter(|node| condition(node, "Ready") == "True").count();
            if ready == count { Ok(()) } else { Err(format!("{ready} of {count} nodes are ready")) }
        });
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("server")
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.data_dir().join("kubeconfig")
    }

    /// A `wasmk` client command of this cluster, at the top of the repository.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(wasmk_binary());
        command.args(arguments).current_dir(repository());
        command.env("WASMK_DATA", self.data_dir()).env("KUBECONFIG", self.kubeconfig());
        with_guest_tools(&mut command);
        command
    }

    #[track_caller]
    pub fn wasmk_output(&self, arguments: &[&str]) -> Output {
        Output::of(&mut self.command(arguments))
    }

    /// Runs a `wasmk` client command that must succeed; answers what it printed.
    #[track_caller]
    pub fn wasmk(&self, arguments: &[&str]) -> String {
        self.wasmk_output(arguments).ok()
    }

    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str]) -> Output {
        Output::of(&mut self.kubectl_command(arguments))
    }

    /// A kubectl command of this cluster, at the top of the repository.
    pub fn kubectl_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        // No discovery cache of another cluster that had the same address.
        let cache = self.dir.path().join("kubectl-cache");
        // First: what follows `--` is not kubectl's.
        command.arg("--cache-dir").arg(cache).args(arguments);
        command.current_dir(repository()).env("KUBECONFIG", self.kubeconfig());
        command
    }

    /// A `wasmk` command of somebody whose images are elsewhere: another data directory, with nothing in it at first, and
    /// this cluster's kubeconfig.
    pub fn elsewhere(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.env("WASMK_DATA", self.dir.path().join(name)).env("DOCKER_CONFIG", self.dir.path().join("no-docker"));
        command
    }

    /// Applies YAML text.
    #[track_caller]
    pub fn apply(&self, yaml: &str) -> Output {
        let file = self.dir.path().join(format!("manifest-{}.yaml", fresh()));
        std::fs::write(&file, yaml).expect("the manifest can be written");
        self.wasmk_output(&["apply", "-f", file.to_str().expect("a UTF-8 path")])
    }

    /// Builds and stores a sample app's image.
    #[track_caller]
    pub fn build(&self, app: &str, tag: &str) {
        self.wasmk(&["build", &format!("sample-apps/{app}"), "-t", tag]);
    }

    /// The objects of a kind in the default namespace (or cluster-wide), as JSON.
    pub fn items(&self, arguments: &str) -> Vec<Value> {
        let arguments: Vec<&str> = ["get", "-o", "json"].into_iter().chain(arguments.split(' ')).collect();
        let output = self.wasmk_output(&arguments);
        let list: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
        match list["items"].as_array() {
            Some(items) => items.clone(),
            None if list.is_object() => vec![list],
            None => Vec::new(),
        }
    }

    #[track_caller]
    pub fn rolled_out(&self, deployment: &str) {
        self.wasmk(&["rollout", "status", &format!("deploy/{deployment}"), "--timeout", "120s"]);
    }

    /// The URL of a NodePort on node `index` (0 is the server's own).
    pub fn url(&self, node: u8, port: u16, path: &str) -> String {
        format!("http://{}:{port}{path}", self.subnet.node(node))
    }

    /// GETs until the answer is 200.
    #[track_caller]
    pub fn get_ok(&self, url: &str) -> Answer {
        eventually(Duration::from_secs(30), || match get(url) {
            Ok(answer) if answer.status == 200 => Ok(answer),
            Ok(answer) => Err(format!("{url}: {} {}", answer.status, answer.text())),
            Err(error) => Err(format!("{url}: {error}")),
        })
    }
}

/// The status of a condition, empty when there is none.
pub fn condition<'a>(object: &'a Value, kind: &str) -> &'a str {
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
        .and_then(|condition| condition["status"].as_str())
        .unwrap_or_default()
}

fn spawn(verb: &str, arguments: &[String], dir: &Path, name: &str) -> Process {
    let mut command = Command::new(wasmk_binary());
    command.arg(verb).arg("--data-dir").arg(dir.join(name)).args(arguments).current_dir(dir).env_remove("KUBECONFIG");
    Process::start(command, dir.join(format!("{name}.log")))
}

fn fresh() -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// `cargo xtask test` fetches what builds guests in other languages into `target/clients`.
fn with_guest_tools(command: &mut Command) {
    let binary = wasmk_binary();
    let Some(clients) = binary.ancestors().nth(2).map(|target| target.join("clients")) else { return };
    let python = clients.join("componentize-py");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain([python.join("bin"), clients.join("bin")]);
    if let Ok(path) = std::env::join_paths(dirs) {
        command.env("PATH", path);
    }
    if python.is_dir() {
        command.env("PYTHONPATH", python);
    }
}
