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
}

struct Tap {
    sender: mpsc::Sender<LogLine>,
    /// Dropped since the listener last had room.
    lost_bytes: usize,
}

impl Taps {
    /// Everything from now on, as it is written; the end when the container has ended.
    pub(crate) fn open(&self) -> mpsc::Receiver<LogLine> {
        let (sender, receiver) = mpsc::channel(PIECES_WAITING_MAX);
        let mut inner = self.inner.lock().unwrap();
        if !inner.has_ended {
            inner.taps.push(Tap { sender, lost_bytes: 0 });
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
        inner.taps.retain_mut(|tap| tap.offer(stream, &data));
        self.is_open.store(!inner.taps.is_empty(), Relaxed);
    }

    pub(crate) fn end(&self) {
        let mut inner = self.inner.lock().unwrap();
        inner.has_ended = true;
        inner.taps.clear();
        self.is_open.store(false, Relaxed);
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
