use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of a [`Runtime`](crate::Runtime).
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// Where native code is kept. It is loaded unchecked by the CPU, so the directory is made private to the user.
    pub cache_dir: PathBuf,
    pub compiler: Compiler,
    /// Threads that run guests; by default one per CPU.
    pub guest_threads: NonZeroUsize,
    /// Live instances that the pool reserves address space for. More than that still run, a little slower to start.
    /// Linux allows 65,530 mappings a process unless `vm.max_map_count` is raised: 10,000 is about what fits.
    pub max_instances: u32,
    /// A compilation that takes longer is given up.
    pub compile_timeout: Duration,
}

/// Who turns wasm into native code.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// This process, on a blocking thread. Leaves the compiler's memory behind: for tests.
    InProcess,
    /// A child process: the command is run with the input and output paths appended, and calls
    /// [`compile_main`](crate::compile_main).
    Command(Vec<OsString>),
}

#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    #[error("create the cache directory {path}")]
    CacheDir {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("start guest threads")]
    Threads(#[source] std::io::Error),
    #[error("set up the wasm engine: {0}")]
    Engine(String),
}

impl RuntimeConfig {
    pub fn new(cache_dir: impl Into<PathBuf>, compiler: Compiler) -> Self {
        RuntimeConfig {
            cache_dir: cache_dir.into(),
            compiler,
            guest_threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            max_instances: 10_000,
            compile_timeout: Duration::from_secs(300),
        }
    }
}
