use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;

use super::read::Reading;
use super::state::Shared;
use super::{Incoming, Role, SessionError};
use crate::frame::{Decoder, Encoder, Frame};

const READ_BYTES: usize = 32 * 1024;
/// What is encoded before it is written out.
const BATCH_BYTES: usize = 64 * 1024;
/// A client that vanished is noticed by what is sent to it, also while there is no room to read what it sent.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// After our end the peer may still be reading: closing earlier could take away what it has not read yet.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) async fn drive<IO>(io: IO, shared: Arc<Shared>, incoming: mpsc::Sender<Incoming>) -> Result<(), SessionError>
where
    IO: AsyncRead + AsyncWrite,
{
    // Also when this future is dropped, whoever waits for a stream must learn it.
    let _end = End(shared.clone());
    let (mut reader, mut writer) = tokio::io::split(io);
    let reading = Reading { shared: shared.clone(), incoming };
    // Whichever ends first, the connection is through; nothing of the other is needed then.
    tokio::select! {
        read = read(&mut reader, &reading) => return read,
        written = write(&mut writer, &shared) => written?,
    }
    let _ = tokio::time::timeout(LINGER_TIMEOUT, tokio::io::copy(&mut reader, &mut tokio::io::sink())).await;
    Ok(())
}

struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.end();
    }
}

async fn read<IO: AsyncRead>(reader: &mut ReadHalf<IO>, reading: &Reading) -> Result<(), SessionError> {
    let (mut decoder, mut buffer) = (Decoder::default(), BytesMut::new());
    loop {
        while let Some(frame) = decoder.decode(&mut buffer)? {
            reading.frame(frame).await;
        }
        buffer.reserve(READ_BYTES);
        if reader.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// Until the session is closed and everything is sent.
async fn write<IO: AsyncWrite>(writer: &mut WriteHalf<IO>, shared: &Shared) -> Result<(), SessionError> {
    let (mut encoder, mut batch) = (Encoder::default(), BytesMut::new());
    let mut ping_id = if shared.lock().role == Role::Client { 1 } else { 2 };
    let mut pings = tokio::time::interval(PING_INTERVAL);
    pings.reset();
    loop {
        let is_through = fill(&mut batch, &mut encoder, shared);
        if !batch.is_empty() {
            writer.write_all_buf(&mut batch).await?;
            writer.flush().await?;
            shared.room.notify_one();
        } else if is_through {
            let last_stream = shared.lock().last_peer_id;
            encoder.encode(&Frame::GoAway { last_stream, status: 0 }, &mut batch);
            writer.write_all_buf(&mut batch).await?;
            writer.shutdown().await?;
            return Ok(());
        } else {
            // Both arms are cancel-safe: a notification not taken stays, and so does a tick.
            tokio::select! {
                () = shared.to_send.notified() => {}
                _ = pings.tick() => {
                    shared.lock().answers.push_back(Frame::Ping(ping_id));
                    ping_id = (ping_id + 2) & 0x7fff_ffff;
                }
            }
        }
    }
}

/// Whether nothing will come any more.
fn fill(batch: &mut BytesMut, encoder: &mut Encoder, shared: &Shared) -> bool {
    let mut state = shared.lock();
    while batch.len() < BATCH_BYTES {
        let Some((frame, waker)) = state.next_frame() else { break };
        encoder.encode(&frame, batch);
        waker.into_iter().for_each(std::task::Waker::wake);
    }
    let is_sent = |slot: &super::state::Slot| slot.to_send.is_empty() && slot.fin != super::state::Fin::Wanted;
    state.closing && state.slots.values().all(is_sent)
}
