use anyhow::{Result, bail};
use clap::Args;
use wasmk_host::Reference;

use super::Local;

#[derive(Args)]
pub(crate) struct Tag {
    /// The image, by name or ID
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Its further name
    #[arg(value_name = "NAME")]
    name: Reference,
}

impl Tag {
    pub(crate) fn run(self) -> Result<()> {
        if self.name.digest.is_some() {
            bail!("{} has a digest; a name to give is NAME[:TAG]", self.name);
        }
        let local = Local::open()?;
        let digest = local.find(&self.image)?;
        local.store.tag_digest(&digest, &self.name)?;
        Ok(())
    }
}
