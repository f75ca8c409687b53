use futures::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::{Error, Message};
use wasmk_api::stream::{Channel, Streams};

use super::Dialect;
use super::node::{Node, NodeReader, NodeWriter};
use crate::connect::websocket::{self, PING_INTERVAL, Receiver, Sender};

pub(super) async fn run(connection: TokioIo<Upgraded>, dialect: Dialect, streams: Streams, node: Node) {
    let (mut sender, mut receiver) = websocket::over(connection).await;
    let Node { mut reader, mut writer } = node;
    // A client that is gone takes the command with it: both halves of the node's stream are dropped.
    tokio::select! {
        () = read(&mut receiver, &mut writer, dialect, streams) => return,
        written = write(&mut reader, &mut sender, dialect, streams) => if written.is_err() { return },
    }
    websocket::close(sender, receiver).await;
}

/// What the client sends, until it is gone.
async fn read(receiver: &mut Receiver, writer: &mut NodeWriter, dialect: Dialect, streams: Streams) {
    let mut has_stdin = streams.stdin;
    while let Some(Ok(message)) = receiver.next().await {
        if matches!(message, Message::Close(_)) {
            return;
        }
        let Some((channel, payload)) = dialect.channels.decode(message) else { continue };
        let sent = match Channel::from_number(channel) {
            Some(Channel::Stdin) if has_stdin => writer.send(Channel::Stdin, &payload).await,
            Some(Channel::Resize) if streams.tty => writer.send(Channel::Resize, &payload).await,
            Some(Channel::Close) if dialect.has_close && has_stdin && payload[..] == [Channel::Stdin.number()] => {
                has_stdin = false;
                writer.close(Channel::Stdin).await
            }
            _ => Ok(()),
        };
        // A node that takes no more input may still have output, and says itself when it ends.
        has_stdin &= sent.is_ok();
    }
}

/// What the node sends, until it has told the outcome.
async fn write(reader: &mut NodeReader, sender: &mut Sender, dialect: Dialect, streams: Streams) -> Result<(), Error> {
    // Some clients wait for a first message to know that they are connected.
    let first = [(streams.stdout, Channel::Stdout), (streams.stderr, Channel::Stderr), (true, Channel::Outcome)];
    let first = first.into_iter().find_map(|(is_there, channel)| is_there.then_some(channel));
    sender.send(dialect.channels.encode(first.map_or(0, Channel::number), &[])).await?;
    let mut pings = tokio::time::interval(PING_INTERVAL);
    pings.reset();
    loop {
        // Both arms are cancel-safe: what is read of a frame stays with the reader.
        let frame = tokio::select! {
            frame = reader.next() => frame,
            _ = pings.tick() => {
                sender.send(Message::Ping(Default::default())).await?;
                continue;
            }
        };
        match frame.channel {
            Channel::Stdout | Channel::Stderr => {
                sender.send(dialect.channels.encode(frame.channel.number(), &frame.payload)).await?;
            }
            Channel::Outcome => {
                if let Some(text) = dialect.outcome.write(&frame.payload) {
                    sender.send(dialect.channels.encode(Channel::Outcome.number(), &text)).await?;
                }
                return Ok(());
            }
            _ => {}
        }
    }
}
