//! What `up`, `server` and `agent` share: flags, logging, stopping.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use k8s_openapi::api::core::v1::Node as NodeObject;
use kube::runtime::wait::await_condition;
use wasmk_host::NodeConfig;
use wasmk_scheduler::ServerConfig;

#[derive(Args)]
pub(crate) struct ControlPlaneFlags {
    /// Where everything is kept [default: $WASMK_DATA, then the platform's place]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Address that the API listens on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(crate) bind_address: IpAddr,
    /// Port of the API
    #[arg(long, value_name = "PORT", default_value_t = 6443)]
    port: u16,
    /// Address by which nodes and clients reach the API [default: the bind address]
    #[arg(long, value_name = "IP")]
    advertise_address: Option<IpAddr>,
    /// Further names or addresses in the API's certificate
    #[arg(long, value_name = "NAME")]
    tls_san: Vec<String>,
    /// Addresses of pods; each node gets a /20 of them
    #[arg(long, value_name = "CIDR", default_value = "10.64.0.0/10")]
    cluster_cidr: ipnet::Ipv4Net,
}

impl ControlPlaneFlags {
    pub(crate) fn server_config(&self, data_dir: &Path, registry: axum::Router) -> Result<ServerConfig> {
        let mut config = ServerConfig::local(data_dir, self.port);
        config.listen = vec![SocketAddr::new(self.bind_address, self.port)];
        config.advertise = self.advertise_address;
        config.extra_names.clone_from(&self.tls_san);
        config.registry = registry;
        let all = ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 64, 0, 0), 10);
        if !all.contains(&self.cluster_cidr) {
            bail!("--cluster-cidr {} is not within {all}, which is where pods can live", self.cluster_cidr);
        }
        if self.cluster_cidr.prefix_len() > 20 {
            bail!("--cluster-cidr {} is too small: each node takes a /20", self.cluster_cidr);
        }
        config.controllers.pod_cidr = (self.cluster_cidr.network(), self.cluster_cidr.prefix_len());
        Ok(config)
    }
}

#[derive(Args)]
pub(crate) struct NodeFlags {
    /// The node's name [default: the host's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Address of this node for the control plane, other nodes and NodePorts
    #[arg(long, value_name = "IP")]
    pub(crate) node_ip: Option<IpAddr>,
    /// Port that other nodes and the control plane use
    #[arg(long, value_name = "PORT", default_value_t = 10250)]
    node_port: u16,
    /// Pods at once
    #[arg(long, value_name = "COUNT", default_value_t = 4000)]
    max_pods: u32,
    /// Directories below which hostPath volumes are allowed
    #[arg(long = "host-path-root", value_name = "DIR")]
    host_path_roots: Vec<PathBuf>,
    /// How long a stop waits for requests in flight and containers
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    drain_seconds: u64,
}

impl NodeFlags {
    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    pub(crate) fn name(&self) -> Result<String> {
        let name = self.name.clone().unwrap_or_else(host_name);
        match wasmk_api::names::check_dns1123_subdomain(&name) {
            problems if problems.is_empty() => Ok(name),
            problems => bail!("{name:?} is no name for a node: {}; say one by --name", problems.join(", ")),
        }
    }

    pub(crate) fn node_config(
        &self,
        name: &str,
        ip: IpAddr,
        data_dir: &Path,
        image_dir: PathBuf,
        server: &str,
    ) -> Result<NodeConfig> {
        let own_path = std::env::current_exe().context("find the wasmk binary itself")?;
        Ok(NodeConfig {
            name: name.to_owned(),
            ip,
            port: self.node_port,
            data_dir: data_dir.join("node"),
            image_dir,
            registries: wasmk_host::Registries::new(data_dir),
            server: server.to_owned(),
            compiler: Some(vec![own_path.into(), "compile-guest".into()]),
            pods_max: self.max_pods,
            host_path_roots: self.host_path_roots.clone(),
            adjust: |_| (),
        })
    }
}

/// The host's name as the system has it, made fit for a node.
fn host_name() -> String {
    let from_files =
        ["/proc/sys/kernel/hostname", "/etc/hostname"].iter().find_map(|path| std::fs::read_to_string(path).ok());
    let from_env = || ["HOSTNAME", "COMPUTERNAME"].iter().find_map(|name| std::env::var(name).ok());
    let raw = from_files.or_else(from_env).unwrap_or_default().trim().to_lowercase();
    let fit: String = raw
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() || character == '.' { character } else { '-' })
        .collect();
    let fit = fit.trim_matches(['-', '.']);
    if fit.is_empty() || fit == "localhost" { "wasmk".to_owned() } else { fit.to_owned() }
}

/// The registry of a control plane, over the image store of its data directory.
pub(crate) fn registry(data_dir: &Path) -> Result<axum::Router> {
    Ok(wasmk_host::registry(wasmk_host::ImageStore::open(data_dir.join("images"))?))
}

/// Resolves when the node says of itself that it is ready.
pub(crate) async fn node_ready(client: &kube::Client, node: &wasmk_host::Node, name: &str) -> Result<()> {
    node.ready().await;
    let is_ready = |node: Option<&NodeObject>| {
        let conditions = node.and_then(|node| node.status.as_ref()).and_then(|status| status.conditions.as_ref());
        conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    await_condition(kube::Api::all(client.clone()), name, is_ready).await.context("wait for the node")?;
    Ok(())
}

/// Lets the process have as many open files as the system allows: each connection and listener is one.
fn raise_file_limit() {
    #[cfg(unix)]
    // SAFETY: both calls only read and write the struct that they are given.
    unsafe {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

/// Warnings and errors go to stderr (`RUST_LOG` asks for more), and as many files may be open as the system allows.
pub(crate) fn init_process() {
    raise_file_limit();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// Talk, for people: on stderr, so that data stays alone on stdout.
pub(crate) fn say(text: &str) {
    // A closed stderr is no reason to end.
    let _ = writeln!(std::io::stderr(), "{text}");
}

pub(crate) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).write(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

/// Ctrl-C, and what the system sends to end a process.
pub(crate) struct Stop {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 2],
}

impl Stop {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            signals: {
                use tokio::signal::unix::{SignalKind, signal};
                [
                    signal(SignalKind::interrupt()).context("listen for Ctrl-C")?,
                    signal(SignalKind::terminate()).context("listen for SIGTERM")?,
                ]
            },
        })
    }

    #[cfg(unix)]
    pub(crate) async fn wait(&mut self) {
        let [interrupt, terminate] = &mut self.signals;
        // Both are cancel-safe: a signal that came is remembered.
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    pub(crate) async fn wait(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
