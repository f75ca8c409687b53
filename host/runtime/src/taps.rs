//! Listeners to a container's output besides its log. A guest never waits for them.

use crate::{LogLine, Stream};
use bytes::Bytes;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::SystemTime;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Pieces of at most a guest's write (64 KiB) that wait for one listener: a burst fits, a stalled terminal costs 2 MiB.
const PIECES_WAITING_MAX: usize = 32;
/// What is kept for a first listener that is still to come: a greeting and a prompt, not a log.
const EARLY_BYTES_MAX: usize = 16 << 10;
const EARLY_PIECES_MAX: usize = PIECES_WAITING_MAX / 2;

#[derive(Default)]
pub(crate) struct Taps {
    /// So that output without listeners takes no lock.
    is_open: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    has_ended: bool,
    taps: Vec<Tap>,
    /// Until the first listener comes; `None` where nobody is expected.
    early: Option<Early>,
}

/// What was written before anybody listened.
#[derive(Default)]
struct Early {
    pieces: Vec<(Stream, Vec<u8>)>,
    bytes: usize,
    lost_bytes: usize,
}

struct Tap {
    sender: mpsc::Sender<LogLine>,
    /// Dropped since the listener last had room.
    lost_bytes: usize,
}

impl Taps {
    /// For a container that reads what a client types: the first one also gets what was written before it came.
    pub(crate) fn awaiting_first() -> Self {
        let taps = Self::default();
        taps.inner.lock().unwrap().early = Some(Early::default());
        taps.is_open.store(true, Relaxed);
        taps
    }

    /// Everything from now on, as it is written; the end when the container has ended.
    pub(crate) fn open(&self) -> mpsc::Receiver<LogLine> {
        let (sender, receiver) = mpsc::channel(PIECES_WAITING_MAX);
        let mut inner = self.inner.lock().unwrap();
        if !inner.has_ended {
            let early = inner.early.take().unwrap_or_default();
            for (stream, data) in early.pieces {
                sender.try_send(piece(stream, data.into())).expect("invariant: what is kept fits the channel");
            }
            inner.taps.push(Tap { sender, lost_bytes: early.lost_bytes });
            self.is_open.store(true, Relaxed);
        }
        receiver
    }

    pub(crate) fn offer(&self, stream: Stream, bytes: &[u8]) {
        if bytes.is_empty() || !self.is_open.load(Relaxed) {
            return;
        }
        let data = Bytes::copy_from_slice(bytes);
        let mut inner = self.inner.lock().unwrap();
        if let Some(early) = &mut inner.early {
            early.keep(stream, bytes);
        }
        inner.taps.retain_mut(|tap| tap.offer(stream, &data));
        self.is_open.store(!inner.taps.is_empty() || inner.early.is_some(), Relaxed);
    }

    pub(crate) fn end(&self) {
        let mut inner = self.inner.lock().unwrap();
        inner.has_ended = true;
        inner.early = None;
        inner.taps.clear();
        self.is_open.store(false, Relaxed);
    }
}

impl Early {
    fn keep(&mut self, stream: Stream, bytes: &[u8]) {
        let is_continued = self.pieces.last().is_some_and(|(last, _)| *last == stream);
        let is_full =
            self.bytes + bytes.len() > EARLY_BYTES_MAX || (!is_continued && self.pieces.len() == EARLY_PIECES_MAX);
        if is_full || self.lost_bytes > 0 {
            self.lost_bytes += bytes.len();
            return;
        }
        self.bytes += bytes.len();
        match self.pieces.last_mut().filter(|_| is_continued) {
            Some((_, last)) => last.extend_from_slice(bytes),
            None => self.pieces.push((stream, bytes.to_vec())),
        }
    }
}

impl Tap {
    /// False when nobody listens any more.
    fn offer(&mut self, stream: Stream, data: &Bytes) -> bool {
        if self.lost_bytes > 0 {
            let notice = format!("\n[{} bytes were lost: they came faster than they were read]\n", self.lost_bytes);
            match self.sender.try_send(piece(Stream::Stderr, notice.into())) {
                Ok(()) => self.lost_bytes = 0,
                Err(TrySendError::Full(_)) => {
                    self.lost_bytes += data.len();
                    return true;
                }
                Err(TrySendError::Closed(_)) => return false,
            }
        }
        match self.sender.try_send(piece(stream, data.clone())) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.lost_bytes += data.len();
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

/// Output as it was written.
pub(crate) fn piece(stream: Stream, data: Bytes) -> LogLine {
    LogLine { time: SystemTime::now(), stream, partial: true, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(receiver: &mut mpsc::Receiver<LogLine>) -> String {
        let pieces = std::iter::from_fn(|| receiver.try_recv().ok());
        pieces.map(|piece| String::from_utf8(piece.data.to_vec()).unwrap()).collect()
    }

    #[test]
    fn a_listener_that_does_not_read_is_told_what_it_missed() {
        let taps = Taps::default();
        taps.offer(Stream::Stdout, b"before");
        let mut listener = taps.open();
        (0..PIECES_WAITING_MAX).for_each(|_| taps.offer(Stream::Stdout, b"x"));
        taps.offer(Stream::Stdout, b"lost");
        assert_eq!(text(&mut listener), "x".repeat(PIECES_WAITING_MAX));
        taps.offer(Stream::Stdout, b"y");
        assert_eq!(text(&mut listener), "\n[4 bytes were lost: they came faster than they were read]\ny");
    }

    #[test]
    fn the_first_listener_of_an_interactive_container_hears_how_it_began() {
        let taps = Taps::awaiting_first();
        taps.offer(Stream::Stderr, b"hello\n");
        (0..100).for_each(|_| taps.offer(Stream::Stdout, b"> "));
        let mut first = taps.open();
        taps.offer(Stream::Stdout, b"typed");
        assert_eq!(text(&mut first), format!("hello\n{}typed", "> ".repeat(100)));
        assert_eq!(text(&mut taps.open()), "");
        let flooded = Taps::awaiting_first();
        (0..3).for_each(|_| flooded.offer(Stream::Stdout, &[b'x'; EARLY_BYTES_MAX / 2]));
        let mut first = flooded.open();
        flooded.offer(Stream::Stdout, b"y");
        let heard = text(&mut first);
        assert!(
            heard.ends_with(&format!(
                "[{} bytes were lost: they came faster than they were read]\ny",
                EARLY_BYTES_MAX / 2
            ))
        );
    }

    #[tokio::test]
    async fn listeners_see_the_end_also_when_they_come_late() {
        let taps = Taps::default();
        let mut early = taps.open();
        taps.end();
        taps.offer(Stream::Stdout, b"after");
        assert!(early.recv().await.is_none());
        assert!(taps.open().recv().await.is_none());
    }

    #[test]
    fn who_left_is_forgotten() {
        let taps = Taps::default();
        drop(taps.open());
        taps.offer(Stream::Stdout, b"x");
        assert!(taps.inner.lock().unwrap().taps.is_empty() && !taps.is_open.load(Relaxed));
    }
}
