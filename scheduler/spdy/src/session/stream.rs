use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::state::{CANCEL, Fin, REFUSED_STREAM, Shared, Slot, State};
use crate::frame::{Frame, Headers};

/// One stream: bytes both ways. Shutting it down ends our direction; dropping it before that resets it.
pub struct Stream {
    shared: Arc<Shared>,
    id: u32,
}

impl Stream {
    pub(super) fn new(shared: Arc<Shared>, id: u32) -> Self {
        Self { shared, id }
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Consents to a stream that the peer opened.
    pub(super) fn reply(&self) {
        let mut state = self.shared.lock();
        if let Some(slot) = state.slots.get_mut(&self.id) {
            slot.replied = true;
            state.answers.push_back(Frame::SynReply { stream: self.id, fin: false, headers: Headers::default() });
            self.shared.to_send.notify_one();
        }
    }

    /// Until the peer has consented.
    pub(super) async fn replied(&self) -> io::Result<()> {
        std::future::poll_fn(|context| {
            let mut state = self.shared.lock();
            // Consent stands, also when all was said and done before this is asked.
            if state.slots.get(&self.id).is_some_and(|slot| slot.replied) {
                return Poll::Ready(Ok(()));
            }
            live(&mut state, self.id)?.reader = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// The slot, as long as anything can still happen on it.
fn live(state: &mut State, id: u32) -> io::Result<&mut Slot> {
    let ended = state.ended;
    match state.slots.get_mut(&id) {
        Some(slot) if !slot.reset && !ended => Ok(slot),
        Some(slot) if slot.reset => Err(io::Error::new(io::ErrorKind::ConnectionReset, "the peer reset the stream")),
        _ => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the connection of the stream has ended")),
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.shared.lock();
        let Some(slot) = state.slots.get_mut(&self.id) else { return Poll::Ready(Ok(())) };
        let before = into.filled().len();
        // What has arrived is read even when the connection has ended since.
        while let Some(first) = slot.received.front_mut().filter(|_| into.remaining() > 0) {
            let bytes = first.len().min(into.remaining());
            into.put_slice(&first[..bytes]);
            first.advance(bytes);
            if first.is_empty() {
                slot.received.pop_front();
            }
        }
        let read = into.filled().len() - before;
        slot.received_bytes -= read;
        if read > 0 {
            state.consume(self.id, read);
            self.shared.room.notify_one();
            self.shared.to_send.notify_one();
            return Poll::Ready(Ok(()));
        }
        if slot.received_fin {
            return Poll::Ready(Ok(()));
        }
        live(&mut state, self.id)?.reader = Some(context.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.shared.lock();
        let slot = live(&mut state, self.id)?;
        if slot.fin != Fin::Open {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let taken = slot.send_room().min(bytes.len());
        if taken == 0 && !bytes.is_empty() {
            slot.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        slot.to_send.extend_from_slice(&bytes[..taken]);
        self.shared.to_send.notify_one();
        Poll::Ready(Ok(taken))
    }

    /// The driver sends as soon as it can.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(context))?;
        let mut state = self.shared.lock();
        let slot = live(&mut state, self.id)?;
        if slot.fin == Fin::Open {
            slot.fin = Fin::Wanted;
            self.shared.to_send.notify_one();
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let Some(slot) = state.slots.get_mut(&self.id) else { return };
        let unread = std::mem::take(&mut slot.received_bytes);
        slot.received.clear();
        slot.dropped = true;
        let is_own = self.id % 2 == if state.role == super::Role::Client { 1 } else { 0 };
        let Some(slot) = state.slots.get(&self.id) else { return };
        let (fin, reset, replied) = (slot.fin, slot.reset, slot.replied);
        if fin != Fin::Wanted || reset {
            state.slots.remove(&self.id);
        }
        if fin == Fin::Open && !reset {
            let status = if replied || is_own { CANCEL } else { REFUSED_STREAM };
            state.answers.push_back(Frame::RstStream { stream: self.id, status });
        }
        state.consume(self.id, unread);
        self.shared.room.notify_one();
        self.shared.to_send.notify_one();
    }
}
