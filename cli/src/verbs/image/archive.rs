use std::fs::File;
use std::io::{BufReader, BufWriter, IsTerminal, Read, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use wasmk_host::{Reference, load, save};

use super::Local;
use crate::progress;

#[derive(Args)]
pub(crate) struct Save {
    /// Images, by name or ID
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// The archive [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Load {
    /// The archive, plain or compressed [default: standard input]
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// What an image is called that has no name in the archive
    #[arg(long, value_name = "NAME")]
    name: Option<Reference>,
    /// Print nothing
    #[arg(short, long)]
    quiet: bool,
}

impl Save {
    pub(crate) async fn run(self) -> Result<()> {
        if self.output.is_none() && std::io::stdout().is_terminal() {
            bail!("the archive would go to the terminal; say a file by -o, or redirect the output");
        }
        let local = Local::open()?;
        let mut images = Vec::new();
        for name in &self.images {
            let digest = local.find(name)?;
            let reference: Option<Reference> = name.parse().ok().filter(|name| local.store.find(name).is_some());
            images.push((reference, digest));
        }
        let written = tokio::task::spawn_blocking(move || write(&local, &images, self.output));
        progress::during("writing the archive", written).await?
    }
}

/// A file appears whole or not at all.
fn write(local: &Local, images: &[(Option<Reference>, wasmk_host::Digest)], output: Option<PathBuf>) -> Result<()> {
    let Some(path) = output else {
        return Ok(save(&local.store, images, BufWriter::new(std::io::stdout().lock()))?);
    };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    let context = || format!("write {}", path.display());
    let mut file = tempfile::NamedTempFile::new_in(dir).with_context(context)?;
    let mut out = BufWriter::new(&mut file);
    save(&local.store, images, &mut out).with_context(context)?;
    out.flush().with_context(context)?;
    drop(out);
    file.persist(&path).with_context(context)?;
    Ok(())
}

impl Load {
    pub(crate) async fn run(self) -> Result<()> {
        if self.input.is_none() && std::io::stdin().is_terminal() {
            bail!("the archive would come from the terminal; say a file by -i, or redirect the input");
        }
        let local = Local::open()?;
        let work = move || -> Result<Vec<wasmk_host::Loaded>> {
            let source: Box<dyn Read> = match &self.input {
                Some(path) => Box::new(File::open(path).with_context(|| format!("read {}", path.display()))?),
                None => Box::new(std::io::stdin().lock()),
            };
            Ok(load(&local.store, BufReader::with_capacity(1 << 16, source), self.name.as_ref())?)
        };
        let loaded = progress::during("reading the archive", tokio::task::spawn_blocking(work)).await??;
        for image in loaded.iter().filter(|_| !self.quiet) {
            println!("Loaded image: {}", image.name);
        }
        Ok(())
    }
}
