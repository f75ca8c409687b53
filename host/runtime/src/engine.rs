//! wasmtime's engine and the linker with everything that a guest may import.

use crate::config::RuntimeError;
use crate::guest::Guest;
use crate::sockets;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::OnceLock;
use wasmtime::component::Linker;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

/// Frames of a backtrace; deep recursion would print thousands.
pub(crate) const BACKTRACE_FRAMES_MAX: NonZeroUsize = NonZeroUsize::new(32).unwrap();
/// Stack of a guest's calls; past it the guest traps with "stack overflow".
const STACK_BYTES_MAX: usize = 1 << 20;
/// The fiber also carries the host functions that the guest calls.
const FIBER_BYTES: usize = STACK_BYTES_MAX + (1 << 20);
/// Python uses about 14 core instances a component, most others 1 to 4.
const CORE_INSTANCES_PER_INSTANCE: u32 = 4;
const TABLES_PER_INSTANCE: u32 = 2;
/// Memory of a freed slot that stays mapped, so that the next instance finds it warm. Without these, starts are 5x slower.
const MEMORY_KEPT_BYTES: usize = 2 << 20;
const TABLE_KEPT_BYTES: usize = 64 << 10;
const STACK_KEPT_BYTES: usize = 64 << 10;
const DECOMMIT_BATCH: usize = 16;

/// An engine with its linker.
pub(crate) struct EngineSet {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<Guest>,
}

/// The pool for most guests, and the slower way for those that do not fit it. Native code is the same for both.
pub(crate) struct Engines {
    pooled: Option<EngineSet>,
    on_demand_engine: Engine,
    on_demand: OnceLock<EngineSet>,
}

impl Engines {
    pub(crate) fn new(max_instances: u32) -> Result<Self, RuntimeError> {
        let pooled = match Engine::new(&pooled_config(max_instances)) {
            Ok(engine) => Some(EngineSet::new(engine)?),
            Err(error) => {
                tracing::warn!(max_instances, "no instance pool, guests will start slower: {error:#}");
                None
            }
        };
        let on_demand_engine = Engine::new(&config()).map_err(engine_error)?;
        Ok(Engines { pooled, on_demand_engine, on_demand: OnceLock::new() })
    }

    pub(crate) fn pooled(&self) -> Option<&EngineSet> {
        self.pooled.as_ref()
    }

    pub(crate) fn on_demand(&self) -> &EngineSet {
        self.on_demand.get_or_init(|| {
            EngineSet::new(self.on_demand_engine.clone())
                .expect("invariant: the linker's functions have distinct names")
        })
    }

    /// Every engine whose epoch must move.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Engine> {
        self.pooled.iter().map(|set| &set.engine).chain([&self.on_demand_engine])
    }

    /// An engine to compile with; any does.
    pub(crate) fn compiler(&self) -> &Engine {
        &self.on_demand_engine
    }
}

impl EngineSet {
    fn new(engine: Engine) -> Result<Self, RuntimeError> {
        let linker = linker(&engine).map_err(engine_error)?;
        Ok(EngineSet { engine, linker })
    }
}

/// An engine that only compiles: it reserves nothing.
pub(crate) fn compiling_engine() -> wasmtime::Result<Engine> {
    Engine::new(&config())
}

/// Native code made by one engine runs on another only if these are equal.
pub(crate) fn compatibility(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .memory_init_cow(true)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES_MAX)
        .async_stack_size(FIBER_BYTES)
        .wasm_component_model_async(true)
        .wasm_backtrace_max_frames(Some(BACKTRACE_FRAMES_MAX))
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .allocation_strategy(InstanceAllocationStrategy::OnDemand);
    config
}

fn pooled_config(max_instances: u32) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(max_instances)
        .total_core_instances(max_instances.saturating_mul(CORE_INSTANCES_PER_INSTANCE))
        .total_memories(max_instances)
        .total_tables(max_instances.saturating_mul(TABLES_PER_INSTANCE))
        .total_stacks(max_instances)
        .max_memories_per_module(1)
        .linear_memory_keep_resident(MEMORY_KEPT_BYTES)
        .table_keep_resident(TABLE_KEPT_BYTES)
        .async_stack_keep_resident(STACK_KEPT_BYTES)
        .pagemap_scan(Enabled::Auto)
        .decommit_batch_size(DECOMMIT_BATCH);
    let mut config = config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// WASI 0.2 and 0.3 with HTTP; sockets are ours wherever they carry an address.
fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    sockets::shadow(&mut linker)?;
    Ok(linker)
}

fn engine_error(error: wasmtime::Error) -> RuntimeError {
    RuntimeError::Engine(format!("{error:#}"))
}
