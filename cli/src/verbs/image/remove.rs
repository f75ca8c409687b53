use std::io::{IsTerminal, Write};

use anyhow::{Result, bail};
use clap::Args;
use wasmk_host::{Digest, Reference, Removed};

use super::in_use::InUse;
use super::list::Filter;
use super::{Local, missing, show};
use crate::output::human;

#[derive(Args)]
pub(crate) struct Rmi {
    /// Images, by name or ID
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// Take the names of an image away though a pod runs it, and all names of one that is given by its ID
    #[arg(short, long)]
    force: bool,
    /// Take names away and leave the content to the garbage collection
    #[arg(long)]
    no_prune: bool,
}

#[derive(Args)]
pub(crate) struct Prune {
    /// All that no pod uses, rather than images without a name alone
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// label=KEY[=VALUE] or reference=PATTERN; may be given several times
    #[arg(long = "filter", value_name = "FILTER")]
    filters: Vec<Filter>,
}

impl Rmi {
    pub(crate) async fn run(self) -> Result<()> {
        let local = Local::open()?;
        let in_use = InUse::ask(&local).await?;
        let mut failed = 0;
        for image in &self.images {
            match self.remove(&local, &in_use, image) {
                Ok(removed) => print(&removed, "Untagged", "Deleted"),
                Err(error) => {
                    eprintln!("error: {error:#}");
                    failed += 1;
                }
            }
        }
        if failed > 0 { bail!("{failed} of {} images were not removed", self.images.len()) } else { Ok(()) }
    }

    fn remove(&self, local: &Local, in_use: &InUse, image: &str) -> Result<Removed> {
        let digest = local.find(image)?;
        let name: Option<Reference> = image.parse().ok().filter(|name| local.store.find(name).is_some());
        let (tags, _) = local.store.names(&digest);
        // With another name the image stays.
        let is_last = name.is_none() || tags.len() <= 1;
        if let Some(pod) = in_use.pod(&digest).filter(|_| is_last && !self.force) {
            bail!("conflict: unable to remove {image} (must force): pod {pod} uses image {}", show::id(&digest, false));
        }
        let keeps_content = self.no_prune || in_use.keeps(&digest);
        match name {
            Some(name) => {
                let removed = local.store.remove_image(&name, keeps_content)?;
                removed.ok_or_else(|| anyhow::anyhow!(missing(image)))
            }
            None if tags.len() > 1 && !self.force => {
                bail!("conflict: unable to delete {image} (must be forced): it is called {}", tags.join(", "))
            }
            None => Ok(local.store.remove_digest(&digest, keeps_content)?),
        }
    }
}

impl Prune {
    pub(crate) async fn run(self) -> Result<()> {
        let what = if self.all { "all images that no pod uses" } else { "all images without a name" };
        if !self.force && !confirmed(&format!("WARNING! This will remove {what}."))? {
            return Ok(());
        }
        let local = Local::open()?;
        let in_use = InUse::ask(&local).await?;
        let mut total = Removed::default();
        for digest in self.unused(&local, &in_use) {
            let removed = local.store.remove_digest(&digest, false)?;
            total.untagged.extend(removed.untagged);
            total.deleted.extend(removed.deleted);
            total.bytes += removed.bytes;
        }
        if !total.untagged.is_empty() || !total.deleted.is_empty() {
            println!("Deleted Images:");
            print(&total, "untagged", "deleted");
            println!();
        }
        println!("Total reclaimed space: {}", human::size(total.bytes));
        Ok(())
    }

    fn unused(&self, local: &Local, in_use: &InUse) -> Vec<Digest> {
        let images = local.store.images();
        let wanted = |digest: &Digest| {
            let mut names = images.iter().filter(|image| image.digest == *digest);
            let fits = images.iter().filter(|image| image.digest == *digest);
            (self.all || names.all(|image| image.tag.is_none()))
                && fits.into_iter().any(|image| self.filters.iter().all(|filter| filter.takes(image)))
        };
        let mut digests: Vec<Digest> = images.iter().map(|image| image.digest.clone()).collect();
        digests.sort();
        digests.dedup();
        digests.retain(|digest| wanted(digest) && !in_use.keeps(digest));
        digests
    }
}

fn print(removed: &Removed, untagged: &str, deleted: &str) {
    removed.untagged.iter().for_each(|name| println!("{untagged}: {name}"));
    removed.deleted.iter().for_each(|digest| println!("{deleted}: {digest}"));
}

fn confirmed(warning: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("there is nobody to ask whether to go on; say --force");
    }
    eprint!("{warning}\nAre you sure you want to continue? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
