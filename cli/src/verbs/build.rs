use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use wasmk_host::{GuestKind, ImageStore, KubeTransport, Reference, inspect, push, store_module};

use crate::args::Global;
use crate::session::Session;

#[derive(Args)]
pub(crate) struct Build {
    /// A Cargo project, or a .wasm file
    path: PathBuf,
    /// Name of the image, such as hello:v1
    #[arg(short, long, value_name = "NAME")]
    tag: String,
    /// Only store the image here; do not send it to the cluster
    #[arg(long)]
    no_push: bool,
}

impl Build {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let reference: Reference = self.tag.parse()?;
        let path = self.path.clone();
        let built = tokio::task::spawn_blocking(move || wasmk_host::build(&path)).await??;
        let wasm = std::fs::read(&built.wasm).with_context(|| format!("read {}", built.wasm.display()))?;
        let info = inspect(&wasm).with_context(|| built.wasm.display().to_string())?;
        let dir = super::data_dir(None)?.join("images");
        let store = ImageStore::open(&dir)?;
        let digest = store_module(&store, &reference, &built.wasm, &built.os, &created())?;
        eprintln!("{reference}: {}, {} KiB, {digest}", describe(info.kind), wasm.len().div_ceil(1024));
        if !self.no_push && reference.registry.is_none() {
            send(global, &store, &reference).await?;
        }
        println!("{reference}");
        Ok(())
    }
}

fn describe(kind: GuestKind) -> &'static str {
    match kind {
        GuestKind::HttpP2 => "wasi:http handler (WASI 0.2)",
        GuestKind::HttpP3 => "wasi:http handler (WASI 0.3)",
        GuestKind::CommandP2 => "program (WASI 0.2)",
        GuestKind::CommandP3 => "program (WASI 0.3)",
        GuestKind::ModuleP1 => "program (WASI 0.1)",
    }
}

/// Sends the image to the cluster in use, if there is one.
async fn send(global: &Global, store: &ImageStore, reference: &Reference) -> Result<()> {
    let Ok(session) = Session::connect(global).await else {
        eprintln!("No cluster is set up yet; `wasmk up` finds the image here.");
        return Ok(());
    };
    let transport = KubeTransport(session.client());
    match crate::progress::during("sending the image to the cluster", push(store, &transport, reference)).await {
        Err(wasmk_host::PushError::Unreachable(_)) => {
            eprintln!("The cluster does not answer; `wasmk up` finds the image here.");
            Ok(())
        }
        other => other.with_context(|| format!("send {reference} to the cluster")),
    }
}

/// The time that goes into the image: `SOURCE_DATE_EPOCH` (seconds) where builds are to be reproducible, else the epoch, so
/// that the same module is the same image.
fn created() -> String {
    let seconds = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}
