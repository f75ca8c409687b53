use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use wasmk_agent::{Container, ExecError, Exit, Streams, Usage};
use wasmk_network::HttpServing;
use wasmk_runtime::ExitReason;

use crate::exec::{Executor, Surroundings, piece};

/// A container of the runtime, called by the network for as long as it runs.
pub(crate) struct RunningContainer {
    container: wasmk_runtime::Container,
    serving: Mutex<Option<HttpServing>>,
    around: Arc<Surroundings>,
    executor: Arc<Executor>,
}

impl RunningContainer {
    pub(crate) fn new(
        container: wasmk_runtime::Container,
        serving: Option<HttpServing>,
        around: Surroundings,
        executor: Arc<Executor>,
    ) -> Self {
        Self { container, serving: Mutex::new(serving), around: Arc::new(around), executor }
    }
}

#[async_trait]
impl Container for RunningContainer {
    async fn wait(&self) -> Exit {
        let ended = self.container.wait().await;
        self.serving.lock().expect("no panic while held").take();
        exit(ended.reason)
    }

    fn kill(&self) {
        self.serving.lock().expect("no panic while held").take();
        self.container.kill();
    }

    fn end_input(&self) -> bool {
        self.container.end_input()
    }

    fn usage(&self) -> Usage {
        let usage = self.container.usage();
        Usage {
            cpu_nanos: u64::try_from(usage.cpu_time.as_nanos()).unwrap_or(u64::MAX),
            memory_bytes: usage.memory_bytes,
        }
    }

    async fn exec(&self, command: Vec<String>, wants_stdin: bool) -> Result<Streams, ExecError> {
        self.executor.exec(&self.container, &self.around, command, wants_stdin).await
    }

    fn attach(&self, wants_stdin: bool) -> Streams {
        let attached = self.container.attach(wants_stdin);
        let ended = self.container.ended();
        Streams {
            stdin: attached.stdin,
            output: ReceiverStream::new(attached.output).map(piece).boxed(),
            exit: Box::pin(async move { exit(ended.await.reason) }),
        }
    }
}

pub(crate) fn exit(reason: ExitReason) -> Exit {
    match reason {
        ExitReason::Exited(code) => Exit::Exited(code),
        ExitReason::Trapped { message, backtrace } => Exit::Trapped { message, backtrace: backtrace.join("\n") },
        ExitReason::OutOfMemory { message } => Exit::OutOfMemory { message },
        ExitReason::Killed => Exit::Killed,
    }
}
