use std::path::PathBuf;

use anyhow::{Context, Result};
use tokio::runtime::Handle;
use wasmk_host::{
    Blobs, BuiltImage, DockerfileBuild, FetchImage, ImageStore, Reference, build_dockerfile, inspect, store_built,
};

use super::{Build, module, source_date};
use crate::args::Global;
use crate::verbs::image::{Local, pull};

/// Builds what a Dockerfile says and stores it; answers the image's digest.
pub(super) async fn build(
    args: &Build,
    file: PathBuf,
    global: &Global,
    store: &ImageStore,
    reference: &Reference,
) -> Result<String> {
    let build = DockerfileBuild {
        context: args.path.clone(),
        file,
        build_args: args.build_arg.iter().filter_map(|text| build_arg(text)).collect(),
        target: args.target.clone(),
        platform: args.platform.clone(),
        mtime: u64::try_from(source_date().as_second()).unwrap_or(0),
    };
    let (quiet, store, reference) = (args.quiet, store.clone(), reference.clone());
    let fetch = Fetch { local: Local::open()?, global: global.clone(), runtime: Handle::current() };
    let work = move || -> Result<String> {
        let say = |text: &str| {
            if !quiet {
                eprintln!(" => {text}");
            }
        };
        let built = build_dockerfile(&build, &store, &fetch, &say)?;
        let what = what(&built)?;
        for warning in &built.warnings {
            eprintln!("warning: {warning}");
        }
        let digest = store_built(&store, &reference, &built, &source_date().to_string())?;
        if !quiet {
            let layers =
                if built.layers.len() == 1 { "1 layer".to_owned() } else { format!("{} layers", built.layers.len()) };
            eprintln!("{reference}: {what}{layers}, {digest}");
        }
        Ok(digest.to_string())
    };
    tokio::task::spawn_blocking(work).await?
}

/// What its entry point is; a file that is no wasm ends the build here, not in the cluster.
fn what(built: &BuiltImage) -> Result<String> {
    let Some(path) = &built.module else { return Ok(String::new()) };
    let entrypoint = built.settings.entrypoint.iter().chain(&built.settings.cmd).flatten().next();
    let name = entrypoint.cloned().unwrap_or_default();
    let wasm = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let info = inspect(&wasm).with_context(|| format!("ENTRYPOINT {name}"))?;
    Ok(format!("{}, {} KiB, ", module::describe(info.kind), wasm.len().div_ceil(1024)))
}

/// A name alone takes its value from the environment, and is as good as not given when there is none.
fn build_arg(text: &str) -> Option<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.to_owned())),
        None => Some((text.to_owned(), std::env::var(text).ok()?)),
    }
}

/// Base images that are not here come from where `wasmk pull` finds them.
struct Fetch {
    local: Local,
    global: Global,
    runtime: Handle,
}

impl FetchImage for Fetch {
    fn fetch(&self, reference: &Reference) -> Result<(), String> {
        let pulled = self.runtime.block_on(pull(&self.global, &self.local, reference, &Blobs::silent()));
        pulled.map(drop).map_err(|error| format!("{error:#}"))
    }
}
