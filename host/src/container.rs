use std::sync::Mutex;

use async_trait::async_trait;
use wasmk_agent::{Container, Exit, Usage};
use wasmk_network::HttpServing;
use wasmk_runtime::ExitReason;

/// A container of the runtime, called by the network for as long as it runs.
pub(crate) struct RunningContainer {
    container: wasmk_runtime::Container,
    serving: Mutex<Option<HttpServing>>,
}

impl RunningContainer {
    pub(crate) fn new(container: wasmk_runtime::Container, serving: Option<HttpServing>) -> Self {
        Self { container, serving: Mutex::new(serving) }
    }
}

#[async_trait]
impl Container for RunningContainer {
    async fn wait(&self) -> Exit {
        let exit = self.container.wait().await;
        self.serving.lock().expect("no panic while held").take();
        match exit.reason {
            ExitReason::Exited(code) => Exit::Exited(code),
            ExitReason::Trapped { message, backtrace } => Exit::Trapped { message, backtrace: backtrace.join("\n") },
            ExitReason::OutOfMemory { message } => Exit::OutOfMemory { message },
            ExitReason::Killed => Exit::Killed,
        }
    }

    fn kill(&self) {
        self.serving.lock().expect("no panic while held").take();
        self.container.kill();
    }

    fn usage(&self) -> Usage {
        let usage = self.container.usage();
        Usage {
            cpu_nanos: u64::try_from(usage.cpu_time.as_nanos()).unwrap_or(u64::MAX),
            memory_bytes: usage.memory_bytes,
        }
    }
}
