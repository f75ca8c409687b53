//! Images: the commands of Docker over the image store of this machine, which `wasmk up` uses too.

mod archive;
mod in_use;
mod inspect;
mod list;
mod login;
mod remove;
mod show;
mod tag;
mod transfer;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use wasmk_host::{Digest, ImageStore, Registries};

use crate::args::Global;

pub(crate) use archive::{Load, Save};
pub(crate) use inspect::{History, Inspect};
pub(crate) use list::Images;
pub(crate) use login::{Login, Logout};
pub(crate) use remove::{Prune, Rmi};
pub(crate) use tag::Tag;
pub(super) use transfer::pull;
pub(crate) use transfer::{Pull, Push};

#[derive(Args)]
pub(crate) struct Image {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Compile an app to wasm and store it as an image
    Build(super::build::Build),
    /// Show how an image was made
    History(History),
    /// Show all that an image says about itself
    Inspect(Inspect),
    /// Read images from an archive
    Load(Load),
    /// List images
    #[command(visible_alias = "list")]
    Ls(Images),
    /// Remove images that are not used
    Prune(Prune),
    /// Bring an image from a registry
    Pull(Pull),
    /// Send an image to a registry
    Push(Push),
    /// Remove images
    #[command(visible_alias = "remove")]
    Rm(Rmi),
    /// Write images to an archive
    Save(Save),
    /// Give an image another name
    Tag(Tag),
}

impl Image {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        match self.what {
            What::Build(verb) => verb.run(global).await,
            What::History(verb) => verb.run(),
            What::Inspect(verb) => verb.run(),
            What::Load(verb) => verb.run().await,
            What::Ls(verb) => verb.run(),
            What::Prune(verb) => verb.run().await,
            What::Pull(verb) => verb.run(global).await,
            What::Push(verb) => verb.run(global).await,
            What::Rm(verb) => verb.run().await,
            What::Save(verb) => verb.run().await,
            What::Tag(verb) => verb.run(),
        }
    }
}

/// The images of this machine.
pub(super) struct Local {
    data_dir: PathBuf,
    pub(super) store: Arc<ImageStore>,
}

impl Local {
    pub(super) fn open() -> Result<Self> {
        let data_dir = super::data_dir(None)?;
        let store = Arc::new(ImageStore::open(data_dir.join("images"))?);
        Ok(Self { data_dir, store })
    }

    fn registries(&self) -> Registries {
        Registries::new(&self.data_dir)
    }

    /// By name, or by the beginning of its digest.
    fn find(&self, name: &str) -> Result<Digest> {
        self.store.find_any(name).with_context(|| missing(name))
    }
}

fn missing(name: &str) -> String {
    let name = name.parse::<wasmk_host::Reference>().map_or_else(|_| name.to_owned(), |name| name.to_string());
    format!("No such image: {name} (`wasmk images` lists what is here)")
}
