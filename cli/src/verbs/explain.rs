//! `wasmk explain`: what a wasm file or an image is and needs, or what a field of the API means.

mod field;
mod manifest;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use wasmk_host::{Explanation, ImageStore, Reference};

use crate::args::Global;
use crate::output::print_json;
use crate::session::Session;

#[derive(Args)]
pub(crate) struct Explain {
    /// A wasm file, an image, or a field of the API such as `pods.spec.containers`
    what: String,
    /// yaml: a manifest that runs it; json: all that was found
    #[arg(short, long, value_name = "yaml|json")]
    output: Option<Format>,
    /// Every field below the one that is named, not only the next ones (API)
    #[arg(long)]
    recursive: bool,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Format {
    Yaml,
    Json,
}

/// A wasm file, with what could be found out about it.
struct Subject {
    /// As the user named it.
    name: String,
    wasm: PathBuf,
    /// The image that it is in.
    image: Option<Reference>,
}

/// What is measured rather than read.
struct Figures {
    size_bytes: u64,
    /// How long compiling takes on this machine, and what comes of it; `None` for what cannot run.
    compiled: Option<(Duration, u64)>,
}

impl Explain {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let Some(subject) = self.subject(global).await? else {
            return field::explain(global, &self.what, self.recursive).await;
        };
        let bytes = std::fs::read(&subject.wasm).with_context(|| format!("read {}", subject.wasm.display()))?;
        let explained = wasmk_host::explain(&bytes).with_context(|| subject.name.clone())?;
        if self.output == Some(Format::Yaml) {
            print!("{}", manifest::yaml(&subject.name, subject.image.as_ref(), &explained)?);
            return Ok(());
        }
        let figures = tokio::task::spawn_blocking(move || measure(&subject.wasm, bytes.len() as u64, subject.name));
        let (figures, name) = figures.await?;
        match self.output {
            Some(Format::Json) => print_json(&report::json(&name, &explained, &figures)?),
            _ => {
                print!("{}", report::text(&name, &explained, &figures));
                Ok(())
            }
        }
    }

    /// A file, or an image that is here or in the cluster; `None`: it may be a field of the API.
    async fn subject(&self, global: &Global) -> Result<Option<Subject>> {
        let path = Path::new(&self.what);
        if path.is_file() {
            return Ok(Some(Subject { name: self.what.clone(), wasm: path.to_owned(), image: None }));
        }
        if path.is_dir() {
            bail!(
                "{} is a directory: build it first, by `wasmk build {} -t NAME`, and explain NAME",
                self.what,
                self.what
            );
        }
        let Ok(reference) = self.what.parse::<Reference>() else { return Ok(None) };
        let store = Arc::new(ImageStore::open(&super::data_dir(None)?.join("images"))?);
        let client = Session::connect(global).await.ok().map(|session| session.client());
        match wasmk_host::local_wasm(&store, client, &reference).await {
            Ok(wasm) => Ok(wasm.map(|wasm| Subject { name: self.what.clone(), wasm, image: Some(reference) })),
            Err(error) => Err(error).with_context(|| format!("get the image {reference}")),
        }
    }
}

/// Compiles as a node would, and throws the result away.
fn measure(wasm: &Path, size_bytes: u64, name: String) -> (Figures, String) {
    let compile = || {
        let scratch = tempfile::tempdir().ok()?;
        let output = scratch.path().join("native");
        let started = Instant::now();
        wasmk_host::compile_guest(wasm, &output).ok()?;
        Some((started.elapsed(), std::fs::metadata(&output).ok()?.len()))
    };
    (Figures { size_bytes, compiled: compile() }, name)
}

/// Whether it listens for connections, so that a Service makes sense.
fn is_served(explained: &Explanation) -> bool {
    explained.needs.http_in || explained.needs.listens
}
