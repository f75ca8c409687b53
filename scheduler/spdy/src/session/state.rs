use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Mutex, MutexGuard};
use std::task::Waker;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use super::{RECEIVE_WINDOW, Role, SEND_BUFFER_BYTES, STREAMS_MAX};
use crate::frame::{Frame, Headers};

/// Of one DATA frame, so that streams take turns.
const DATA_BYTES_MAX: usize = 16 * 1024;
/// What is consumed is reported to the peer once it is this much.
const REPORT_BYTES: u32 = RECEIVE_WINDOW as u32 / 2;
/// Answers to the peer that wait to be sent; beyond it the peer is not read.
const ANSWERS_MAX: usize = 2 * STREAMS_MAX;

pub(super) const PROTOCOL_ERROR: u32 = 1;
pub(super) const REFUSED_STREAM: u32 = 3;
pub(super) const CANCEL: u32 = 5;
const INITIAL_WINDOW_SIZE: u32 = 7;

/// A connection's state, between its driver and the handles of its streams. The lock is never held over an await.
pub(super) struct Shared {
    state: Mutex<State>,
    /// There may be something to send.
    pub(super) to_send: Notify,
    /// There may be room for what was read.
    pub(super) room: Notify,
}

pub(super) struct State {
    pub(super) role: Role,
    pub(super) slots: BTreeMap<u32, Slot>,
    next_id: u32,
    pub(super) last_peer_id: u32,
    /// Control frames, in order, ahead of all data.
    pub(super) answers: VecDeque<Frame>,
    /// The stream that sent data last; the next one's turn comes first.
    last_sender: u32,
    /// What the peer lets the connection send. Counted from the beginning, heeded once `has_windows`.
    send_window: i64,
    initial_send_window: i64,
    has_windows: bool,
    /// Read, and not yet reported to the peer.
    consumed: u32,
    announced: bool,
    pub(super) closing: bool,
    /// The peer takes no more streams.
    pub(super) peer_is_closing: bool,
    pub(super) ended: bool,
}

#[derive(Default)]
pub(super) struct Slot {
    pub(super) received: VecDeque<Bytes>,
    pub(super) received_bytes: usize,
    pub(super) received_fin: bool,
    consumed: u32,
    pub(super) to_send: BytesMut,
    pub(super) fin: Fin,
    send_window: i64,
    pub(super) replied: bool,
    pub(super) reset: bool,
    /// The handle is gone; the slot goes when everything is sent.
    pub(super) dropped: bool,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

/// Our end of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Fin {
    #[default]
    Open,
    /// After what is still to be sent.
    Wanted,
    Sent,
}

impl Shared {
    pub(super) fn new(role: Role) -> Self {
        let state = State {
            role,
            slots: BTreeMap::new(),
            next_id: if role == Role::Client { 1 } else { 2 },
            last_peer_id: 0,
            answers: VecDeque::new(),
            last_sender: 0,
            send_window: RECEIVE_WINDOW as i64,
            initial_send_window: RECEIVE_WINDOW as i64,
            has_windows: false,
            consumed: 0,
            announced: false,
            closing: false,
            peer_is_closing: false,
            ended: false,
        };
        Self { state: Mutex::new(state), to_send: Notify::new(), room: Notify::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn open(&self, headers: Headers) -> io::Result<u32> {
        let mut state = self.lock();
        if state.closing || state.peer_is_closing || state.ended {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if state.slots.len() >= STREAMS_MAX {
            return Err(io::Error::other(format!("more than {STREAMS_MAX} streams on one connection")));
        }
        let stream = state.next_id;
        state.next_id += 2;
        state.add(stream);
        state.answers.push_back(Frame::SynStream { stream, fin: false, headers });
        self.to_send.notify_one();
        Ok(stream)
    }

    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.to_send.notify_one();
    }

    /// The driver is through: whoever waits learns it.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.slots.values_mut().for_each(Slot::wake);
    }
}

impl State {
    pub(super) fn add(&mut self, id: u32) {
        let slot = Slot { send_window: self.initial_send_window, ..Slot::default() };
        self.slots.insert(id, slot);
    }

    pub(super) fn is_full(&self) -> bool {
        self.slots.len() >= STREAMS_MAX
    }

    pub(super) fn has_room_for_answers(&self) -> bool {
        self.answers.len() < ANSWERS_MAX
    }

    /// The peer is told what our windows are when it has spoken first: some clients lose what follows the upgrade.
    pub(super) fn announce(&mut self) {
        if !std::mem::replace(&mut self.announced, true) {
            self.answers.push_back(Frame::Settings(vec![(INITIAL_WINDOW_SIZE, RECEIVE_WINDOW as u32)]));
            // Each stream has its own bound, so none has to wait for another's reader.
            let delta = (RECEIVE_WINDOW * (STREAMS_MAX - 1)) as u32;
            self.answers.push_back(Frame::WindowUpdate { stream: 0, delta });
        }
    }

    /// `bytes` of `stream` are no longer held here.
    pub(super) fn consume(&mut self, stream: u32, bytes: usize) {
        self.consumed = self.consumed.saturating_add(bytes as u32);
        if let Some(slot) = self.slots.get_mut(&stream) {
            slot.consumed = slot.consumed.saturating_add(bytes as u32);
        }
    }

    pub(super) fn widen(&mut self, stream: u32, delta: u32) {
        self.has_windows = true;
        match self.slots.get_mut(&stream) {
            _ if stream == 0 => self.send_window += i64::from(delta),
            Some(slot) => slot.send_window += i64::from(delta),
            None => {}
        }
    }

    pub(super) fn settings(&mut self, settings: &[(u32, u32)]) {
        for (_, value) in settings.iter().filter(|(id, _)| *id == INITIAL_WINDOW_SIZE) {
            let delta = i64::from(*value) - self.initial_send_window;
            self.initial_send_window += delta;
            self.slots.values_mut().for_each(|slot| slot.send_window += delta);
            self.has_windows = true;
        }
    }

    /// The next frame to send, and whose writer may go on.
    pub(super) fn next_frame(&mut self) -> Option<(Frame, Option<Waker>)> {
        let control = self.answers.pop_front().or_else(|| self.report());
        match control {
            Some(frame) => Some((frame, None)),
            None => self.next_data(),
        }
    }

    fn report(&mut self) -> Option<Frame> {
        let due = |consumed: &mut u32| (*consumed >= REPORT_BYTES).then(|| std::mem::take(consumed));
        if let Some(delta) = due(&mut self.consumed) {
            return Some(Frame::WindowUpdate { stream: 0, delta });
        }
        let mut slots = self.slots.iter_mut().filter(|(_, slot)| !slot.received_fin);
        slots.find_map(|(id, slot)| Some(Frame::WindowUpdate { stream: *id, delta: due(&mut slot.consumed)? }))
    }

    fn next_data(&mut self) -> Option<(Frame, Option<Waker>)> {
        let allowed = |window: i64| match self.has_windows {
            true => window.clamp(0, DATA_BYTES_MAX as i64) as usize,
            false => DATA_BYTES_MAX,
        };
        let connection = allowed(self.send_window);
        let sendable = |slot: &Slot| slot.to_send.len().min(connection).min(allowed(slot.send_window));
        let is_ready = |slot: &Slot| sendable(slot) > 0 || (slot.to_send.is_empty() && slot.fin == Fin::Wanted);
        let later = self.slots.range(self.last_sender + 1..);
        let mut turns = later.chain(self.slots.range(..=self.last_sender));
        let (id, bytes) = turns.find(|(_, slot)| is_ready(slot)).map(|(id, slot)| (*id, sendable(slot)))?;
        let slot = self.slots.get_mut(&id)?;
        let piece = slot.to_send.split_to(bytes).freeze();
        slot.send_window -= bytes as i64;
        self.send_window -= bytes as i64;
        self.last_sender = id;
        let fin = slot.to_send.is_empty() && slot.fin == Fin::Wanted;
        let waker = slot.writer.take();
        if fin {
            slot.fin = Fin::Sent;
            if slot.dropped {
                self.slots.remove(&id);
            }
        }
        Some((Frame::Data { stream: id, fin, bytes: piece }, waker))
    }
}

impl Slot {
    pub(super) fn wake(&mut self) {
        [self.reader.take(), self.writer.take()].into_iter().flatten().for_each(Waker::wake);
    }

    /// One frame may go beyond the window, as long as there is room at all: peers without windows send what they like.
    pub(super) fn has_room(&self) -> bool {
        self.received_bytes < RECEIVE_WINDOW
    }

    pub(super) fn send_room(&self) -> usize {
        SEND_BUFFER_BYTES.saturating_sub(self.to_send.len())
    }
}
