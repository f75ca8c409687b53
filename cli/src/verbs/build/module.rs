use std::path::PathBuf;

use anyhow::{Context, Result};
use wasmk_host::{GuestKind, ImageStore, Reference, build_project, inspect, store_module};

/// Compiles a project to one wasm file and stores it as an artifact; answers its digest.
pub(super) async fn build(path: PathBuf, quiet: bool, store: &ImageStore, reference: &Reference) -> Result<String> {
    let built = tokio::task::spawn_blocking(move || build_project(&path, &|text| say(quiet, text))).await??;
    let wasm = std::fs::read(&built.wasm).with_context(|| format!("read {}", built.wasm.display()))?;
    let info = inspect(&wasm).with_context(|| built.wasm.display().to_string())?;
    let digest = store_module(store, reference, &built.wasm, &built.os, &super::source_date().to_string())?;
    if !quiet {
        eprintln!("{reference}: {}, {} KiB, {digest}", describe(info.kind), wasm.len().div_ceil(1024));
    }
    Ok(digest.to_string())
}

pub(super) fn describe(kind: GuestKind) -> &'static str {
    match kind {
        GuestKind::HttpP2 => "wasi:http handler (WASI 0.2)",
        GuestKind::HttpP3 => "wasi:http handler (WASI 0.3)",
        GuestKind::CommandP2 => "program (WASI 0.2)",
        GuestKind::CommandP3 => "program (WASI 0.3)",
        GuestKind::ModuleP1 => "program (WASI 0.1)",
    }
}

fn say(quiet: bool, text: &str) {
    if !quiet {
        eprintln!(" => {text}");
    }
}
