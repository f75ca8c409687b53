//! What `run` and `create` take, as Docker writes it.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::mount::Mount;
use super::publish::Publish;
use super::size::{Cpus, Memory};

#[derive(Args, Clone)]
pub(crate) struct ContainerFlags {
    /// Name of the container [default: the image's with a few letters after it]
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Open a port of the node: HOST:CONTAINER, or CONTAINER for any free one
    #[arg(short, long, value_name = "PORTS")]
    pub(super) publish: Vec<Publish>,
    /// Set a variable, or pass on one of this shell
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub(super) env: Vec<String>,
    /// Read variables from a file
    #[arg(long, value_name = "FILE")]
    pub(super) env_file: Vec<PathBuf>,
    /// Mount a directory: HOST:CONTAINER[:ro], or CONTAINER for an empty one
    #[arg(short, long, value_name = "VOLUME")]
    pub(super) volume: Vec<Mount>,
    /// At most so much memory, such as 64m or 1g
    #[arg(short, long, value_name = "BYTES")]
    pub(super) memory: Option<Memory>,
    /// At most so many CPUs, such as .5
    #[arg(long, value_name = "NUMBER")]
    pub(super) cpus: Option<Cpus>,
    /// Keep standard input open
    #[arg(short, long)]
    pub(super) interactive: bool,
    /// One stream for both outputs, as a terminal has
    #[arg(short, long)]
    pub(super) tty: bool,
    /// Directory to start in
    #[arg(short, long, value_name = "DIR")]
    pub(super) workdir: Option<String>,
    /// Program name to start with, instead of the image's
    #[arg(long, value_name = "COMMAND")]
    pub(super) entrypoint: Option<String>,
    /// When to start it again after its end
    #[arg(long, value_name = "no|on-failure|always|unless-stopped", default_value = "no")]
    pub(super) restart: Restart,
    /// When to ask the registry for the image [default: for `latest` and when the node has none]
    #[arg(long, value_name = "always|missing|never")]
    pub(super) pull: Option<Pull>,
    /// Label of the container
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(super) label: Vec<String>,
    /// Remove the container when it has ended
    #[arg(long = "rm")]
    pub(super) remove: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restart {
    No,
    OnFailure,
    Always,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Pull {
    Always,
    Missing,
    Never,
}

impl FromStr for Restart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "no" => Ok(Self::No),
            "on-failure" => Ok(Self::OnFailure),
            // What was stopped stays so, also after the node started anew.
            "always" | "unless-stopped" => Ok(Self::Always),
            _ if text.starts_with("on-failure:") => {
                Err("restarts are not counted, they come at growing intervals; write on-failure".to_owned())
            }
            _ => Err("use no, on-failure, always or unless-stopped".to_owned()),
        }
    }
}

impl ContainerFlags {
    pub(crate) fn is_interactive(&self) -> bool {
        self.interactive
    }

    pub(crate) fn is_tty(&self) -> bool {
        self.tty
    }

    pub(crate) fn removes(&self) -> bool {
        self.remove
    }
}
