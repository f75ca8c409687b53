use crate::cache::Cache;
use crate::compile::flavor;
use crate::config::{RuntimeConfig, RuntimeError};
use crate::container::{Container, StartError};
use crate::engine::Engines;
use crate::program::{self, PrepareError, Program, WeakProgram};
use crate::spec::ContainerSpec;
use crate::ticker::Ticker;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared as SharedFuture};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// Compilations at once: each uses all CPUs by itself.
const COMPILATIONS_MAX: usize = 2;
/// Slots that are kept without looking for forgotten ones.
const SLOTS_MIN: usize = 64;
/// Threads for the guests' blocking file operations.
const BLOCKING_THREADS_MAX: usize = 64;

/// Runs guests. One per node.
pub struct Runtime {
    shared: Arc<Shared>,
    programs: Arc<Mutex<Programs>>,
    guests: Option<tokio::runtime::Runtime>,
}

/// What programs and containers keep of the runtime.
pub(crate) struct Shared {
    pub(crate) config: RuntimeConfig,
    pub(crate) engines: Engines,
    pub(crate) cache: Cache,
    pub(crate) compilations: Semaphore,
    pub(crate) ticker: Arc<Ticker>,
    /// Where guests run.
    pub(crate) guests: tokio::runtime::Handle,
}

#[derive(Default)]
struct Programs {
    slots: HashMap<String, Slot>,
    /// Programs that nobody holds are forgotten when there are this many slots.
    sweep_at: usize,
}

type Preparing = SharedFuture<BoxFuture<'static, Result<Program, PrepareError>>>;

enum Slot {
    Preparing(Preparing),
    Ready(WeakProgram),
}

impl Runtime {
    pub fn new(config: RuntimeConfig) -> Result<Arc<Self>, RuntimeError> {
        let engines = Engines::new(config.max_instances)?;
        let cache = Cache::open(&config.cache_dir, flavor(engines.compiler()))
            .map_err(|source| RuntimeError::CacheDir { path: config.cache_dir.clone(), source })?;
        let ticker =
            Ticker::spawn(engines.all().map(wasmtime::Engine::weak).collect()).map_err(RuntimeError::Threads)?;
        let guests = guest_threads(config.guest_threads.get()).map_err(RuntimeError::Threads)?;
        let shared = Arc::new(Shared {
            config,
            engines,
            cache,
            compilations: Semaphore::new(COMPILATIONS_MAX),
            ticker,
            guests: guests.handle().clone(),
        });
        Ok(Arc::new(Runtime { shared, programs: Arc::default(), guests: Some(guests) }))
    }

    /// Makes a wasm file ready to start. `digest` names its content: while one caller prepares it, others wait for the
    /// same result, and as long as a [`Program`] lives, later calls return it at once. Must be called within tokio.
    pub async fn prepare(&self, wasm: &Path, digest: &str) -> Result<Program, PrepareError> {
        let preparing = {
            let mut programs = self.programs.lock().unwrap();
            match programs.slots.get(digest) {
                Some(Slot::Preparing(preparing)) => preparing.clone(),
                Some(Slot::Ready(program)) if let Some(program) = program.upgrade() => return Ok(program),
                _ => {
                    let preparing = self.spawn_prepare(wasm, digest);
                    programs.slots.insert(digest.to_owned(), Slot::Preparing(preparing.clone()));
                    preparing
                }
            }
        };
        preparing.await
    }

    /// Starts a container. Must be called within a tokio runtime; the guest itself runs on this crate's threads.
    pub async fn start(&self, program: &Program, spec: ContainerSpec) -> Result<Container, StartError> {
        Container::start(self.shared.clone(), program.clone(), spec).await
    }

    /// Runs on the caller's tokio runtime to its end, even if all callers go away.
    fn spawn_prepare(&self, wasm: &Path, digest: &str) -> Preparing {
        let (shared, programs) = (self.shared.clone(), self.programs.clone());
        let (wasm, digest) = (wasm.to_owned(), digest.to_owned());
        let task = tokio::spawn(async move {
            let result = program::prepare(shared, &wasm, &digest).await;
            programs.lock().unwrap().settle(digest, &result);
            result
        });
        async { task.await.unwrap_or_else(|panic| Err(PrepareError::Load(panic.to_string()))) }.boxed().shared()
    }
}

impl Programs {
    /// Replaces a finished preparation by its program, or forgets it so that the next call tries again.
    fn settle(&mut self, digest: String, result: &Result<Program, PrepareError>) {
        match result {
            Ok(program) => self.slots.insert(digest, Slot::Ready(program.downgrade())),
            Err(_) => self.slots.remove(&digest),
        };
        if self.slots.len() >= self.sweep_at {
            self.slots.retain(|_, slot| !matches!(slot, Slot::Ready(program) if program.upgrade().is_none()));
            self.sweep_at = SLOTS_MIN.max(self.slots.len() * 2);
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.shared.ticker.stop();
        if let Some(guests) = self.guests.take() {
            guests.shutdown_background();
        }
    }
}

/// `event_interval(1)` looks for I/O and timers after every poll, so that a spinning guest delays others by one epoch.
fn guest_threads(threads: usize) -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("wasmk-guest")
        .event_interval(1)
        .global_queue_interval(1)
        .enable_all()
        .build()
}
