use std::sync::{Arc, Weak};

use async_trait::async_trait;
use wasmk_agent as agent;
use wasmk_agent::{ContainerSpec, Image, PrepareError, ProgramKind, StartError};
use wasmk_network::Ports;
use wasmk_runtime::{FaultKind, Mount, Runtime, StdinMode};

use crate::container::RunningContainer;
use crate::exec::{Executor, Surroundings};
use crate::guest_network::PodGuestNetwork;
use crate::pods::Pods;
use crate::replica::GuestReplica;

/// The agent's runtime over wasmtime's, with each container connected to its pod's network.
pub(crate) struct NodeRuntime {
    runtime: Arc<Runtime>,
    pods: Arc<Pods>,
    executor: Arc<Executor>,
}

impl NodeRuntime {
    pub(crate) fn new(runtime: Arc<Runtime>, pods: Arc<Pods>) -> Self {
        Self { executor: Arc::new(Executor::new(runtime.clone())), runtime, pods }
    }
}

#[async_trait]
impl agent::Runtime for NodeRuntime {
    async fn prepare(&self, image: &Image) -> Result<Arc<dyn agent::Program>, PrepareError> {
        let program = self.runtime.prepare(&image.wasm, &image.wasm_digest).await.map_err(prepare_error)?;
        // Blobs are called by their digests, which nobody types.
        let file = image.rootfs.as_ref().and_then(|_| Some(image.wasm.file_name()?.to_string_lossy().into_owned()));
        Ok(Arc::new(NodeProgram {
            program,
            file,
            runtime: self.runtime.clone(),
            pods: Arc::downgrade(&self.pods),
            executor: self.executor.clone(),
        }))
    }
}

fn prepare_error(error: wasmk_runtime::PrepareError) -> PrepareError {
    use wasmk_runtime::PrepareError as Runtime;
    let text = error.to_string();
    match error {
        Runtime::Inspect(_) | Runtime::MissingImport(_) => PrepareError::Broken(text),
        Runtime::Read { .. } | Runtime::Compile(_) | Runtime::Load(_) | Runtime::Cache(_) => PrepareError::Failed(text),
    }
}

struct NodeProgram {
    program: wasmk_runtime::Program,
    /// The name of its file in the image.
    file: Option<String>,
    runtime: Arc<Runtime>,
    pods: Weak<Pods>,
    executor: Arc<Executor>,
}

#[async_trait]
impl agent::Program for NodeProgram {
    fn kind(&self) -> ProgramKind {
        if self.program.info().kind.is_http() { ProgramKind::Http } else { ProgramKind::Command }
    }

    async fn start(&self, spec: ContainerSpec) -> Result<Arc<dyn agent::Container>, StartError> {
        let pods = self.pods.upgrade().ok_or_else(|| StartError("the node is stopping".to_owned()))?;
        let pod = pods.port(&spec.pod.uid).ok_or_else(|| StartError("the pod has no network yet".to_owned()))?;
        let ports = if spec.ports.is_empty() { Ports::Any } else { Ports::List(spec.ports.clone()) };
        let network = Arc::new(PodGuestNetwork(pod.guest()));
        let around = Surroundings::new(&spec, self.file.clone());
        let container = self.runtime.start(&self.program, guest_spec(spec, network)).await;
        let container = container.map_err(|error| StartError(error.to_string()))?;
        let serving = container.http().map(|guest| pod.serve_http(ports, Arc::new(GuestReplica(guest))));
        Ok(Arc::new(RunningContainer::new(container, serving, around, self.executor.clone())))
    }
}

fn guest_spec(spec: ContainerSpec, network: Arc<PodGuestNetwork>) -> wasmk_runtime::ContainerSpec {
    /// Lines between a guest and its log file; the guest waits when there are more.
    const LINES_WAITING_MAX: usize = 256;
    let (lines, receiver) = tokio::sync::mpsc::channel(LINES_WAITING_MAX);
    spec.logs.pump(receiver, log_line);
    let mut argv = spec.argv.into_iter();
    let name = argv.next().unwrap_or_else(|| spec.container.clone());
    let mut guest = wasmk_runtime::ContainerSpec::new(name, lines, network);
    guest.args = argv.collect();
    guest.env = spec.env;
    guest.working_dir = spec.working_dir;
    guest.mounts = spec
        .mounts
        .into_iter()
        .map(|mount| Mount { host: mount.host, guest: mount.guest, read_only: mount.read_only })
        .collect();
    guest.stdin = match spec.stdin {
        agent::Stdin::Closed => StdinMode::Closed,
        agent::Stdin::Open => StdinMode::Open,
        agent::Stdin::Once => StdinMode::Once,
    };
    guest.memory_bytes_max = spec.memory_bytes_max;
    guest.cpu_millis_max = spec.cpu_millis_max;
    if let Some(count) = spec.requests_per_instance {
        guest.requests.per_instance_max = count.get();
    }
    let on_fault = spec.on_fault;
    guest.on_fault = Arc::new(move |fault| {
        let out_of_memory = fault.kind == FaultKind::OutOfMemory;
        on_fault(agent::RequestFault { message: fault.message, out_of_memory });
    });
    guest
}

fn log_line(line: wasmk_runtime::LogLine) -> agent::LogLine {
    agent::LogLine { time: line.time, stream: stream(line.stream), partial: line.partial, data: line.data }
}

pub(crate) fn stream(stream: wasmk_runtime::Stream) -> agent::Stream {
    match stream {
        wasmk_runtime::Stream::Stdout => agent::Stream::Stdout,
        wasmk_runtime::Stream::Stderr => agent::Stream::Stderr,
    }
}
