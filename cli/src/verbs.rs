//! One module a verb: its arguments and what it does.

pub(crate) mod agent;
pub(crate) mod api_resources;
pub(crate) mod apply;
pub(crate) mod build;
pub(crate) mod compile;
pub(crate) mod config;
pub(crate) mod cp;
pub(crate) mod delete;
pub(crate) mod describe;
pub(crate) mod edit;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod get;
pub(crate) mod image;
pub(crate) mod label;
pub(crate) mod logs;
pub(crate) mod new;
pub(crate) mod patch;
mod pods;
pub(crate) mod port_forward;
mod process;
mod remote;
pub(crate) mod rollout;
pub(crate) mod scale;
pub(crate) mod server;
pub(crate) mod set;
mod targets;
pub(crate) mod top;
pub(crate) mod up;
pub(crate) mod version;
pub(crate) mod wait;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::args::{Cli, Verb};

pub(crate) fn run(args: Cli) -> Result<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the async runtime")?;
    let code = runtime.block_on(dispatch(args));
    // Reads of stdin or a prompt may still block a thread; the process ends without them.
    runtime.shutdown_background();
    code
}

async fn dispatch(args: Cli) -> Result<ExitCode> {
    let global = args.global;
    match args.verb {
        Verb::Up(verb) => verb.run().await?,
        Verb::Down(verb) => verb.run().await?,
        Verb::Server(verb) => verb.run().await?,
        Verb::Agent(verb) => verb.run().await?,
        Verb::Build(verb) => verb.run(&global).await?,
        Verb::Images(verb) => verb.run()?,
        Verb::Tag(verb) => verb.run()?,
        Verb::Push(verb) => verb.run(&global).await?,
        Verb::Pull(verb) => verb.run(&global).await?,
        Verb::Rmi(verb) => verb.run().await?,
        Verb::Inspect(verb) => verb.run()?,
        Verb::History(verb) => verb.run()?,
        Verb::Save(verb) => verb.run().await?,
        Verb::Load(verb) => verb.run().await?,
        Verb::Login(verb) => verb.run().await?,
        Verb::Logout(verb) => verb.run()?,
        Verb::Image(verb) => verb.run(&global).await?,
        Verb::New(verb) => verb.run()?,
        Verb::CompileGuest(verb) => verb.run()?,
        Verb::Get(verb) => verb.run(&global).await?,
        Verb::Describe(verb) => verb.run(&global).await?,
        Verb::Apply(verb) => verb.run(&global).await?,
        Verb::Create(verb) => verb.run(&global).await?,
        Verb::Delete(verb) => verb.run(&global).await?,
        Verb::Logs(verb) => verb.run(&global).await?,
        Verb::Exec(verb) => return verb.run(&global).await,
        Verb::Attach(verb) => return verb.run(&global).await,
        Verb::Cp(verb) => verb.run(&global).await?,
        Verb::PortForward(verb) => verb.run(&global).await?,
        Verb::Scale(verb) => verb.run(&global).await?,
        Verb::Set(verb) => verb.run(&global).await?,
        Verb::Rollout(verb) => verb.run(&global).await?,
        Verb::Edit(verb) => verb.run(&global).await?,
        Verb::Patch(verb) => verb.run(&global).await?,
        Verb::Label(verb) => verb.run(&global).await?,
        Verb::Annotate(verb) => verb.run(&global).await?,
        Verb::Wait(verb) => verb.run(&global).await?,
        Verb::Events(verb) => verb.run(&global).await?,
        Verb::Top(verb) => verb.run(&global).await?,
        Verb::ApiResources(verb) => verb.run(&global).await?,
        Verb::Config(verb) => verb.run(&global)?,
        Verb::Version(verb) => verb.run(&global).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A duration as people write it: `90`, `5s`, `1m30s`, `2h`; in seconds.
pub(crate) fn seconds(text: &str) -> Result<f64> {
    if let Ok(seconds) = text.parse::<f64>() {
        anyhow::ensure!((0.0..1e9).contains(&seconds), "{text} is no duration; write 90s, 5m or 1h30m");
        return Ok(seconds);
    }
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(rest.len());
        let unit =
            digits + rest[digits..].find(|character: char| character.is_ascii_digit()).unwrap_or(rest.len() - digits);
        let count: f64 =
            rest[..digits].parse().with_context(|| format!("{text} is no duration; write 90s, 5m or 1h30m"))?;
        total += count
            * match &rest[digits..unit] {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                _ => anyhow::bail!("{text} is no duration; write 90s, 5m or 1h30m"),
            };
        rest = &rest[unit..];
    }
    anyhow::ensure!((0.0..1e9).contains(&total), "{text} is too long a duration");
    Ok(total)
}

/// Where wasmk keeps its data: the flag, `$WASMK_DATA`, or the platform's place for it.
pub(crate) fn data_dir(flag: Option<PathBuf>) -> Result<PathBuf> {
    let set =
        flag.or_else(|| std::env::var_os("WASMK_DATA").map(PathBuf::from)).filter(|path| !path.as_os_str().is_empty());
    if let Some(path) = set {
        return Ok(std::path::absolute(path)?);
    }
    if let Some(base) = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute()) {
        return Ok(base.join("wasmk"));
    }
    let home = std::env::home_dir().context("no home directory; say where to keep data by --data-dir or WASMK_DATA")?;
    let below: &[&str] = match std::env::consts::OS {
        "macos" => &["Library", "Application Support", "wasmk"],
        "windows" => &["AppData", "Local", "wasmk"],
        _ => &[".local", "share", "wasmk"],
    };
    Ok(below.iter().fold(home, |path, part| path.join(part)))
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        assert_eq!(seconds("90").unwrap(), 90.0);
        assert_eq!(seconds("1m30s").unwrap(), 90.0);
        assert_eq!(seconds("1500ms").unwrap(), 1.5);
        for wrong in ["5 parsecs", "-1", "inf", "nan", "99999999999h"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
