//! A container's surroundings: builds a store for each of its instances.

use crate::fault::Fault;
use crate::guest::Guest;
use crate::limits::{Limits, MemoryMeter};
use crate::logs::{Cut, LogSink, send_all};
use crate::meter::CpuMeter;
use crate::outgoing::Outgoing;
use crate::program::{Instance, Loaded, Program};
use crate::runtime::Shared;
use crate::sockets::Sockets;
use crate::spec::{ContainerSpec, LogLine, Mount, Stream};
use crate::stdin::Stdin;
use crate::taps::Taps;
use bytes::Bytes;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, PoolConcurrencyLimitError, Store};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};
use wasmtime_wasi_http::WasiHttpCtx;

/// Host resources (streams, sockets, files, requests) of one instance; each may be a file descriptor of the node's.
const RESOURCES_MAX: usize = 4 * 1024;
/// Component-model handles of one instance.
const HANDLES_MAX: usize = 64 * 1024;
/// Bytes that one call to the host may copy.
const HOSTCALL_BYTES_MAX: usize = 64 << 20;
/// Headers of one request or response.
const FIELDS_BYTES_MAX: usize = 128 * 1024;

pub(crate) struct Sandbox {
    pub(crate) shared: Arc<Shared>,
    pub(crate) program: Program,
    /// Its `logs` are closed: what is written goes to [`Sandbox::logs`], which ends with the container.
    pub(crate) spec: ContainerSpec,
    logs: Mutex<mpsc::Sender<LogLine>>,
    cut: Cut,
    pub(crate) taps: Arc<Taps>,
    pub(crate) stdin: Option<Stdin>,
    pub(crate) memory: Arc<MemoryMeter>,
    pub(crate) cpu: Arc<CpuMeter>,
}

/// What a program beside a container has of its own.
pub(crate) struct Beside {
    pub(crate) program: Program,
    /// Its name first.
    pub(crate) argv: Vec<String>,
    pub(crate) output: mpsc::Sender<LogLine>,
    pub(crate) stdin: Option<Stdin>,
}

/// A live instance with its store.
pub(crate) struct Live {
    pub(crate) store: Store<Guest>,
    pub(crate) instance: Instance,
    pub(crate) output: Output,
}

/// The two streams of an instance, to be closed when it ends.
#[derive(Clone)]
pub(crate) struct Output {
    stdout: LogSink,
    pub(crate) stderr: LogSink,
}

impl Sandbox {
    pub(crate) fn new(shared: Arc<Shared>, program: Program, mut spec: ContainerSpec, stdin: Option<Stdin>) -> Self {
        let logs = Mutex::new(std::mem::replace(&mut spec.logs, closed_log()));
        let memory = Arc::new(MemoryMeter::new(spec.memory_bytes_max));
        let cpu = Arc::new(CpuMeter::new(spec.cpu_millis_max, shared.ticker.clone()));
        Sandbox { shared, program, spec, logs, cut: Cut::Lines, taps: Arc::default(), stdin, memory, cpu }
    }

    /// The same surroundings for another program; both together have the container's memory and CPU.
    pub(crate) fn beside(&self, own: Beside) -> Self {
        let mut argv = own.argv.into_iter();
        let name = argv.next().unwrap_or_else(|| self.spec.name.clone());
        Sandbox {
            shared: self.shared.clone(),
            program: own.program,
            spec: ContainerSpec { name, args: argv.collect(), ..self.spec.clone() },
            logs: Mutex::new(own.output),
            cut: Cut::Writes,
            taps: Arc::default(),
            stdin: own.stdin,
            memory: self.memory.clone(),
            cpu: self.cpu.clone(),
        }
    }

    fn logs(&self) -> mpsc::Sender<LogLine> {
        self.logs.lock().unwrap().clone()
    }

    /// Nothing is written any more: whoever reads the log sees its end, however long handles of the container live.
    pub(crate) fn end_logs(&self) {
        *self.logs.lock().unwrap() = closed_log();
        self.taps.end();
    }

    /// A fresh instance, from the pool while there is room.
    pub(crate) async fn instantiate(&self) -> wasmtime::Result<Live> {
        match self.instantiate_on(self.program.preferred()).await {
            Err(error) if error.is::<PoolConcurrencyLimitError>() => match self.program.on_demand() {
                Some(loaded) => self.instantiate_on(loaded).await,
                None => Err(error),
            },
            result => result,
        }
    }

    async fn instantiate_on(&self, loaded: &Loaded) -> wasmtime::Result<Live> {
        let output = self.output();
        let mut store = self.store(&loaded.engine, &output)?;
        let instance = loaded.instantiate(&mut store).await?;
        Ok(Live { store, instance, output })
    }

    fn output(&self) -> Output {
        let sink = |stream| LogSink::new(stream, self.logs(), self.cut, self.taps.clone());
        Output { stdout: sink(Stream::Stdout), stderr: sink(Stream::Stderr) }
    }

    fn store(&self, engine: &Engine, output: &Output) -> wasmtime::Result<Store<Guest>> {
        let sockets = Sockets::new(self.spec.network.clone());
        let wasi = self.wasi(output, &sockets)?;
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(FIELDS_BYTES_MAX);
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        let outgoing = Outgoing(self.spec.network.clone());
        let limits = Limits::new(self.memory.clone());
        let mut store = Store::new(engine, Guest { table, wasi, http, outgoing, sockets, limits });
        store.limiter(|guest| &mut guest.limits);
        store.set_max_component_handles(HANDLES_MAX);
        store.set_hostcall_fuel(HOSTCALL_BYTES_MAX);
        store.epoch_deadline_async_yield_and_update(1);
        store.set_epoch_deadline(1);
        Ok(store)
    }

    fn wasi(&self, output: &Output, sockets: &Sockets) -> wasmtime::Result<WasiCtx> {
        let spec = &self.spec;
        let mut wasi = WasiCtxBuilder::new();
        wasi.arg(&spec.name).args(&spec.args).envs(&spec.env);
        wasi.stdout(output.stdout.clone()).stderr(output.stderr.clone());
        if let Some(stdin) = &self.stdin {
            wasi.stdin(stdin.stream());
        }
        wasi.allow_tcp(true).allow_udp(false).allow_ip_name_lookup(true);
        wasi.socket_addr_check(sockets.check());
        if let Some(dir) = &spec.working_dir {
            wasi.initial_cwd(dir);
            if !spec.env.iter().any(|(name, _)| name == "PWD") {
                wasi.env("PWD", dir);
            }
        }
        for mount in &spec.mounts {
            preopen(&mut wasi, mount)?;
        }
        Ok(wasi.build())
    }

    /// Puts a fault where the guest's author looks for it: at the end of stderr.
    pub(crate) async fn log_fault(&self, fault: &Fault) {
        let line = |text: &str| {
            let whole = format!("{text}\n");
            self.taps.offer(Stream::Stderr, whole.as_bytes());
            let data = if self.cut == Cut::Lines { Bytes::copy_from_slice(text.as_bytes()) } else { whole.into() };
            LogLine { time: fault.time, stream: Stream::Stderr, partial: false, data }
        };
        let lines: Vec<_> = fault.lines().map(line).collect();
        send_all(&self.logs(), lines, self.cut).await;
    }
}

fn closed_log() -> mpsc::Sender<LogLine> {
    mpsc::channel(1).0
}

impl Output {
    pub(crate) async fn close(&self) {
        self.stdout.close().await;
        self.stderr.close().await;
    }
}

pub(crate) fn preopen(wasi: &mut WasiCtxBuilder, mount: &Mount) -> wasmtime::Result<()> {
    let perms = if mount.read_only { FsPerms::ReadOnly } else { FsPerms::ReadWrite };
    wasi.preopened_dir(&mount.host, &mount.guest, perms)?;
    Ok(())
}
