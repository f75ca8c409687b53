use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use wasmk_host::{Identity, JoinRequest, Node, join};

use super::process::{NodeFlags, Stop, init_process, say};
use crate::progress;

#[derive(Args)]
pub(crate) struct Agent {
    /// The API of the control plane, such as https://10.0.0.1:6443
    #[arg(long, value_name = "URL")]
    server: String,
    /// What `wasmk server` printed; needed the first time only
    #[arg(long, value_name = "TOKEN", env = "WASMK_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Where the node keeps its data [default: $WASMK_DATA, then the platform's place]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    node: NodeFlags,
}

impl Agent {
    pub(crate) async fn run(self) -> Result<()> {
        init_process();
        let data_dir = super::data_dir(self.data_dir.clone())?;
        let server = with_port(&self.server)?;
        let node_ip = match self.node.node_ip {
            Some(ip) => ip,
            None => own_address(&server).await?,
        };
        let name = self.node.name()?;
        let identity = self.identity(&data_dir.join("identity"), &server, &name, node_ip).await?;
        let config = self.node.node_config(&name, node_ip, &data_dir, data_dir.join("images"), &server)?;
        let node = Node::start(config, &identity).await?;
        let mut stop = Stop::new()?;
        // Both arms only wait; the node goes on starting until it is told to stop.
        let is_ready = tokio::select! {
            () = progress::during("waiting for the control plane", node.ready()) => true,
            () = stop.wait() => false,
        };
        if is_ready {
            say(&format!("node {name} is ready at {}", node.address()));
            stop.wait().await;
        }
        say("stopping: waiting for requests in flight; Ctrl-C again ends at once");
        // Both arms end the process; the pods stay in the API and come back with the next start.
        tokio::select! {
            () = node.shutdown(self.node.drain()) => {}
            () = stop.wait() => {}
        }
        Ok(())
    }

    /// What the node was given when it joined, or is given now.
    async fn identity(&self, dir: &Path, server: &str, name: &str, ip: IpAddr) -> Result<Identity> {
        // A name or a cluster that changed needs a certificate that says so.
        let kept = Identity::load(dir).filter(|identity| identity.is_for(name, self.token.as_deref()));
        if let Some(identity) = kept {
            return Ok(identity);
        }
        let token = self.token.as_deref().context("a node that joins needs --token; `wasmk server` prints it")?;
        let request = JoinRequest { server, token, node_name: name, addresses: &[ip] };
        let identity = progress::during("joining the cluster", join(&request)).await?;
        identity.store(dir)?;
        Ok(identity)
    }
}

/// The URL with the API's usual port where it has none.
fn with_port(server: &str) -> Result<String> {
    let uri: http::Uri = server.parse().with_context(|| format!("--server {server}"))?;
    let host = uri.host().with_context(|| format!("--server {server} names no host"))?;
    if uri.scheme_str() != Some("https") {
        anyhow::bail!("--server {server}: write it as https://HOST:PORT");
    }
    Ok(format!("https://{host}:{}", uri.port_u16().unwrap_or(6443)))
}

/// The address of this machine that leads to the server.
async fn own_address(server: &str) -> Result<IpAddr> {
    let uri: http::Uri = server.parse().with_context(|| format!("--server {server}"))?;
    let host = uri.host().with_context(|| format!("--server {server} names no host"))?;
    let socket = tokio::net::UdpSocket::bind("0.0.0.0:0").await?;
    // Connecting UDP sends nothing; it only asks the system for the route.
    let connected = socket.connect((host, uri.port_u16().unwrap_or(6443))).await;
    connected.with_context(|| format!("find a way to {host}; say by --node-ip which address this node has"))?;
    Ok(socket.local_addr()?.ip())
}
