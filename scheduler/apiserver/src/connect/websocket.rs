use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};

/// As Kubernetes' servers take them: some clients send a whole file in one message.
const MESSAGE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// A client that vanished is noticed by what is sent to it.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(10);
/// Until the client has answered our good-bye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;
pub(super) type Sender = SplitSink<Socket, Message>;
pub(super) type Receiver = SplitStream<Socket>;

pub(super) async fn over(connection: TokioIo<Upgraded>) -> (Sender, Receiver) {
    let config =
        WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES_MAX)).max_frame_size(Some(MESSAGE_BYTES_MAX));
    WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await.split()
}

/// Says good-bye, and lets the client read what was sent before.
pub(super) async fn close(mut sender: Sender, mut receiver: Receiver) {
    // kubectl takes a good-bye without this code for a failure.
    let normal = CloseFrame { code: CloseCode::Normal, reason: Default::default() };
    if sender.send(Message::Close(Some(normal))).await.is_ok() {
        let gone = async { while let Some(Ok(_)) = receiver.next().await {} };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, gone).await;
    }
}

/// The bytes of binary messages as one stream both ways.
pub(super) fn tunnel(sender: Sender, receiver: Receiver) -> impl AsyncRead + AsyncWrite {
    let bytes = receiver.filter_map(|message| async {
        match message {
            Ok(Message::Binary(bytes)) => Some(Ok(bytes)),
            Ok(_) => None,
            Err(error) => Some(Err(io_error(error))),
        }
    });
    let messages =
        sender.sink_map_err(io_error).with(|bytes: Bytes| async { Ok::<_, io::Error>(Message::Binary(bytes)) });
    tokio::io::join(StreamReader::new(Box::pin(bytes)), Box::pin(SinkWriter::new(CopyToBytes::new(messages))))
}

fn io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::other(other),
    }
}
