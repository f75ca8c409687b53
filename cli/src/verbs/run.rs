use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

use super::container::{ContainerFlags, Containers, follow, name};
use crate::args::Global;
use crate::progress;

/// What a container engine exits with when it fails itself, as Docker does.
const ENGINE_FAILED: u8 = 125;

#[derive(Args)]
pub(crate) struct Run {
    #[command(flatten)]
    flags: ContainerFlags,
    /// Run in the background and print the container's name
    #[arg(short, long)]
    detach: bool,
    /// The image, and then the program's arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "IMAGE [ARGS]")]
    command: Vec<String>,
}

impl Run {
    pub(crate) async fn run(self, global: &Global) -> ExitCode {
        match self.try_run(global).await {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                eprintln!("{}", crate::session::explain(&error));
                ExitCode::from(ENGINE_FAILED)
            }
        }
    }

    async fn try_run(&self, global: &Global) -> Result<u8> {
        let (image, arguments) = self.command.split_first().context("say which image")?;
        let containers = Arc::new(Containers::connect(global).await?);
        // In the foreground the client removes it: it still wants the exit code and the last lines.
        let removed_by_cluster = self.flags.removes() && self.detach;
        let pod = containers.create(&self.flags, image, arguments, false, removed_by_cluster).await?;
        let name = name(&pod).to_owned();
        let pod = match started(&containers, pod).await {
            Ok(pod) => pod,
            Err(error) => {
                // It never ran, so there is nothing to keep; the name is free again.
                let _ = containers.remove(&name, true).await;
                return Err(error);
            }
        };
        if self.detach {
            containers.reachable(&pod).await?;
            println!("{name}");
            return Ok(0);
        }
        let code = follow(&containers, pod, self.flags.is_interactive(), self.flags.is_tty()).await?;
        if self.flags.removes() {
            containers.remove(&name, true).await?;
        }
        Ok(code)
    }
}

/// Says what is waited for only to people: a script reads the program's own words on stderr.
async fn started(containers: &Containers, pod: Value) -> Result<Value> {
    let message = format!("starting {}", name(&pod));
    match std::io::stderr().is_terminal() {
        true => progress::during(&message, containers.started(pod)).await,
        false => containers.started(pod).await,
    }
}
