use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::pods;
use super::remote::{Remote, Wanted};
use crate::args::Global;
use crate::session::Session;

#[derive(Args)]
pub(crate) struct Exec {
    /// A pod, or a workload such as `deploy/hello`
    target: String,
    #[command(flatten)]
    streams: StreamFlags,
    /// The command and its arguments, after `--`: the container's own program, a wasm file, or a built-in tool
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Attach {
    /// A pod, or a workload such as `deploy/hello`
    target: String,
    #[command(flatten)]
    streams: StreamFlags,
}

#[derive(Args)]
struct StreamFlags {
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
    /// Pass on standard input
    #[arg(short = 'i', long)]
    stdin: bool,
    /// One stream for both outputs, as a terminal has
    #[arg(short, long)]
    tty: bool,
}

impl Exec {
    pub(crate) async fn run(self, global: &Global) -> Result<ExitCode> {
        self.streams.run(global, &self.target, Some(&self.command)).await
    }
}

impl Attach {
    pub(crate) async fn run(self, global: &Global) -> Result<ExitCode> {
        self.streams.run(global, &self.target, None).await
    }
}

impl StreamFlags {
    async fn run(&self, global: &Global, target: &str, command: Option<&[String]>) -> Result<ExitCode> {
        let session = Session::connect(global).await?;
        let pod = pods::of(&session, target).await?.choose();
        let container = pods::container(&pod, self.container.as_deref())?;
        let wanted = Wanted { pod: pods::name(&pod), container: &container, command, stdin: self.stdin, tty: self.tty };
        let remote = Remote::open(&session, &wanted).await?;
        let code = remote.run(tokio::io::stdin(), tokio::io::stdout(), tokio::io::stderr()).await?;
        if code != 0 {
            eprintln!("command terminated with exit code {code}");
        }
        Ok(ExitCode::from(code))
    }
}
