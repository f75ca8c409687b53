use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinSet;

use super::frames::decode_all;
use crate::session::{Role, Session, Stream, session};
use crate::{Headers, SessionError};

/// How often the peer lets the other side go first once it has said everything.
const TURNS: usize = 64;

/// What a peer says, after a byte that says whose side it is on: every stream that it opens is echoed, until it goes. Then
/// everybody ends, and what was answered are frames.
pub fn spdy_session(bytes: &[u8]) {
    let Some((first, input)) = bytes.split_first() else { return };
    let role = if first % 2 == 0 { Role::Server } else { Role::Client };
    let output = Arc::new(Mutex::new(Vec::new()));
    let peer = Peer {
        input: input.to_vec(),
        read: 0,
        piece: 1 + usize::from(first / 2) * 16,
        turns: TURNS,
        output: output.clone(),
    };
    let (session, driver) = session(peer, role);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime is made");
    let (ended, ()) = runtime.block_on(async { tokio::join!(driver, echo(session)) });
    let output = std::mem::take(&mut *output.lock().unwrap_or_else(PoisonError::into_inner));
    assert_eq!(decode_all(&[&output]).1, None, "what we say is SPDY");
    let (_, fault) = decode_all(&[input]);
    match (ended, fault) {
        (Ok(()), None) => {}
        (Err(SessionError::Decode(found)), Some(fault)) => assert_eq!(found, fault),
        (ended, fault) => panic!("ended with {ended:?}, and the input has {fault:?}"),
    }
}

async fn echo(mut session: Session) {
    let mut echoes = JoinSet::new();
    while let Some(incoming) = session.accept().await {
        match incoming.headers().get("streamtype") {
            Some("refused") => drop(incoming),
            Some("dropped") => drop(incoming.accept()),
            _ => drop(echoes.spawn(copy(incoming.accept()))),
        }
    }
    let opened = session.open(Headers::default()).await;
    assert!(opened.is_err(), "nothing is opened where nobody is");
    echoes.join_all().await;
}

async fn copy(stream: Stream) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    if tokio::io::copy(&mut reader, &mut writer).await.is_ok() {
        let _ = tokio::io::AsyncWriteExt::shutdown(&mut writer).await;
    }
}

/// Says its input in pieces, and takes everything.
struct Peer {
    input: Vec<u8>,
    read: usize,
    piece: usize,
    turns: usize,
    output: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Peer {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let rest = &self.input[self.read..];
        if rest.is_empty() && self.turns > 0 {
            self.turns -= 1;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let bytes = rest.len().min(self.piece).min(into.remaining());
        into.put_slice(&rest[..bytes]);
        self.read += bytes;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peer {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
