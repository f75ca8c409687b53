//! One connection, as kubectl carries it: SPDY inside a WebSocket, an error stream and a data stream.

use std::io;

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::future::ready;
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};
use tokio_util::task::AbortOnDropHandle;
use wasmk_spdy::{Headers, Role, Stream};

use crate::session::Session;
use crate::socket::Socket;

const PROTOCOL: &str = "SPDY/3.1+portforward.k8s.io";
/// Of what a node says when it cannot connect.
const ERROR_BYTES_MAX: u64 = 4096;

/// Carries one connection to the pod's port, until both sides have ended it.
pub(super) async fn carry(session: &Session, pod: &str, port: u16, mut client: TcpStream) -> Result<()> {
    let path = format!("/api/v1/namespaces/{}/pods/{pod}/portforward", session.namespace);
    let (spdy, driver) = wasmk_spdy::session(bytes(session.socket(&path, PROTOCOL).await?), Role::Client);
    let _driver = AbortOnDropHandle::new(tokio::spawn(driver));
    let port = port.to_string();
    let headers = |kind| Headers::new([("streamType", kind), ("port", port.as_str()), ("requestID", "0")]);
    let mut error = spdy.open(headers("error")).await.context("open a stream to the pod")?;
    error.shutdown().await.context("open a stream to the pod")?;
    let mut data = spdy.open(headers("data")).await.context("open a stream to the pod")?;
    tokio::select! {
        error = said(error) => Err(error),
        copied = copy_bidirectional(&mut client, &mut data) => copied.map(drop).context("the connection broke"),
    }
}

/// Resolves only when the pod's side has something to complain of.
async fn said(error: Stream) -> anyhow::Error {
    let mut text = String::new();
    match error.take(ERROR_BYTES_MAX).read_to_string(&mut text).await {
        Ok(_) if text.is_empty() => std::future::pending().await,
        Ok(_) => anyhow::Error::msg(text),
        Err(error) => error.into(),
    }
}

/// The WebSocket's messages as one stream of bytes each way.
fn bytes(socket: Socket) -> impl AsyncRead + AsyncWrite {
    let (sink, stream) = socket.split();
    let messages = stream.filter_map(|message| {
        ready(match message {
            Ok(Message::Binary(bytes)) => Some(Ok(bytes)),
            Ok(_) => None,
            Err(error) => Some(Err(io::Error::other(error))),
        })
    });
    let sink = sink.with(|bytes: Bytes| ready(Ok::<_, Error>(Message::Binary(bytes)))).sink_map_err(io::Error::other);
    tokio::io::join(StreamReader::new(messages), SinkWriter::new(CopyToBytes::new(sink)))
}
