use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

#[derive(Args)]
pub(crate) struct CompileGuest {
    input: PathBuf,
    output: PathBuf,
}

impl CompileGuest {
    pub(crate) fn run(self) -> Result<()> {
        Ok(wasmk_host::compile_guest(&self.input, &self.output)?)
    }
}
