use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use wasmk_api::stream::{Channel, Frame, PAYLOAD_BYTES_MAX, decode, encode, exec_failed};

use crate::connect::idle::Idle;
use crate::nodes::NodeStream;

/// The node's side of a command. Dropping both halves ends the command.
pub(super) struct Node {
    pub(super) reader: NodeReader,
    pub(super) writer: NodeWriter,
}

pub(super) struct NodeReader {
    half: ReadHalf<Idle<NodeStream>>,
    buffer: BytesMut,
}

pub(super) struct NodeWriter {
    half: WriteHalf<Idle<NodeStream>>,
    buffer: BytesMut,
}

impl Node {
    pub(super) fn new(stream: Idle<NodeStream>) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            reader: NodeReader { half: reader, buffer: BytesMut::new() },
            writer: NodeWriter { half: writer, buffer: BytesMut::new() },
        }
    }
}

impl NodeReader {
    /// Output, and at last the outcome; there is always one, the node's or the reason why it is not known. Cancel-safe.
    pub(super) async fn next(&mut self) -> Frame {
        self.frame().await.unwrap_or_else(|error| {
            let outcome = exec_failed(&format!("the node broke off: {error}")).to_string();
            Frame { channel: Channel::Outcome, payload: outcome.into() }
        })
    }

    async fn frame(&mut self) -> io::Result<Frame> {
        loop {
            if let Some(frame) = decode(&mut self.buffer).map_err(io::Error::other)? {
                return Ok(frame);
            }
            self.buffer.reserve(PAYLOAD_BYTES_MAX / 2);
            if self.half.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

impl NodeWriter {
    /// Waits until the node takes it. What is sent is framed piece by piece, so that a client's message of any size is not
    /// here a second time.
    pub(super) async fn send(&mut self, channel: Channel, payload: &[u8]) -> io::Result<()> {
        let mut rest = payload;
        loop {
            let (piece, left) = rest.split_at(rest.len().min(PAYLOAD_BYTES_MAX));
            encode(channel, piece, &mut self.buffer);
            self.half.write_all_buf(&mut self.buffer).await?;
            rest = left;
            if rest.is_empty() {
                return self.half.flush().await;
            }
        }
    }

    /// Nothing more comes on `channel`.
    pub(super) async fn close(&mut self, channel: Channel) -> io::Result<()> {
        self.send(Channel::Close, &[channel.number()]).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_large_message_is_framed_piece_by_piece() {
        let (near, mut far) = tokio::io::duplex(1024);
        let mut node = Node::new(Idle::new(Box::new(near), Duration::from_secs(60)));
        let payload = vec![7; 3 * PAYLOAD_BYTES_MAX + 1];
        let mut buffer = BytesMut::new();
        {
            let mut sending = std::pin::pin!(node.writer.send(Channel::Stdin, &payload));
            assert!(futures::poll!(sending.as_mut()).is_pending());
            let receive = async {
                let mut received = Vec::new();
                while received.len() < payload.len() {
                    far.read_buf(&mut buffer).await.unwrap();
                    while let Some(frame) = decode(&mut buffer).unwrap() {
                        received.extend_from_slice(&frame.payload);
                    }
                }
                received
            };
            let (sent, received) = tokio::join!(sending, receive);
            sent.unwrap();
            assert!(received == payload);
        }
        assert!(futures::poll!(std::pin::pin!(node.writer.send(Channel::Stdin, &payload))).is_pending());
        assert!(node.writer.buffer.len() <= 2 * PAYLOAD_BYTES_MAX, "{}", node.writer.buffer.len());
    }
}
