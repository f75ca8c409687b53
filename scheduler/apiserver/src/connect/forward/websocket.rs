use bytes::Bytes;
use futures::future::{join, join_all};
use futures::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::{Connection, Pod};
use crate::connect::channels::Channels;
use crate::connect::websocket::{self, PING_INTERVAL, Receiver, Sender};

/// Messages of one direction that wait; beyond it whoever sends waits.
const QUEUE_MAX: usize = 4;
const READ_BYTES: usize = 32 * 1024;

/// A connection for each of `ports`, on two channels each: 2·i for data, 2·i + 1 for an error. Each channel begins with its
/// port in two bytes. There is no half-close; it ends when the client goes, or when the pod has ended every connection.
pub(super) async fn run(connection: TokioIo<Upgraded>, channels: Channels, ports: Vec<u16>, pod: Pod) {
    let (mut sender, mut receiver) = websocket::over(connection).await;
    let (outgoing, queue) = mpsc::channel(QUEUE_MAX);
    let (mut inputs, mut links) = (Vec::new(), Vec::new());
    for (index, port) in ports.into_iter().enumerate() {
        let (input, received) = mpsc::channel(QUEUE_MAX);
        let link = Link { channels, channel: 2 * index as u8, port, outgoing: outgoing.clone() };
        inputs.push(input);
        links.push(link.run(&pod, received));
    }
    // What is left are the links' own: when they have all ended, so has the queue.
    drop(outgoing);
    tokio::select! {
        () = receive(&mut receiver, channels, &inputs) => return,
        (_, is_open) = join(join_all(links), send(queue, &mut sender)) => if !is_open { return },
    }
    websocket::close(sender, receiver).await;
}

/// Until the client is gone.
async fn receive(receiver: &mut Receiver, channels: Channels, inputs: &[mpsc::Sender<Bytes>]) {
    while let Some(Ok(message)) = receiver.next().await {
        if matches!(message, Message::Close(_)) {
            return;
        }
        let Some((channel, payload)) = channels.decode(message) else { continue };
        // Nothing is to be said on error channels, nor where the connection has ended.
        if let Some(input) = inputs.get(usize::from(channel) / 2).filter(|_| channel % 2 == 0) {
            let _ = input.send(payload).await;
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
    async fn run(self, pod: &Pod, input: mpsc::Receiver<Bytes>) {
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
    async fn copy(&self, connection: Connection, mut input: mpsc::Receiver<Bytes>) {
        let (mut reader, mut writer) = tokio::io::split(connection);
        let write = async {
            while let Some(bytes) = input.recv().await {
                if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
                    break;
                }
            }
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
