//! Verbs on containers that are there: start, stop, restart, kill, rm, port.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::container::{Containers, Grace, State, follow, published};
use crate::args::Global;

#[derive(Args)]
pub(crate) struct Start {
    /// Show its output and exit with its code
    #[arg(short, long)]
    attach: bool,
    /// Pass on standard input
    #[arg(short, long)]
    interactive: bool,
    #[arg(required = true, value_name = "CONTAINER")]
    names: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Stop {
    /// Seconds until it is killed
    #[arg(short = 't', long, alias = "timeout", value_name = "SECONDS", default_value_t = 10)]
    time: u32,
    #[arg(required = true, value_name = "CONTAINER")]
    names: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Restart {
    /// Seconds until it is killed
    #[arg(short = 't', long, alias = "timeout", value_name = "SECONDS", default_value_t = 10)]
    time: u32,
    #[arg(required = true, value_name = "CONTAINER")]
    names: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Kill {
    /// WASI has no signals: KILL ends the container at once, any other lets it finish its requests
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    signal: String,
    #[arg(required = true, value_name = "CONTAINER")]
    names: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Rm {
    /// Also those that run
    #[arg(short, long)]
    force: bool,
    /// Taken for compatibility: empty directories go with their container anyway
    #[arg(short, long)]
    volumes: bool,
    #[arg(required = true, value_name = "CONTAINER")]
    names: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Port {
    #[arg(value_name = "CONTAINER")]
    name: String,
    /// Only this port of the container
    #[arg(value_name = "PORT[/tcp]")]
    port: Option<String>,
}

impl Start {
    pub(crate) async fn run(self, global: &Global) -> Result<ExitCode> {
        let containers = Arc::new(Containers::connect(global).await?);
        if self.attach || self.interactive {
            let [name] = self.names.as_slice() else { bail!("--attach and --interactive are for one container") };
            let pod = containers.start(name).await?;
            let pod = containers.started(pod).await?;
            let tty = pod["spec"]["containers"][0]["tty"] == true;
            return Ok(ExitCode::from(follow(&containers, pod, self.interactive, tty).await?));
        }
        each(&self.names, async |name| {
            let pod = containers.start(name).await?;
            let pod = containers.started(pod).await?;
            containers.reachable(&pod).await
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Stop {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let containers = Containers::connect(global).await?;
        each(&self.names, async |name| containers.stop(name, Grace(self.time)).await).await
    }
}

impl Restart {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let containers = Containers::connect(global).await?;
        each(&self.names, async |name| {
            containers.stop(name, Grace(self.time)).await?;
            let pod = containers.start(name).await?;
            let pod = containers.started(pod).await?;
            containers.reachable(&pod).await
        })
        .await
    }
}

impl Kill {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let containers = Containers::connect(global).await?;
        let is_final = matches!(self.signal.trim_start_matches("SIG"), "KILL" | "9");
        let grace = if is_final { Grace(0) } else { Grace(10) };
        each(&self.names, async |name| {
            let state = State::of(&containers.find(name).await?);
            if !state.is_live() {
                bail!("container {name} is not running: it is {}", state.word());
            }
            containers.stop(name, grace).await
        })
        .await
    }
}

impl Rm {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let _ = self.volumes;
        let containers = Containers::connect(global).await?;
        each(&self.names, async |name| containers.remove(name, self.force).await).await
    }
}

impl Port {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let containers = Containers::connect(global).await?;
        let pod = containers.find(&self.name).await?;
        let ips = containers.node_ips().await;
        let wanted = self.port.as_deref().map(|port| port.trim_end_matches("/tcp").parse::<u16>());
        let wanted = wanted.transpose().context("PORT is a number, such as 80 or 80/tcp")?;
        let ports: Vec<_> =
            published(&pod).into_iter().filter(|port| wanted.is_none_or(|wanted| wanted == port.container)).collect();
        if let (Some(port), []) = (wanted, ports.as_slice()) {
            bail!("port {port} of container {} is not published", self.name);
        }
        for port in ports {
            for ip in &ips {
                match wanted {
                    Some(_) => println!("{ip}:{}", port.host),
                    None => println!("{}/tcp -> {ip}:{}", port.container, port.host),
                }
            }
        }
        Ok(())
    }
}

/// The exit codes of containers, once they have ended: `docker wait`.
pub(super) async fn wait(global: &Global, names: &[String]) -> Result<()> {
    let containers = Containers::connect(global).await?;
    for name in names {
        let mut pod = containers.find(name).await?;
        let code = loop {
            if let State::Exited { code, .. } = State::of(&pod) {
                break code;
            }
            pod = containers.next(&pod).await?.with_context(|| format!("container {name} was removed"))?;
        };
        println!("{code}");
    }
    Ok(())
}

/// Does it to each container and prints the names of those where it worked; one failure does not keep the others.
async fn each(names: &[String], act: impl AsyncFn(&str) -> Result<()>) -> Result<()> {
    let mut failures = 0;
    for name in names {
        match act(name).await {
            Ok(()) => println!("{name}"),
            Err(error) => {
                eprintln!("{}", crate::session::explain(&error));
                failures += 1;
            }
        }
    }
    if failures > 0 { bail!("{failures} of {} containers failed", names.len()) } else { Ok(()) }
}
