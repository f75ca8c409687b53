use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};

/// Packs a file or a directory under `name`. Links are followed, as what they lead to is what is meant. Blocks.
pub(super) fn pack(to: impl Write, source: &Path, name: &str) -> Result<()> {
    let mut archive = tar::Builder::new(BufWriter::with_capacity(64 << 10, to));
    let packed = match source.is_dir() {
        true => archive.append_dir_all(name, source),
        false => archive.append_path_with_name(source, name),
    };
    packed.with_context(|| format!("pack {}", source.display()))?;
    archive.into_inner().and_then(|mut writer| writer.flush()).context("send the archive")
}
