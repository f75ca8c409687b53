//! A guest's stdout and stderr: cut into lines (or, for a client, as they are), stamped, sent with back-pressure.
//!
//! Implements wasmtime's output streams directly: its adapter over `AsyncWrite` is an order of magnitude slower.

use crate::taps::{Taps, piece};
use crate::{LogLine, Stream};
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::PollSender;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// Longer lines are split, as containerd does.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// What a guest may write at once.
const WRITE_BYTES_MAX: usize = 64 * 1024;
/// What waits for room in the channel. A guest that writes without asking for a permit reaches it, and is ended.
const PENDING_BYTES_MAX: usize = 16 * WRITE_BYTES_MAX;
/// How long a guest that ended waits for its last lines to be taken.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// One output stream of one instance; clones share the line in the making.
#[derive(Clone)]
pub(crate) struct LogSink(Arc<Mutex<Inner>>);

struct Inner {
    sender: mpsc::Sender<LogLine>,
    stream: Stream,
    cut: Cut,
    taps: Arc<Taps>,
    line: Vec<u8>,
    pending: VecDeque<LogLine>,
    pending_bytes: usize,
    /// The last lines, for the words of a guest that ends itself.
    recent: VecDeque<Bytes>,
}

/// What reaches the reader at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// For logs.
    Lines,
    /// For a client, who waits for every byte and whom the guest waits for.
    Writes,
}

/// Lines that a language's runtime writes when its program panics.
const RECENT_LINES_MAX: usize = 4;

impl LogSink {
    pub(crate) fn new(stream: Stream, sender: mpsc::Sender<LogLine>, cut: Cut, taps: Arc<Taps>) -> Self {
        LogSink(Arc::new(Mutex::new(Inner {
            sender,
            stream,
            cut,
            taps,
            line: Vec::new(),
            pending: VecDeque::new(),
            pending_bytes: 0,
            recent: VecDeque::new(),
        })))
    }

    /// The last few lines that are not empty, one text.
    pub(crate) fn recent(&self) -> String {
        let inner = self.0.lock().unwrap();
        let lines = inner.recent.iter().map(|line| String::from_utf8_lossy(line));
        lines.filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("\n")
    }

    /// Sends a last line without newline, and what still waits.
    pub(crate) async fn close(&self) {
        let (sender, rest, cut) = {
            let mut inner = self.0.lock().unwrap();
            inner.end_line(false);
            if inner.drain() {
                return;
            }
            (inner.sender.clone(), std::mem::take(&mut inner.pending), inner.cut)
        };
        send_all(&sender, rest, cut).await;
    }
}

/// Sends lines to a log that may be stalled: it is given a second, then they are dropped. A client is waited for.
pub(crate) async fn send_all(sender: &mpsc::Sender<LogLine>, lines: impl IntoIterator<Item = LogLine>, cut: Cut) {
    let all = async {
        for line in lines {
            if sender.send(line).await.is_err() {
                return;
            }
        }
    };
    match cut {
        Cut::Lines => drop(tokio::time::timeout(CLOSE_TIMEOUT, all).await),
        Cut::Writes => all.await,
    }
}

impl Inner {
    fn push(&mut self, bytes: &[u8]) {
        self.taps.offer(self.stream, bytes);
        match self.cut {
            Cut::Lines => self.push_lines(bytes),
            Cut::Writes if bytes.is_empty() => {}
            Cut::Writes => self.send(piece(self.stream, Bytes::copy_from_slice(bytes))),
        }
    }

    fn push_lines(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend_line(&bytes[..end]);
            self.end_line_always();
            bytes = &bytes[end + 1..];
        }
        self.extend_line(bytes);
    }

    /// Adds to the line in the making, cutting it where it gets too long.
    fn extend_line(&mut self, mut bytes: &[u8]) {
        while self.line.len() + bytes.len() > LINE_BYTES_MAX {
            let (now, later) = bytes.split_at(LINE_BYTES_MAX - self.line.len());
            self.line.extend_from_slice(now);
            self.end_line(true);
            bytes = later;
        }
        self.line.extend_from_slice(bytes);
    }

    fn end_line_always(&mut self) {
        let data = Bytes::from(std::mem::take(&mut self.line));
        self.enqueue(data, false);
    }

    fn end_line(&mut self, partial: bool) {
        if !self.line.is_empty() {
            let data = Bytes::from(std::mem::take(&mut self.line));
            self.enqueue(data, partial);
        }
    }

    fn enqueue(&mut self, data: Bytes, partial: bool) {
        if self.stream == Stream::Stderr {
            if self.recent.len() == RECENT_LINES_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back(data.clone());
        }
        self.send(LogLine { time: SystemTime::now(), stream: self.stream, partial, data });
    }

    fn send(&mut self, line: LogLine) {
        if self.pending.is_empty() {
            match self.sender.try_send(line) {
                Err(TrySendError::Full(line)) => self.wait(line),
                Ok(()) | Err(TrySendError::Closed(_)) => {} // nobody reads: the guest goes on
            }
        } else {
            self.wait(line);
        }
    }

    fn wait(&mut self, line: LogLine) {
        self.pending_bytes += line.data.len() + size_of::<LogLine>();
        self.pending.push_back(line);
    }

    /// True if everything went out and there is room for more.
    fn drain(&mut self) -> bool {
        while let Some(line) = self.pending.pop_front() {
            match self.sender.try_send(line) {
                Err(TrySendError::Full(line)) => {
                    self.pending.push_front(line);
                    return false;
                }
                Ok(()) | Err(TrySendError::Closed(_)) => {}
            }
        }
        self.pending_bytes = 0;
        self.sender.capacity() > 0 || self.sender.is_closed()
    }
}

impl IsTerminal for LogSink {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogSink {
    /// For WASI 0.3.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        let sender = self.0.lock().unwrap().sender.clone();
        Box::new(AsyncSink { sink: self.clone(), room: PollSender::new(sender) })
    }

    /// For WASI 0.2.
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for LogSink {
    async fn ready(&mut self) {
        loop {
            let sender = {
                let mut inner = self.0.lock().unwrap();
                if inner.drain() {
                    return;
                }
                inner.sender.clone()
            };
            // Waits for room, gives it back, and looks again.
            let _ = sender.reserve().await;
        }
    }
}

#[async_trait]
impl OutputStream for LogSink {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut inner = self.0.lock().unwrap();
        if inner.pending_bytes + bytes.len() > PENDING_BYTES_MAX {
            return Err(StreamError::trap("output written without a permit"));
        }
        inner.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(if self.0.lock().unwrap().drain() { WRITE_BYTES_MAX } else { 0 })
    }
}

struct AsyncSink {
    sink: LogSink,
    room: PollSender<LogLine>,
}

impl AsyncWrite for AsyncSink {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        while !self.sink.0.lock().unwrap().drain() {
            match ready!(self.room.poll_reserve(cx)) {
                Ok(()) => {
                    self.room.abort_send();
                }
                Err(_) => break, // nobody reads: the guest goes on
            }
        }
        let bytes = &bytes[..bytes.len().min(WRITE_BYTES_MAX)];
        self.sink.0.lock().unwrap().push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink(capacity: usize) -> (LogSink, mpsc::Receiver<LogLine>) {
        let (sender, receiver) = mpsc::channel(capacity);
        (LogSink::new(Stream::Stdout, sender, Cut::Lines, Arc::default()), receiver)
    }

    fn text(receiver: &mut mpsc::Receiver<LogLine>) -> Vec<(String, bool)> {
        std::iter::from_fn(|| receiver.try_recv().ok())
            .map(|line| (String::from_utf8(line.data.to_vec()).unwrap(), line.partial))
            .collect()
    }

    #[tokio::test]
    async fn output_is_cut_at_newlines_and_the_rest_comes_at_the_end() {
        let (mut sink, mut lines) = sink(10);
        sink.write("one\n\ntw".into()).unwrap();
        sink.write("o\nend".into()).unwrap();
        assert_eq!(text(&mut lines), [("one".into(), false), ("".into(), false), ("two".into(), false)]);
        sink.close().await;
        assert_eq!(text(&mut lines), [("end".into(), false)]);
    }

    #[test]
    fn a_long_line_comes_in_parts() {
        let (mut sink, mut lines) = sink(10);
        sink.write(Bytes::from(vec![b'x'; 2 * LINE_BYTES_MAX + 5])).unwrap();
        sink.write("\n".into()).unwrap();
        let parts: Vec<_> = text(&mut lines).into_iter().map(|(data, partial)| (data.len(), partial)).collect();
        assert_eq!(parts, [(LINE_BYTES_MAX, true), (LINE_BYTES_MAX, true), (5, false)]);
    }

    #[tokio::test]
    async fn a_client_gets_what_was_written_as_it_was_written() {
        let (sender, mut receiver) = mpsc::channel(2);
        let mut sink = LogSink::new(Stream::Stdout, sender, Cut::Writes, Arc::default());
        for text in ["prompt> ", "", "two\nlines\n", "end"] {
            sink.write(text.into()).unwrap();
        }
        // The last one waits for room, however long that takes.
        let closing = tokio::spawn(async move { sink.close().await });
        let mut pieces = Vec::new();
        while pieces.len() < 3 {
            pieces.push(receiver.recv().await.unwrap().data);
        }
        closing.await.unwrap();
        assert_eq!(pieces, ["prompt> ", "two\nlines\n", "end"]);
    }

    #[tokio::test]
    async fn a_full_log_holds_the_guest_until_it_is_read() {
        let (mut sink, mut lines) = sink(2);
        assert!(sink.check_write().unwrap() > 0);
        sink.write("1\n2\n3\n".into()).unwrap();
        assert_eq!(sink.check_write().unwrap(), 0);
        let waiting = tokio::spawn(async move {
            sink.ready().await;
            sink.check_write().unwrap()
        });
        for expected in ["1", "2", "3"] {
            assert_eq!(lines.recv().await.unwrap().data, expected);
        }
        assert!(waiting.await.unwrap() > 0);
    }

    #[test]
    fn writing_on_without_a_permit_ends_the_guest() {
        let (mut sink, _lines) = sink(1);
        let chunk = Bytes::from(vec![b'\n'; WRITE_BYTES_MAX]);
        let refused = (0..PENDING_BYTES_MAX).find_map(|_| sink.write(chunk.clone()).err());
        assert!(matches!(refused, Some(StreamError::Trap(_))));
    }
}
