//! Turns a wasip1 module into a component, so that the node runs only components.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{ImportSection, Module};
use wasmparser::{Imports, Parser};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The one interface that the shim below imports.
const EXIT_INTERFACE: &str = "wasi:cli/exit@0.2.12";
const EXIT_WIT: &str = "package wasmk:shim;
world shim { import wasi:cli/exit@0.2.12; }
package wasi:cli@0.2.12 {
    interface exit { exit: func(status: result); exit-with-code: func(status-code: u8); }
}";

pub(crate) fn adapt(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let module = keep_exit_codes(module)?;
    ComponentEncoder::default()
        .module(&module)?
        .validate(true)
        .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER)?
        .encode()
}

/// The adapter collapses exit codes to 0 and 1. `proc_exit` has the core signature of the canonical lowering of
/// `wasi:cli/exit.exit-with-code`, so renaming the import keeps them.
fn keep_exit_codes(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut renamed = Module::new();
    RenameProcExit
        .parse_core_module(&mut renamed, Parser::new(0), module)
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut renamed = renamed.finish();
    let mut resolve = Resolve::default();
    let package = resolve.push_source("shim.wit", EXIT_WIT)?;
    let world = resolve.select_world(&[package], Some("shim"))?;
    embed_component_metadata(&mut renamed, &resolve, world, StringEncoding::UTF8)?;
    Ok(renamed)
}

struct RenameProcExit;

impl Reencode for RenameProcExit {
    type Error = std::convert::Infallible;

    fn parse_imports(&mut self, section: &mut ImportSection, imports: Imports<'_>) -> Result<(), Error<Self::Error>> {
        if let Imports::Single(_, import) = &imports
            && import.module == WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME
            && import.name == "proc_exit"
        {
            let function = self.entity_type(import.ty)?;
            section.import(EXIT_INTERFACE, "exit-with-code", function);
            return Ok(());
        }
        utils::parse_imports(self, section, imports)
    }
}
