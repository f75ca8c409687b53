use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::state::{Fin, PROTOCOL_ERROR, REFUSED_STREAM, Shared};
use super::{Incoming, Role, Stream};
use crate::frame::{Frame, Headers};

/// What a frame of the peer does.
pub(super) struct Reading {
    pub(super) shared: Arc<Shared>,
    pub(super) incoming: mpsc::Sender<Incoming>,
}

impl Reading {
    /// Returns when there is room for what the frame carries, and for what answers it.
    pub(super) async fn frame(&self, frame: Frame) {
        while !self.shared.lock().has_room_for_answers() {
            self.shared.room.notified().await;
        }
        self.shared.lock().announce();
        match frame {
            Frame::SynStream { stream, fin, headers } => self.opened(stream, fin, headers),
            Frame::Data { stream, fin, bytes } => self.data(stream, fin, bytes).await,
            Frame::SynReply { stream, fin, .. } => self.replied(stream, fin),
            Frame::Headers { stream, fin: true, .. } => self.finished(stream),
            Frame::Headers { .. } => {}
            Frame::RstStream { stream, .. } => self.reset(stream),
            Frame::Settings(settings) => self.shared.lock().settings(&settings),
            Frame::WindowUpdate { stream, delta } => self.shared.lock().widen(stream, delta),
            Frame::Ping(id) => self.ping(id),
            Frame::GoAway { .. } => self.shared.lock().peer_is_closing = true,
        }
        self.shared.to_send.notify_one();
    }

    fn opened(&self, id: u32, fin: bool, headers: Headers) {
        let mut state = self.shared.lock();
        let is_peers = id % 2 == if state.role == Role::Client { 0 } else { 1 };
        let status = match () {
            _ if !is_peers || id <= state.last_peer_id => Some(PROTOCOL_ERROR),
            _ if state.closing || state.is_full() => Some(REFUSED_STREAM),
            _ => None,
        };
        if let Some(status) = status {
            return state.answers.push_back(Frame::RstStream { stream: id, status });
        }
        state.last_peer_id = id;
        state.add(id);
        if let Some(slot) = state.slots.get_mut(&id) {
            slot.received_fin = fin;
        }
        drop(state);
        let stream = Stream::new(self.shared.clone(), id);
        // A queue that is full, or that nobody reads any more, drops the stream, and that refuses it.
        let _ = self.incoming.try_send(Incoming { stream, headers });
    }

    /// Waits for room in the stream, and with it the whole connection: whoever heeds windows is never waited for.
    async fn data(&self, id: u32, fin: bool, mut bytes: Bytes) {
        while let Some(refused) = self.store(id, fin, bytes) {
            bytes = refused;
            self.shared.room.notified().await;
        }
    }

    /// Gives the bytes back when there is no room for them.
    fn store(&self, id: u32, fin: bool, bytes: Bytes) -> Option<Bytes> {
        let mut state = self.shared.lock();
        match state.slots.get_mut(&id) {
            Some(slot) if !slot.dropped => {
                if !slot.has_room() {
                    return Some(bytes);
                }
                slot.received_bytes += bytes.len();
                slot.received.extend((!bytes.is_empty()).then_some(bytes));
                slot.received_fin |= fin;
                slot.reader.take().into_iter().for_each(std::task::Waker::wake);
            }
            // Whoever had it is gone: only the connection's window is given back.
            _ => state.consume(id, bytes.len()),
        }
        None
    }

    fn replied(&self, id: u32, fin: bool) {
        if let Some(slot) = self.shared.lock().slots.get_mut(&id) {
            slot.replied = true;
            slot.received_fin |= fin;
            slot.wake();
        }
    }

    fn finished(&self, id: u32) {
        if let Some(slot) = self.shared.lock().slots.get_mut(&id) {
            slot.received_fin = true;
            slot.wake();
        }
    }

    fn reset(&self, id: u32) {
        let mut state = self.shared.lock();
        let Some(slot) = state.slots.get_mut(&id) else { return };
        slot.reset = true;
        slot.to_send.clear();
        slot.fin = Fin::Sent;
        slot.wake();
        if slot.dropped {
            state.slots.remove(&id);
        }
    }

    /// An id of our own kind answers a ping of ours.
    fn ping(&self, id: u32) {
        let mut state = self.shared.lock();
        let is_own = id % 2 == if state.role == Role::Client { 1 } else { 0 };
        if !is_own {
            state.answers.push_back(Frame::Ping(id));
        }
    }
}
