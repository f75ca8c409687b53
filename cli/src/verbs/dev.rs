//! `wasmk dev`: what is edited is what runs. Each change of the sources is built, and the replicas are replaced one after
//! the other; what does not build or does not start leaves the old ones serving.

mod objects;
mod output;
mod sources;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser};
use http::Method;
use serde_json::{Value, json};

use self::objects::{Objects, Project};
use self::output::Output;
use self::sources::Sources;
use super::apply::FIELD_MANAGER;
use super::get::is_not_found;
use super::process::{Interrupts, say};
use super::targets::query;
use crate::args::{Cli, Global, Verb};
use crate::session::{APPLY_PATCH, JSON, Session, explain};

#[derive(Args)]
pub(crate) struct Dev {
    /// The project
    #[arg(default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// Manifest of the project [default: deploy.yaml in DIR; without one, a Deployment and a Service are made]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Name of the image, and of what is made without a manifest [default: the manifest's, else the directory's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Port of this machine, without a manifest
    #[arg(short, long, value_name = "PORT", default_value_t = 8080)]
    port: u16,
    /// Port of the program, if it listens by itself, without a manifest
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    container_port: u16,
    /// Leave everything running at the end
    #[arg(long)]
    keep: bool,
}

/// How often the pods of a rollout are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// An object that was not there before.
struct Made {
    path: String,
    name: String,
}

impl Dev {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        if !self.dir.is_dir() {
            bail!("{} is no directory; say which project", self.dir.display());
        }
        let session = Arc::new(Session::connect(global).await?);
        // Nothing can be tried without a cluster: better said before the first build.
        session.discovery().await?;
        let mut interrupts = Interrupts::new()?;
        let mut made = Vec::new();
        let ended = tokio::select! {
            ended = self.watch(global, &session, &mut made) => ended,
            _ = interrupts.next() => Ok(()),
        };
        match self.keep || made.is_empty() {
            true => say("Everything stays as it is; `wasmk get all` shows it."),
            false => remove(&session, &made).await,
        }
        ended
    }

    async fn watch(&self, global: &Global, session: &Arc<Session>, made: &mut Vec<Made>) -> Result<()> {
        let mut sources = Sources::of(&self.dir)?;
        let mut output = Output::new(session.clone());
        loop {
            let built = sources.fingerprint()?;
            let started = Instant::now();
            let outcome = match self.update(global, session, made).await {
                Ok(objects) => {
                    let workload = objects.workload();
                    output.follow(workload)?;
                    // What is changed meanwhile is built at once; nothing of a rollout is lost by not looking.
                    tokio::select! {
                        done = rolled_out(session, workload) => done.map(|()| announce(&objects, started)),
                        changed = sources.changed_from(&built) => changed,
                    }
                }
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                say(&format!("{}\nWhat ran before goes on; waiting for the next change.", explain(&error)));
            }
            sources.changed_from(&built).await?;
            say("The sources changed.");
        }
    }

    /// Builds what is there now and brings it into the cluster.
    async fn update(&self, global: &Global, session: &Session, made: &mut Vec<Made>) -> Result<Objects> {
        let project = Project::read(&self.dir, self.file.as_deref(), self.name.as_deref())?;
        let (image, wasm) = build(global, &self.dir, &project.image).await?;
        let objects = match project.manifests(&image) {
            Some(objects) => objects,
            None => {
                let explained = wasmk_host::explain(&std::fs::read(&wasm)?)?;
                objects::generated(&project.image, &image, &explained, self.port, self.container_port)
            }
        };
        let objects = Objects::new(objects, &image)?;
        for object in objects.all() {
            made.extend(apply(session, object).await?);
        }
        Ok(objects)
    }
}

fn announce(objects: &Objects, started: Instant) {
    let name = objects.workload()["metadata"]["name"].as_str().unwrap_or_default();
    say(&format!("{name} serves the new version, after {:.1} s", started.elapsed().as_secs_f64()));
    for url in objects.all().iter().flat_map(objects::urls) {
        say(&format!("  {url}"));
    }
}

/// Runs `wasmk build`; answers the image by its digest, which alone tells one build from the next, and its wasm file.
async fn build(global: &Global, dir: &Path, name: &str) -> Result<(String, PathBuf)> {
    let tag = format!("{name}:dev");
    let words = [OsStr::new("wasmk"), OsStr::new("build"), dir.as_os_str(), OsStr::new("-t"), OsStr::new(&tag)];
    let Verb::Build(verb) = Cli::try_parse_from(words).context("build the project")?.verb else {
        unreachable!("the words say build");
    };
    verb.run(global).await?;
    let store = wasmk_host::ImageStore::open(&super::data_dir(None)?.join("images"))?;
    let reference = tag.parse()?;
    let digest = store.find(&reference).with_context(|| format!("{tag} was built and is not in the store"))?;
    let wasm =
        wasmk_host::local_wasm(&Arc::new(store), None, &reference).await?.context("the image has no wasm file")?;
    Ok((format!("{name}@{digest}"), wasm))
}

/// Answers the object if it was not there before.
async fn apply(session: &Session, object: &Value) -> Result<Option<Made>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let resource = session.discovery().await?.by_kind(&api_version, &kind)?;
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or(&session.namespace);
    let name = text(&object["metadata"]["name"]);
    let path = resource.object(namespace, &name);
    let is_new = match session.get(&path).await {
        Ok(_) => false,
        Err(error) if is_not_found(&error) => true,
        Err(error) => return Err(error),
    };
    let parameters =
        query(&[("fieldManager", Some(FIELD_MANAGER)), ("force", Some("true")), ("fieldValidation", Some("Strict"))]);
    session.write(Method::PATCH, &format!("{path}{parameters}"), APPLY_PATCH, object).await?;
    Ok(is_new.then(|| Made { path, name: format!("{resource}/{name}") }))
}

async fn rolled_out(session: &Session, workload: &Value) -> Result<()> {
    let name = workload["metadata"]["name"].as_str().unwrap_or_default();
    let namespace = workload["metadata"]["namespace"].as_str().unwrap_or(&session.namespace);
    let resource = session.discovery().await?.by_kind("apps/v1", "Deployment")?.clone();
    let target = super::targets::Named { resource, namespace: namespace.to_owned(), name: name.to_owned() };
    let follow = async {
        loop {
            let object = session.get(&target.path()).await?;
            if super::rollout::progress(name, &object)?.1 {
                return Ok(());
            }
            if let Some(why) = objects::stuck(&session.get(&output::pods(session, &object)).await?, workload) {
                bail!("the new version does not start: {why}");
            }
            // A pod that gets stuck need not change its Deployment.
            let next = super::rollout::next_version(session, &target, &object);
            if let Ok(next) = tokio::time::timeout(LOOK_EVERY, next).await {
                next?;
            }
        }
    };
    crate::progress::during(&format!("replacing the replicas of {name}"), follow).await
}

async fn remove(session: &Session, made: &[Made]) {
    for object in made.iter().rev() {
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"});
        match session.write(Method::DELETE, &object.path, JSON, &options).await {
            Ok(_) => say(&format!("{} removed", object.name)),
            Err(error) if is_not_found(&error) => {}
            Err(error) => say(&explain(&error)),
        }
    }
}
