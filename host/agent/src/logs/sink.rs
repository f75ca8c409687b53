use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::LogLine;
use super::file::LogFile;
use super::live::LiveLog;

/// Lines that wait for the disk, per container: enough for a burst, little enough to hold for thousands of containers.
const LINES_WAITING_MAX: usize = 256;
/// Lines that are written at once.
const BATCH_LINES_MAX: usize = 256;

/// Where one run of a container writes to. The log ends when the channel closes, or when nobody holds the sink.
#[derive(Clone)]
pub struct LogSink(Arc<Inner>);

struct Inner {
    /// Until the first pump takes it.
    target: Mutex<Option<Target>>,
}

struct Target {
    file: LogFile,
    live: Arc<LiveLog>,
}

impl LogSink {
    pub(super) fn new(file: LogFile, live: Arc<LiveLog>) -> Self {
        Self(Arc::new(Inner { target: Mutex::new(Some(Target { file, live })) }))
    }

    /// Spawns the task that writes everything from `lines`, until all their senders are gone. A run has one pump.
    pub fn pump<L: Send + 'static>(&self, lines: mpsc::Receiver<L>, convert: impl Fn(L) -> LogLine + Send + 'static) {
        let target = self.0.target.lock().expect("no panic while held").take();
        if let Some(target) = target {
            tokio::spawn(run(target, lines, convert));
        }
    }

    /// A bounded channel with its pump.
    pub fn channel(&self) -> mpsc::Sender<LogLine> {
        let (sender, receiver) = mpsc::channel(LINES_WAITING_MAX);
        self.pump(receiver, |line| line);
        sender
    }
}

async fn run<L>(mut target: Target, mut lines: mpsc::Receiver<L>, convert: impl Fn(L) -> LogLine) {
    let mut batch = Vec::new();
    while lines.recv_many(&mut batch, BATCH_LINES_MAX).await > 0 {
        let mut buffer = Vec::new();
        batch.drain(..).for_each(|line| convert(line).encode(&mut buffer));
        let written = tokio::task::spawn_blocking(move || {
            target.append(&buffer);
            target
        });
        match written.await {
            Ok(back) => target = back,
            // The runtime is shutting down.
            Err(_) => return,
        }
    }
}

impl Target {
    fn append(&mut self, buffer: &[u8]) {
        if let Err(error) = self.file.append(buffer) {
            tracing::warn!(path = %self.file.path().display(), %error, "lines of a log were lost");
        }
        self.live.written(self.file.segment());
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.live.end();
    }
}
