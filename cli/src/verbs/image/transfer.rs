use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use wasmk_host::{
    Blobs, Digest, KubeTransport, PullError, PushError, Reference, Registry, Step, pull_from, push_to, registry_key,
};

use super::Local;
use crate::args::Global;
use crate::session::Session;

#[derive(Args)]
pub(crate) struct Pull {
    /// Such as hello:v1, which is in the cluster's registry, or ghcr.io/team/hello:v1
    #[arg(value_name = "IMAGE")]
    image: Reference,
    /// Print the name alone
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Args)]
pub(crate) struct Push {
    /// Such as hello:v1, which goes to the cluster's registry, or ghcr.io/team/hello:v1
    #[arg(value_name = "IMAGE")]
    image: Reference,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

impl Pull {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let local = Local::open()?;
        let before = local.store.find(&self.image);
        if !self.quiet {
            eprintln!("{}: Pulling from {}", self.image.tag_or_digest(), self.image.full_repository());
        }
        let digest = pull(global, &local, &self.image, &blobs(self.quiet, ["Pulling", "Pull complete"])).await?;
        if !self.quiet {
            eprintln!("Digest: {digest}");
            match before == Some(digest) {
                true => eprintln!("Status: Image is up to date for {}", self.image),
                false => eprintln!("Status: Downloaded newer image for {}", self.image),
            }
        }
        println!("{}", self.image);
        Ok(())
    }
}

impl Push {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let local = Local::open()?;
        if local.store.find(&self.image).is_none() {
            return Err(PushError::NotFound(self.image).into());
        }
        if !self.quiet {
            eprintln!("The push refers to repository [{}]", self.image.full_repository());
        }
        let progress = blobs(self.quiet, ["Pushing", "Pushed"]);
        let pushed = match &self.image.registry {
            None => {
                let transport = KubeTransport(cluster(global, &self.image).await?.client());
                push_to(&local.store, Registry::Cluster(&transport), &self.image, &progress).await
            }
            Some(host) => {
                let registries = local.registries();
                let logins: Vec<_> = registries.login(&registry_key(host))?.into_iter().collect();
                push_to(&local.store, Registry::Outside(&registries, &logins), &self.image, &progress).await
            }
        };
        let digest = pushed.with_context(|| format!("push {}", self.image))?;
        println!("{}: digest: {digest}", self.image.tag_or_digest());
        Ok(())
    }
}

/// Brings an image here. One without a registry is the cluster's, and where that has none of the name, the default
/// registry's.
pub(in crate::verbs) async fn pull(
    global: &Global,
    local: &Local,
    image: &Reference,
    progress: &Blobs,
) -> Result<Digest> {
    let registries = local.registries();
    let default = registries.default_registry()?;
    let host = match (&image.registry, &default) {
        (Some(host), _) => host.clone(),
        (None, default) => {
            let session = match (cluster(global, image).await, default) {
                (Err(error), None) => return Err(error),
                (session, _) => session.ok(),
            };
            if let Some(session) = session {
                let transport = KubeTransport(session.client());
                match (pull_from(&local.store, Registry::Cluster(&transport), image, progress).await, default) {
                    (Err(PullError::NotFound(..) | PullError::Unreachable(..)), Some(_)) => {}
                    (pulled, _) => return Ok(pulled?),
                }
            }
            default.clone().unwrap_or_default()
        }
    };
    let logins: Vec<_> = registries.login(&registry_key(&host))?.into_iter().collect();
    Ok(pull_from(&local.store, Registry::Outside(&registries, &logins), image, progress).await?)
}

async fn cluster(global: &Global, image: &Reference) -> Result<Session> {
    match Session::connect(global).await {
        Ok(session) => Ok(session),
        Err(error) => bail!(
            "{image} names no registry, so it is the cluster's, and {error:#}; or name a registry, as in localhost:5000/{image}"
        ),
    }
}

/// Shows blobs on their way: bars on a terminal, else a line for what is done. `words` are for what goes on and is done.
fn blobs(quiet: bool, words: [&'static str; 2]) -> Blobs {
    if quiet {
        return Blobs::silent();
    }
    let is_terminal = std::io::stderr().is_terminal();
    let bars = MultiProgress::new();
    let known: Mutex<HashMap<Digest, ProgressBar>> = Mutex::default();
    let style =
        ProgressStyle::with_template("{prefix}: {msg} {bar:30} {bytes}/{total_bytes}").expect("the template is valid");
    Blobs::told(move |digest, step| {
        let short = &digest.hex()[..12];
        let done = match step {
            Step::Present => "Already exists",
            Step::Done => words[1],
            Step::Resumed { done } => {
                let line = format!("{short}: broke off, going on from byte {done}");
                return if is_terminal { drop(bars.println(line)) } else { eprintln!("{line}") };
            }
            Step::Waiting { total } | Step::Moved { total, .. } => {
                if is_terminal {
                    let mut known = known.lock().expect("no panic while held");
                    let bar = known.entry(digest.clone()).or_insert_with(|| {
                        let bar = bars.add(ProgressBar::new(total).with_style(style.clone()));
                        bar.set_prefix(short.to_owned());
                        bar.set_message(words[0]);
                        bar
                    });
                    if let Step::Moved { done, .. } = step {
                        bar.set_position(done);
                    }
                }
                return;
            }
        };
        if let Some(bar) = known.lock().expect("no panic while held").remove(digest) {
            bar.finish_and_clear();
        }
        let line = format!("{short}: {done}");
        if is_terminal { drop(bars.println(line)) } else { eprintln!("{line}") }
    })
}
