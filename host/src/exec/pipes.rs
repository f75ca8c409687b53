//! Channels as what a thread reads and writes. Both break when the run is cancelled, or nobody is at the other end.

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wasmk_agent::{Piece, Stream};

/// A piece is at most this long, so that a channel of pieces is bounded in bytes.
const PIECE_BYTES_MAX: usize = 64 << 10;

pub(super) struct Input {
    pub(super) chunks: Option<mpsc::Receiver<Bytes>>,
    pub(super) current: Bytes,
    pub(super) line: Line,
}

pub(super) struct Output {
    pub(super) pieces: mpsc::Sender<Piece>,
    pub(super) stream: Stream,
    pub(super) line: Line,
}

/// What both wait with.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) tasks: Handle,
    pub(super) cancelled: CancellationToken,
}

impl Line {
    fn wait<T>(&self, for_what: impl Future<Output = T>) -> io::Result<T> {
        let waited = self.tasks.block_on(self.cancelled.run_until_cancelled(for_what));
        waited.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            let Some(chunks) = &mut self.chunks else { return Ok(0) };
            match self.line.wait(chunks.recv())? {
                Some(chunk) => self.current = chunk,
                None => self.chunks = None,
            }
        }
        let count = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE_BYTES_MAX);
        if count > 0 {
            let piece = Piece { stream: self.stream, data: Bytes::copy_from_slice(&bytes[..count]) };
            self.line.wait(self.pieces.send(piece))?.map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
