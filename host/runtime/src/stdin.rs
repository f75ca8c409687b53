//! A guest's standard input: a bounded pipe, which whoever writes to it waits for.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, OnceLock};
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;
use tokio_util::sync::CancellationToken;
use wasmtime_wasi::cli::AsyncStdinStream;

/// Chunks that wait for the guest; clients send at most 64 KiB at once.
const CHUNKS_WAITING_MAX: usize = 8;

pub(crate) struct Stdin {
    /// Until the first instance takes it.
    receiver: Mutex<Option<mpsc::Receiver<Bytes>>>,
    stream: OnceLock<Arc<AsyncStdinStream>>,
    ended: CancellationToken,
}

/// The end comes when every sender is gone, or with [`Stdin::end`].
pub(crate) fn pipe() -> (mpsc::Sender<Bytes>, Stdin) {
    let (sender, receiver) = mpsc::channel(CHUNKS_WAITING_MAX);
    (sender, Stdin { receiver: Mutex::new(Some(receiver)), stream: OnceLock::new(), ended: CancellationToken::new() })
}

impl Stdin {
    /// All instances share it. To be called on the guests' threads.
    pub(crate) fn stream(&self) -> Arc<AsyncStdinStream> {
        self.stream.get_or_init(|| Arc::new(AsyncStdinStream::new(self.reader()))).clone()
    }

    /// The guest reads the end, whoever may still hold a sender.
    pub(crate) fn end(&self) {
        self.ended.cancel();
    }

    fn reader(&self) -> impl tokio::io::AsyncRead + Send + Sync + 'static {
        let mut receiver = self.receiver.lock().unwrap().take().expect("invariant: one stream is made of it");
        let chunks =
            poll_fn(move |context| receiver.poll_recv(context)).take_until(self.ended.clone().cancelled_owned());
        StreamReader::new(Box::pin(chunks.map(Ok::<_, io::Error>)))
    }
}
