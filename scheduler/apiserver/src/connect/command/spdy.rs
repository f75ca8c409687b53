use std::io;
use std::time::Duration;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::Mutex;
use tracing::debug;
use wasmk_api::stream::{Channel, Streams};
use wasmk_spdy::{Role, Session, Stream, session};

use super::Version;
use super::node::{Node, NodeReader, NodeWriter};
use crate::connect::IDLE_TIMEOUT;

/// As the kubelet waits for the streams that were announced.
const STREAMS_TIMEOUT: Duration = Duration::from_secs(30);
const STDIN_BYTES: usize = 32 * 1024;
/// Of one terminal size as JSON.
const SIZE_BYTES_MAX: u64 = 256;

pub(super) async fn run(connection: TokioIo<Upgraded>, version: Version, streams: Streams, node: Node) {
    let (mut session, driver) = session(connection, Role::Server);
    let mut driver = std::pin::pin!(driver);
    // The driver ends when the client is gone, and with it the node's stream.
    tokio::select! {
        ended = &mut driver => return debug!(?ended, "the client is gone"),
        served = serve(&mut session, version, streams, node) => if let Err(error) = served {
            debug!(%error, "the command's streams ended early");
        },
    }
    session.close();
    let _ = tokio::time::timeout(IDLE_TIMEOUT, driver).await;
}

/// The streams of one command.
#[derive(Default)]
struct Pipes {
    error: Option<Stream>,
    stdin: Option<Stream>,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
    resize: Option<Stream>,
}

async fn serve(session: &mut Session, version: Version, streams: Streams, node: Node) -> io::Result<()> {
    let pipes = tokio::time::timeout(STREAMS_TIMEOUT, Pipes::accept(session, version, streams));
    let mut pipes = pipes.await.map_err(|_| io::Error::other("timed out waiting for client to create streams"))??;
    let writer = Mutex::new(node.writer);
    let input = async {
        let (stdin, resize) = (pipes.stdin.take(), pipes.resize.take());
        tokio::join!(copy_stdin(stdin, &writer), copy_sizes(resize, &writer));
        // The end of the input is not the end of the command.
        std::future::pending().await
    };
    let mut outputs = Outputs { error: pipes.error, stdout: pipes.stdout, stderr: pipes.stderr };
    let mut reader = node.reader;
    tokio::select! {
        done = outputs.copy(&mut reader, version) => done,
        never = input => never,
    }
}

impl Pipes {
    /// Until all that were announced are there; the error stream always is.
    async fn accept(session: &mut Session, version: Version, streams: Streams) -> io::Result<Self> {
        let mut pipes = Self::default();
        let wanted = [
            ("error", true),
            ("stdin", streams.stdin),
            ("stdout", streams.stdout),
            ("stderr", streams.stderr),
            ("resize", streams.tty && version.has_resize),
        ];
        while wanted.iter().any(|(name, is_wanted)| *is_wanted && pipes.slot(name).is_none_or(|slot| slot.is_none())) {
            let incoming = session.accept().await.ok_or(io::ErrorKind::ConnectionAborted)?;
            let name = incoming.headers().get("streamType").unwrap_or_default().to_owned();
            // What nobody asked for is refused by being dropped.
            if let Some(slot) = pipes.slot(&name).filter(|slot| slot.is_none()) {
                *slot = Some(incoming.accept());
            }
        }
        Ok(pipes)
    }

    fn slot(&mut self, name: &str) -> Option<&mut Option<Stream>> {
        match name {
            "error" => Some(&mut self.error),
            "stdin" => Some(&mut self.stdin),
            "stdout" => Some(&mut self.stdout),
            "stderr" => Some(&mut self.stderr),
            "resize" => Some(&mut self.resize),
            _ => None,
        }
    }
}

async fn copy_stdin(stdin: Option<Stream>, writer: &Mutex<NodeWriter>) {
    let Some(mut stdin) = stdin else { return };
    let mut buffer = vec![0; STDIN_BYTES];
    while let Ok(read @ 1..) = stdin.read(&mut buffer).await {
        if writer.lock().await.send(Channel::Stdin, &buffer[..read]).await.is_err() {
            return;
        }
    }
    let _ = writer.lock().await.close(Channel::Stdin).await;
}

/// One size a line, as Go writes JSON.
async fn copy_sizes(resize: Option<Stream>, writer: &Mutex<NodeWriter>) {
    let Some(resize) = resize else { return };
    let (mut lines, mut line) = (BufReader::new(resize), Vec::new());
    while let Ok(1..) = (&mut lines).take(SIZE_BYTES_MAX).read_until(b'\n', &mut line).await {
        if writer.lock().await.send(Channel::Resize, line.trim_ascii()).await.is_err() {
            return;
        }
        line.clear();
    }
}

struct Outputs {
    error: Option<Stream>,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
}

impl Outputs {
    async fn copy(&mut self, reader: &mut NodeReader, version: Version) -> io::Result<()> {
        loop {
            let frame = reader.next().await;
            let output = match frame.channel {
                Channel::Stdout => &mut self.stdout,
                Channel::Stderr => &mut self.stderr,
                Channel::Outcome => return self.finish(version.outcome.write(&frame.payload)).await,
                _ => continue,
            };
            if let Some(output) = output {
                output.write_all(&frame.payload).await?;
            }
        }
    }

    async fn finish(&mut self, outcome: Option<Vec<u8>>) -> io::Result<()> {
        if let (Some(error), Some(text)) = (&mut self.error, outcome) {
            error.write_all(&text).await?;
        }
        for stream in [&mut self.stdout, &mut self.stderr, &mut self.error].into_iter().flatten() {
            stream.shutdown().await?;
        }
        Ok(())
    }
}
