use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::process::{ControlPlaneFlags, NodeFlags, Stop, init_process, node_ready, registry, say};
use crate::progress;

/// How long a detached cluster may take to answer.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a stop may take: draining, and then writing what is left.
const STOP_LIMIT: Duration = Duration::from_secs(120);
const PID_FILE: &str = "up.pid";

#[derive(Args)]
pub(crate) struct Up {
    #[command(flatten)]
    control_plane: ControlPlaneFlags,
    #[command(flatten)]
    node: NodeFlags,
    /// Run in the background and return when the cluster is ready; `wasmk down` stops it
    #[arg(short, long)]
    detach: bool,
}

#[derive(Args)]
pub(crate) struct Down {
    /// Where the cluster keeps its data [default: $WASMK_DATA, then the platform's place]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Up {
    pub(crate) async fn run(self) -> Result<()> {
        let started = Instant::now();
        let data_dir = super::data_dir(self.control_plane.data_dir.clone())?;
        if self.detach {
            return detach(&data_dir).await;
        }
        // Held to the end of the process: it says that the process id in the directory is ours.
        let _lock = lock(&data_dir)?;
        init_process();
        let name = self.node.name()?;
        let config = self.control_plane.server_config(&data_dir, registry(&data_dir)?)?;
        let server = wasmk_scheduler::Server::start(config).await?;
        let node_ip = self.node.node_ip.unwrap_or(server.advertised().ip());
        let issued = server.issue_node(&name, &[node_ip])?;
        let identity = wasmk_host::Identity {
            certificate_pem: issued.certificate_pem,
            key_pem: issued.key_pem,
            ca_pem: issued.ca_pem,
        };
        let url = format!("https://{}", server.advertised());
        let config = self.node.node_config(&name, node_ip, &data_dir, data_dir.join("images"), &url)?;
        let node = match wasmk_host::Node::start(config, &identity).await {
            Ok(node) => node,
            Err(error) => {
                server.shutdown().await;
                return Err(error.into());
            }
        };
        let mut stop = Stop::new()?;
        let client = server.kube_client();
        // Both arms only wait; the node goes on starting until it is told to stop.
        let is_ready = tokio::select! {
            ready = node_ready(&client, &node, &name) => ready.map(|()| true),
            () = stop.wait() => Ok(false),
        }?;
        if is_ready {
            announce(&server, &name, started.elapsed());
            std::fs::write(data_dir.join(PID_FILE), std::process::id().to_string()).context("write the process id")?;
            stop.wait().await;
        }
        say("stopping: waiting for requests in flight; Ctrl-C again ends at once");
        // Both arms end the process; the second leaves the rest to the next start, which finds everything again.
        tokio::select! {
            () = async { node.shutdown(self.node.drain()).await; server.shutdown().await } => {}
            () = stop.wait() => {}
        }
        let _ = std::fs::remove_file(data_dir.join(PID_FILE));
        Ok(())
    }
}

fn announce(server: &wasmk_scheduler::Server, name: &str, took: Duration) {
    let kubeconfig = server.kubeconfig_path().display();
    say(&format!("wasmk is ready after {:.2} s", took.as_secs_f64()));
    say(&format!("  API         https://{}", server.advertised()));
    say(&format!("  node        {name}"));
    say(&format!("  kubeconfig  {kubeconfig}"));
    say("wasmk finds the cluster by itself; for kubectl:");
    say(&format!("  export KUBECONFIG={kubeconfig}"));
    say("Ctrl-C stops it; the next `wasmk up` finds everything again.");
}

/// Starts this very command again in the background and waits until the cluster answers.
async fn detach(data_dir: &Path) -> Result<()> {
    if let Some(pid) = running(data_dir) {
        say(&format!("the cluster of {} is running already (process {pid})", data_dir.display()));
        return Ok(());
    }
    std::fs::create_dir_all(data_dir).with_context(|| format!("make {}", data_dir.display()))?;
    let log_path = data_dir.join("up.log");
    let log = File::create(&log_path).with_context(|| format!("write {}", log_path.display()))?;
    let arguments = std::env::args_os().skip(1).filter(|argument| argument != "-d" && argument != "--detach");
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments).env("WASMK_DATA", data_dir).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    #[cfg(windows)]
    std::os::windows::process::CommandExt::creation_flags(&mut command, 0x0000_0008 /* DETACHED_PROCESS */);
    let mut child = command.spawn().context("start wasmk in the background")?;
    let ready = async {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if let Some(status) = child.try_wait()? {
                bail!("wasmk ended with {status}:\n{}", std::fs::read_to_string(&log_path)?.trim());
            }
            if running(data_dir) == Some(child.id()) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("wasmk is not ready after {START_LIMIT:?}; see {}", log_path.display());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    progress::during("starting the cluster", ready).await?;
    print!("{}", std::fs::read_to_string(&log_path)?.replace("Ctrl-C stops it", "`wasmk down` stops it"));
    Ok(())
}

impl Down {
    pub(crate) async fn run(self) -> Result<()> {
        let data_dir = super::data_dir(self.data_dir)?;
        let Some(pid) = running(&data_dir) else {
            say(&format!("no cluster of {} is running", data_dir.display()));
            return Ok(());
        };
        interrupt(pid)?;
        let stopped = async {
            while running(&data_dir).is_some() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let stopped = tokio::time::timeout(STOP_LIMIT, stopped);
        let stopped = progress::during("waiting for requests in flight and containers to end", stopped).await;
        stopped.with_context(|| format!("process {pid} is still at work after {STOP_LIMIT:?}"))?;
        let _ = std::fs::remove_file(data_dir.join(PID_FILE));
        say("stopped; `wasmk up` finds everything again");
        Ok(())
    }
}

fn lock(data_dir: &Path) -> Result<File> {
    std::fs::create_dir_all(data_dir).with_context(|| format!("make {}", data_dir.display()))?;
    let path = data_dir.join("up.lock");
    let file = File::create(&path).with_context(|| format!("write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => bail!(
            "another wasmk runs the cluster of {}; stop it by `wasmk down`, or choose another --data-dir",
            data_dir.display()
        ),
    }
}

/// The process that runs the cluster of this directory, if it says so and is alive.
fn running(data_dir: &Path) -> Option<u32> {
    let pid: u32 = std::fs::read_to_string(data_dir.join(PID_FILE)).ok()?.trim().parse().ok()?;
    let is_ours = pid > 1 && is_alive(pid) && is_lock_held(data_dir);
    is_ours.then_some(pid)
}

/// Whether a process runs the cluster of this directory: a process id alone may belong to another by now.
fn is_lock_held(data_dir: &Path) -> bool {
    let Ok(file) = File::open(data_dir.join("up.lock")) else { return false };
    matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock))
}

#[cfg(unix)]
fn is_alive(pid: u32) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return false };
    // SAFETY: signal 0 sends nothing, it only asks whether the process is there.
    unsafe { libc::kill(pid, 0) == 0 }
}

#[cfg(unix)]
fn interrupt(pid: u32) -> Result<()> {
    // SAFETY: sending a signal touches no memory of ours.
    let sent = unsafe { libc::kill(libc::pid_t::try_from(pid)?, libc::SIGTERM) };
    if sent == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()).with_context(|| format!("stop process {pid}")) }
}

#[cfg(windows)]
fn is_alive(pid: u32) -> bool {
    let listed = Command::new("tasklist").args(["/FI", &format!("PID eq {pid}"), "/NH"]).output();
    listed.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(&pid.to_string()))
}

#[cfg(windows)]
fn interrupt(pid: u32) -> Result<()> {
    // There is no signal to ask with; what was acknowledged is on disk, and the next start takes the pods up again.
    let status = Command::new("taskkill").args(["/F", "/PID", &pid.to_string()]).status().context("start taskkill")?;
    if status.success() { Ok(()) } else { bail!("taskkill ended with {status}") }
}
