mod drive;
mod read;
mod state;
mod stream;

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::frame::{DecodeError, Headers};
use state::Shared;
pub use stream::Stream;

/// Streams of one connection at once; a forwarded connection takes two. Each may hold
/// [`RECEIVE_WINDOW`] + [`SEND_BUFFER_BYTES`].
const STREAMS_MAX: usize = 256;
/// The protocol's initial window, of a stream and of the connection: what is received and not yet read.
const RECEIVE_WINDOW: usize = 64 * 1024;
/// What one stream has to send and the connection has not taken yet.
const SEND_BUFFER_BYTES: usize = 32 * 1024;

/// Who opened the connection: clients open odd streams, servers even ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Client,
    Server,
}

/// Why a connection ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("the connection broke")]
    Io(#[from] io::Error),
    #[error("the peer does not speak SPDY/3.1")]
    Decode(#[from] DecodeError),
}

/// One connection's streams. Dropping it ends nothing; see [`Session::close`].
pub struct Session {
    shared: Arc<Shared>,
    incoming: mpsc::Receiver<Incoming>,
}

/// A stream that the peer wants to open; dropping it refuses.
pub struct Incoming {
    stream: Stream,
    headers: Headers,
}

/// A session over `io`, and the future that moves its bytes: it ends when the peer is gone, when something is wrong, or
/// after [`Session::close`].
pub fn session<IO>(io: IO, role: Role) -> (Session, impl Future<Output = Result<(), SessionError>>)
where
    IO: AsyncRead + AsyncWrite,
{
    let (sender, incoming) = mpsc::channel(STREAMS_MAX);
    let shared = Arc::new(Shared::new(role));
    (Session { shared: shared.clone(), incoming }, drive::drive(io, shared, sender))
}

impl Session {
    /// The next stream that the peer opens; `None` when the connection has ended.
    pub async fn accept(&mut self) -> Option<Incoming> {
        self.incoming.recv().await
    }

    /// Opens a stream, and waits for the peer's consent.
    pub async fn open(&self, headers: Headers) -> io::Result<Stream> {
        let id = self.shared.open(headers)?;
        let stream = Stream::new(self.shared.clone(), id);
        stream.replied().await?;
        Ok(stream)
    }

    /// No more streams; when everything that is written is sent, the connection ends.
    pub fn close(&self) {
        self.shared.close();
    }
}

impl Incoming {
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    pub fn id(&self) -> u32 {
        self.stream.id()
    }

    pub fn accept(self) -> Stream {
        self.stream.reply();
        self.stream
    }
}
