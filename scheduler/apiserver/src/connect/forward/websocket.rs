use bytes::Bytes;
use futures::future::{join, join_all};
use futures::{SinkExt, Stream, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::Pod;
use crate::connect::channels::Channels;
use crate::connect::websocket::{self, PING_INTERVAL, Sender};

/// Messages to the client that wait, each of [`READ_BYTES`] at most; beyond it the connections wait.
const QUEUE_MAX: usize = 4;
/// Of one port's input that waits; beyond it the client waits, with all of its ports. Messages may be much larger.
const INPUT_BYTES: usize = 64 * 1024;
const READ_BYTES: usize = 32 * 1024;

/// A connection for each of `ports`, on two channels each: 2·i for data, 2·i + 1 for an error. Each channel begins with its
/// port in two bytes. There is no half-close; it ends when the client goes, or when the pod has ended every connection.
pub(super) async fn run(connection: TokioIo<Upgraded>, channels: Channels, ports: Vec<u16>, pod: Pod) {
    let (mut sender, mut receiver) = websocket::over(connection).await;
    let (outgoing, queue) = mpsc::channel(QUEUE_MAX);
    let (mut inputs, mut links) = (Vec::new(), Vec::new());
    for (index, port) in ports.into_iter().enumerate() {
        let (input, received) = tokio::io::duplex(INPUT_BYTES);
        let link = Link { channels, channel: 2 * index as u8, port, outgoing: outgoing.clone() };
        inputs.push(input);
        links.push(link.run(&pod, received));
    }
    // What is left are the links' own: when they have all ended, so has the queue.
    drop(outgoing);
    tokio::select! {
        () = receive(&mut receiver, channels, &mut inputs) => return,
        (_, is_open) = join(join_all(links), send(queue, &mut sender)) => if !is_open { return },
    }
    websocket::close(sender, receiver).await;
}

/// Until the client is gone.
async fn receive<E>(
    receiver: &mut (impl Stream<Item = Result<Message, E>> + Unpin),
    channels: Channels,
    inputs: &mut [DuplexStream],
) {
    while let Some(Ok(message)) = receiver.next().await {
        if matches!(message, Message::Close(_)) {
            return;
        }
        let Some((channel, payload)) = channels.decode(message) else { continue };
        // Nothing is to be said on error channels, nor where the connection has ended.
        if let Some(input) = inputs.get_mut(usize::from(channel) / 2).filter(|_| channel % 2 == 0) {
            let _ = input.write_all(&payload).await;
        }
    }
}

/// Whether the client was there to the end of the queue.
async fn send(mut queue: mpsc::Receiver<Message>, sender: &mut Sender) -> bool {
    let mut pings = tokio::time::interval(PING_INTERVAL);
    pings.reset();
    loop {
        // Both arms are cancel-safe.
        let message = tokio::select! {
            message = queue.recv() => message,
            _ = pings.tick() => Some(Message::Ping(Bytes::new())),
        };
        let Some(message) = message else { return true };
        if sender.send(message).await.is_err() {
            return false;
        }
    }
}

/// One port's two channels.
struct Link {
    channels: Channels,
    channel: u8,
    port: u16,
    outgoing: mpsc::Sender<Message>,
}

impl Link {
    async fn run(self, pod: &Pod, input: DuplexStream) {
        let (data, error) = (self.channel, self.channel + 1);
        let port = self.port.to_le_bytes();
        if !self.say(data, &port).await || !self.say(error, &port).await {
            return;
        }
        match pod.connect(self.port).await {
            Ok(connection) => self.copy(connection, input).await,
            Err(status) => drop(self.say(error, pod.failure(self.port, &status).as_bytes()).await),
        }
    }

    /// Until the pod ends the connection.
    async fn copy(&self, connection: impl AsyncRead + AsyncWrite, mut input: DuplexStream) {
        let (mut reader, mut writer) = tokio::io::split(connection);
        let write = async {
            let _ = tokio::io::copy(&mut input, &mut writer).await;
            // What else comes for this port is thrown away, that the other ports need not wait.
            drop(input);
            std::future::pending().await
        };
        let read = async {
            let mut buffer = vec![0; READ_BYTES];
            while let Ok(read @ 1..) = reader.read(&mut buffer).await {
                if !self.say(self.channel, &buffer[..read]).await {
                    return;
                }
            }
        };
        tokio::select! {
            () = read => {}
            () = write => {}
        }
    }

    /// Whether the client is still there.
    async fn say(&self, channel: u8, payload: &[u8]) -> bool {
        self.outgoing.send(self.channels.encode(channel, payload)).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use super::*;

    /// A connection whose other side takes nothing, or has gone, and says nothing.
    struct Deaf {
        has_gone: bool,
    }

    impl AsyncRead for Deaf {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Deaf {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            if self.has_gone { Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) } else { Poll::Pending }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// How many of ten large messages are taken for a port behind `connection` until nothing moves any more.
    async fn taken(connection: Deaf) -> usize {
        let (input, received) = tokio::io::duplex(INPUT_BYTES);
        let (outgoing, _queue) = mpsc::channel(QUEUE_MAX);
        let link = Link { channels: Channels::Binary, channel: 0, port: 80, outgoing };
        let (taken, mut inputs) = (Cell::new(0), [input]);
        let messages = (0..10).map(|_| {
            taken.set(taken.get() + 1);
            Ok::<_, Infallible>(Message::Binary(vec![0; 1 << 20].into()))
        });
        let mut messages = futures::stream::iter(messages);
        let mut all = std::pin::pin!(join(
            link.copy(connection, received),
            receive(&mut messages, Channels::Binary, &mut inputs)
        ));
        // Each side may wake the other; what is blocked stays so.
        for _ in 0..100 {
            assert!(futures::poll!(all.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
        taken.get()
    }

    #[tokio::test]
    async fn a_port_that_takes_nothing_keeps_little() {
        assert_eq!(taken(Deaf { has_gone: false }).await, 1);
    }

    #[tokio::test]
    async fn a_port_that_has_gone_holds_up_nobody() {
        assert_eq!(taken(Deaf { has_gone: true }).await, 10);
    }
}
