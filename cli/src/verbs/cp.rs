//! Copies files by `tar` in the container, as kubectl does.

mod pack;
mod place;
mod unpack;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use tokio::io::duplex;
use tokio_util::io::SyncIoBridge;

use self::place::{Place, split};
use super::pods;
use super::remote::{Remote, Wanted};
use crate::args::Global;
use crate::session::Session;

/// Between the connection and the thread that packs or unpacks.
const PIPE_BYTES: usize = 256 << 10;

#[derive(Args)]
pub(crate) struct Cp {
    /// A local path, or POD:PATH, or NAMESPACE/POD:PATH
    source: String,
    /// Likewise; one of the two is in a pod
    destination: String,
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
}

/// A container and how to run `tar` in it.
struct Container {
    session: Session,
    pod: String,
    name: String,
}

impl Cp {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        match (Place::parse(&self.source)?, Place::parse(&self.destination)?) {
            (Place::Pod { namespace, pod, path }, Place::Local(local)) => {
                let container = self.container(global, namespace, &pod).await?;
                container.download(&path, &local).await
            }
            (Place::Local(local), Place::Pod { namespace, pod, path }) => {
                ensure!(local.exists(), "{} doesn't exist in local filesystem", local.display());
                let container = self.container(global, namespace, &pod).await?;
                container.upload(&local, &path).await
            }
            _ => bail!("one of the two is in a pod: write it as POD:PATH"),
        }
    }

    async fn container(&self, global: &Global, namespace: Option<String>, pod: &str) -> Result<Container> {
        let global = Global { namespace: namespace.or_else(|| global.namespace.clone()), ..global.clone() };
        let session = Session::connect(&global).await?;
        let found = pods::of(&session, pod).await?.choose();
        let name = pods::container(&found, self.container.as_deref())?;
        Ok(Container { pod: pods::name(&found).to_owned(), name, session })
    }
}

impl Container {
    async fn download(&self, path: &str, local: &Path) -> Result<()> {
        let path = path.trim_end_matches('/');
        ensure!(!path.is_empty(), "say which file or directory of the pod, as in POD:/path");
        let target = if local.is_dir() { local.join(split(path).1) } else { local.to_owned() };
        let remote = self.tar(&["cf", "-", path], false).await?;
        let (near, far) = duplex(PIPE_BYTES);
        let prefix = PathBuf::from(path.trim_start_matches('/'));
        let bridge = SyncIoBridge::new(near);
        let unpacked = tokio::task::spawn_blocking(move || unpack::unpack(bridge, &prefix, &target));
        let code = remote.run(tokio::io::empty(), far, tokio::io::stderr()).await;
        // What went wrong here is why the other side could not write.
        unpacked.await.context("unpack")??;
        ensure!(code? == 0, "tar failed in container {}", self.name);
        Ok(())
    }

    async fn upload(&self, local: &Path, path: &str) -> Result<()> {
        let path = if path.is_empty() { "." } else { path };
        let into_directory = path.ends_with('/') || self.is_directory(path).await?;
        let (directory, name) = match into_directory {
            true => (path, local_name(local)?),
            false => split(path),
        };
        let remote = self.tar(&["-xmf", "-", "-C", directory], true).await?;
        let (near, far) = duplex(PIPE_BYTES);
        let (source, name) = (local.to_owned(), name.to_owned());
        let bridge = SyncIoBridge::new(far);
        let packed = tokio::task::spawn_blocking(move || pack::pack(bridge, &source, &name));
        let code = remote.run(near, tokio::io::stdout(), tokio::io::stderr()).await?;
        ensure!(code == 0, "tar failed in container {}", self.name);
        packed.await.context("pack")?
    }

    async fn is_directory(&self, path: &str) -> Result<bool> {
        let command = ["test", "-d", path].map(str::to_owned);
        let remote = self.run(&command, false).await?;
        Ok(remote.run(tokio::io::empty(), tokio::io::sink(), tokio::io::sink()).await? == 0)
    }

    async fn tar(&self, arguments: &[&str], stdin: bool) -> Result<Remote> {
        let command: Vec<String> = std::iter::once(&"tar").chain(arguments).map(ToString::to_string).collect();
        self.run(&command, stdin).await
    }

    async fn run(&self, command: &[String], stdin: bool) -> Result<Remote> {
        let wanted = Wanted { pod: &self.pod, container: &self.name, command: Some(command), stdin, tty: false };
        Remote::open(&self.session, &wanted).await
    }
}

fn local_name(local: &Path) -> Result<&str> {
    let name = local.file_name().and_then(|name| name.to_str());
    name.with_context(|| format!("{}: say under which name to copy it, as in POD:/path/name", local.display()))
}
