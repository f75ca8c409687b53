//! A program that is ready to start: native code mapped, imports linked.

use crate::cache::Entry;
use crate::compile::{chain, run_compiler};
use crate::engine::EngineSet;
use crate::guest::Guest;
use crate::inspect::{GuestInfo, InspectError, inspect};
use crate::runtime::Shared;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use wasmtime::component::Component;
use wasmtime::{Engine, Store};
use wasmtime_wasi::{p2, p3};
use wasmtime_wasi_http::handler::{Proxy, ProxyPre};

/// Prepared once, started many times. A cheap clone; all clones share the native code.
#[derive(Clone)]
pub struct Program(Arc<Inner>);

struct Inner {
    digest: String,
    info: GuestInfo,
    /// Linear memory of a fresh instance.
    initial_memory_bytes: u64,
    entry: Entry,
    shared: Arc<Shared>,
    preferred: Loaded,
    /// For when the pool is full.
    on_demand: OnceLock<Option<Loaded>>,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum PrepareError {
    #[error("read {path}: {message}")]
    Read { path: String, message: String },
    #[error(transparent)]
    Inspect(#[from] InspectError),
    #[error("compile: {0}")]
    Compile(String),
    #[error("the guest imports what this node does not offer: {0}")]
    MissingImport(String),
    #[error("load native code: {0}")]
    Load(String),
    #[error("write the code cache: {0}")]
    Cache(String),
}

impl Program {
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    pub fn info(&self) -> &GuestInfo {
        &self.0.info
    }

    /// Linear memory of a fresh instance; a container with a lower limit cannot start.
    pub fn initial_memory_bytes(&self) -> u64 {
        self.0.initial_memory_bytes
    }

    /// Drops the native code from the cache's directory; running containers keep it.
    pub fn remove_cached(&self) {
        self.0.entry.remove();
    }

    pub(crate) fn downgrade(&self) -> WeakProgram {
        WeakProgram(Arc::downgrade(&self.0))
    }

    pub(crate) fn preferred(&self) -> &Loaded {
        &self.0.preferred
    }

    /// The way around a full pool, if the program does not take it already.
    pub(crate) fn on_demand(&self) -> Option<&Loaded> {
        let inner = &self.0;
        let load = || {
            let set = inner.shared.engines.on_demand();
            let same = Engine::same(&set.engine, &inner.preferred.engine);
            if same { None } else { Loaded::new(set, inner.entry.code(), &inner.info).ok() }
        };
        inner.on_demand.get_or_init(load).as_ref()
    }
}

pub(crate) struct WeakProgram(std::sync::Weak<Inner>);

impl WeakProgram {
    pub(crate) fn upgrade(&self) -> Option<Program> {
        self.0.upgrade().map(Program)
    }
}

/// Reads, compiles unless cached, loads and links.
pub(crate) async fn prepare(shared: Arc<Shared>, wasm: &Path, digest: &str) -> Result<Program, PrepareError> {
    let bytes = tokio::fs::read(wasm).await.map_err(|error| read_error(wasm, &error))?;
    let info = inspect(&bytes)?;
    drop(bytes);
    let entry = Arc::new(shared.cache.entry(digest));
    let intact = {
        let entry = entry.clone();
        tokio::task::spawn_blocking(move || entry.is_intact()).await.unwrap_or(false)
    };
    if intact {
        match load(&shared, &entry, &info) {
            Err(PrepareError::Load(message)) => {
                tracing::warn!(digest, "cached code is unusable, compiling again: {message}");
            }
            loaded => return finish(shared, digest, info, &entry, loaded?),
        }
    }
    compile(&shared, wasm, &entry).await?;
    let loaded = load(&shared, &entry, &info)?;
    finish(shared, digest, info, &entry, loaded)
}

async fn compile(shared: &Shared, wasm: &Path, entry: &Entry) -> Result<(), PrepareError> {
    let _turn = shared.compilations.acquire().await.expect("invariant: the semaphore is never closed");
    let scratch = shared.cache.scratch().map_err(|error| PrepareError::Cache(error.to_string()))?;
    let config = &shared.config;
    run_compiler(&config.compiler, shared.engines.compiler(), wasm, &scratch, config.compile_timeout)
        .await
        .map_err(PrepareError::Compile)?;
    entry.store(scratch).map_err(|error| PrepareError::Cache(error.to_string()))
}

fn finish(
    shared: Arc<Shared>,
    digest: &str,
    info: GuestInfo,
    entry: &Entry,
    (preferred, initial_memory_bytes): (Loaded, u64),
) -> Result<Program, PrepareError> {
    Ok(Program(Arc::new(Inner {
        digest: digest.to_owned(),
        info,
        initial_memory_bytes,
        entry: entry.clone(),
        shared,
        preferred,
        on_demand: OnceLock::new(),
    })))
}

/// Into the pool if the guest fits, else on demand.
fn load(shared: &Shared, entry: &Entry, info: &GuestInfo) -> Result<(Loaded, u64), PrepareError> {
    let pooled = shared.engines.pooled().map(|set| Loaded::new_sized(set, entry.code(), info));
    match pooled {
        Some(Ok(loaded)) => Ok(loaded),
        Some(Err(missing @ PrepareError::MissingImport(_))) => Err(missing),
        Some(Err(_)) | None => Loaded::new_sized(shared.engines.on_demand(), entry.code(), info),
    }
}

fn read_error(path: &Path, error: &std::io::Error) -> PrepareError {
    PrepareError::Read { path: path.display().to_string(), message: chain(error) }
}

/// A program on one engine.
pub(crate) struct Loaded {
    pub(crate) engine: Engine,
    entry_point: EntryPoint,
}

enum EntryPoint {
    Http(ProxyPre<Guest>),
    CommandP2(p2::bindings::CommandPre<Guest>),
    CommandP3(p3::bindings::CommandPre<Guest>),
}

/// A live instance of a program.
pub(crate) enum Instance {
    Http(Proxy),
    CommandP2(p2::bindings::Command),
    CommandP3(p3::bindings::Command),
}

impl Loaded {
    fn new(set: &EngineSet, code: &Path, info: &GuestInfo) -> Result<Self, PrepareError> {
        Ok(Self::new_sized(set, code, info)?.0)
    }

    fn new_sized(set: &EngineSet, code: &Path, info: &GuestInfo) -> Result<(Self, u64), PrepareError> {
        // SAFETY: the file was written by our own compiler into a private directory, and its checksum was verified.
        let component = unsafe { Component::deserialize_file(&set.engine, code) }
            .map_err(|error| PrepareError::Load(format!("{error:#}")))?;
        let pre = set
            .linker
            .instantiate_pre(&component)
            .map_err(|error| PrepareError::MissingImport(format!("{error:#}")))?;
        let entry_point = EntryPoint::find(info, pre).map_err(|error| PrepareError::Load(format!("{error:#}")))?;
        let initial_memory_bytes = component.resources_required().map_or(0, |needs| {
            u64::from(needs.num_memories) * needs.max_initial_memory_size.unwrap_or(0) * WASM_PAGE_BYTES
        });
        Ok((Loaded { engine: set.engine.clone(), entry_point }, initial_memory_bytes))
    }

    pub(crate) async fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<Instance> {
        Ok(match &self.entry_point {
            EntryPoint::Http(pre) => Instance::Http(pre.instantiate_async(store).await?),
            EntryPoint::CommandP2(pre) => Instance::CommandP2(pre.instantiate_async(store).await?),
            EntryPoint::CommandP3(pre) => Instance::CommandP3(pre.instantiate_async(store).await?),
        })
    }
}

const WASM_PAGE_BYTES: u64 = 65536;

impl EntryPoint {
    fn find(info: &GuestInfo, pre: wasmtime::component::InstancePre<Guest>) -> wasmtime::Result<Self> {
        use crate::inspect::GuestKind as Kind;
        Ok(match info.kind {
            Kind::HttpP2 => EntryPoint::Http(ProxyPre::P2(wasmtime_wasi_http::p2::bindings::ProxyPre::new(pre)?)),
            Kind::HttpP3 => EntryPoint::Http(ProxyPre::P3(wasmtime_wasi_http::p3::bindings::ServicePre::new(pre)?)),
            Kind::CommandP2 | Kind::ModuleP1 => EntryPoint::CommandP2(p2::bindings::CommandPre::new(pre)?),
            Kind::CommandP3 => EntryPoint::CommandP3(p3::bindings::CommandPre::new(pre)?),
        })
    }
}
