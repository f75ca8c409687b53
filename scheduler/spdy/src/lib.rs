//! SPDY/3.1: several streams over one connection, as `kubectl` speaks it for `exec`, `attach` and `port-forward`.
//!
//! Entry point: [`session`] over any byte stream gives a [`Session`], which accepts and opens [`Stream`]s, and a future
//! that moves the bytes; the caller drives it. [`Decoder`] and [`Encoder`] are the framing alone: pure, incremental.
//!
//! Invariants: no input panics; everything that is buffered has a named bound, and where a bound is reached the reader of
//! the connection waits. Nothing is spawned here.
//!
//! Flow control: windows are kept both ways, but Kubernetes' clients (built on `spdystream`) have none: they neither heed
//! windows nor open them. So the peer's windows bind us only once it has shown, by SETTINGS or WINDOW_UPDATE, that it
//! has some; and what a peer sends beyond ours is not refused but left unread until there is room.
//!
//! Source: the draft "SPDY Protocol - Draft 3.1". Deliberately absent: push, priorities, credentials, persisted settings.

mod dictionary;
mod frame;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod session;

pub use frame::{DecodeError, Decoder, Encoder, Frame, Headers};
pub use session::{Incoming, Role, Session, SessionError, Stream, session};
