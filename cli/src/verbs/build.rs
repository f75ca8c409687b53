mod dockerfile;
mod module;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use wasmk_host::{ImageStore, KubeTransport, Platform, Reference, find_dockerfile, push};

use crate::args::Global;
use crate::session::Session;

#[derive(Args)]
pub(crate) struct Build {
    /// A directory with a Wasmfile, a Dockerfile or a project; or a .wasm file
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Dockerfile to build, or a project's own file (Cargo.toml, package.json …) to build that project although it has a
    /// Dockerfile [default: DIR/Wasmfile, then DIR/Dockerfile, then the project]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Name of the image, such as hello:v1
    #[arg(short, long, value_name = "NAME")]
    tag: String,
    /// Value of an ARG of the Dockerfile; without one, that of the environment variable
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,
    /// Stage of the Dockerfile to stop at
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Platform that a Dockerfile's image says it is for: wasi/wasm, wasip1/wasm or wasip2/wasm
    #[arg(long, default_value = "wasi/wasm")]
    platform: Platform,
    /// Only store the image here; do not send it to the cluster
    #[arg(long)]
    no_push: bool,
    /// Print nothing but the image's digest
    #[arg(short, long)]
    quiet: bool,
}

/// What is built.
enum Kind {
    Dockerfile(PathBuf),
    Project(PathBuf),
}

impl Build {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let reference: Reference = self.tag.parse()?;
        let store = ImageStore::open(super::data_dir(None)?.join("images"))?;
        let digest = match self.kind() {
            Kind::Dockerfile(file) => dockerfile::build(&self, file, global, &store, &reference).await?,
            Kind::Project(path) => module::build(path, self.quiet, &store, &reference).await?,
        };
        if !self.no_push && reference.registry.is_none() {
            send(global, &store, &reference, self.quiet).await?;
        }
        match self.quiet {
            true => println!("{digest}"),
            false => println!("{reference}"),
        }
        Ok(())
    }

    fn kind(&self) -> Kind {
        match &self.file {
            Some(file) if is_project_file(file) => {
                Kind::Project(file.parent().filter(|dir| *dir != Path::new("")).unwrap_or(Path::new(".")).to_owned())
            }
            Some(file) => Kind::Dockerfile(file.clone()),
            None => match find_dockerfile(&self.path) {
                Some(file) => Kind::Dockerfile(file),
                None => Kind::Project(self.path.clone()),
            },
        }
    }
}

/// Whether `-f` names what a project is known by.
fn is_project_file(file: &Path) -> bool {
    const NAMES: [&str; 7] =
        ["Cargo.toml", "package.json", "pyproject.toml", "app.py", "go.mod", "Makefile", "CMakeLists.txt"];
    file.file_name().is_some_and(|name| NAMES.iter().any(|known| name == *known))
}

/// Sends the image to the cluster in use, if there is one.
async fn send(global: &Global, store: &ImageStore, reference: &Reference, quiet: bool) -> Result<()> {
    let say = |text: &str| {
        if !quiet {
            eprintln!("{text}");
        }
    };
    let Ok(session) = Session::connect(global).await else {
        say("No cluster is set up yet; `wasmk up` finds the image here.");
        return Ok(());
    };
    let transport = KubeTransport(session.client());
    match crate::progress::during("sending the image to the cluster", push(store, &transport, reference)).await {
        Err(wasmk_host::PushError::Unreachable(_)) => {
            say("The cluster does not answer; `wasmk up` finds the image here.");
            Ok(())
        }
        other => other.with_context(|| format!("send {reference} to the cluster")),
    }
}

/// The time that goes into the image: `SOURCE_DATE_EPOCH` (seconds) where one is wanted, else the epoch, so that the same
/// files are the same image.
fn source_date() -> jiff::Timestamp {
    let seconds = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    jiff::Timestamp::from_second(seconds).unwrap_or_default()
}
