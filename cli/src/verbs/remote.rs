//! A command in a container, or a container's own streams: Kubernetes' channels over a WebSocket.

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

use super::targets::query;
use crate::session::Session;
use crate::socket::Socket;

/// With it the end of stdin can be told.
const PROTOCOL: &str = "v5.channel.k8s.io";
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const CLOSE: u8 = 255;
/// One message to the server.
const CHUNK_BYTES: usize = 32 << 10;

/// What is wanted of a container.
pub(super) struct Wanted<'a> {
    pub(super) pod: &'a str,
    pub(super) container: &'a str,
    /// Nothing: attach.
    pub(super) command: Option<&'a [String]>,
    pub(super) stdin: bool,
    pub(super) tty: bool,
}

/// A session whose streams are not connected yet.
pub(super) struct Remote {
    socket: Socket,
    has_stdin: bool,
}

impl Remote {
    pub(super) async fn open(session: &Session, wanted: &Wanted<'_>) -> Result<Self> {
        let flag = |is_set: bool| is_set.then_some("true");
        let parameters = [
            ("container", Some(wanted.container)),
            ("stdin", flag(wanted.stdin)),
            ("stdout", Some("true")),
            ("stderr", flag(!wanted.tty)),
            ("tty", flag(wanted.tty)),
        ];
        let verb = if wanted.command.is_some() { "exec" } else { "attach" };
        let mut path = format!("/api/v1/namespaces/{}/pods/{}/{verb}", session.namespace, wanted.pod);
        path += &query(&parameters);
        for word in wanted.command.unwrap_or_default() {
            // An empty word is one, too.
            path += &format!("&command={}", form_urlencoded::byte_serialize(word.as_bytes()).collect::<String>());
        }
        Ok(Self { socket: session.socket(&path, PROTOCOL).await?, has_stdin: wanted.stdin })
    }

    /// Until the remote side ends; answers its exit code. `stdin` is read if one is wanted.
    pub(super) async fn run(
        self,
        stdin: impl AsyncRead + Unpin,
        stdout: impl AsyncWrite + Unpin,
        stderr: impl AsyncWrite + Unpin,
    ) -> Result<u8> {
        let (sender, receiver) = self.socket.split();
        let send = async { if self.has_stdin { send(sender, stdin).await } else { Ok(sender) } };
        let receive = receive(receiver, stdout, stderr);
        tokio::pin!(receive);
        // Both at once, or a command that answers while it reads would stand still.
        tokio::select! {
            ended = &mut receive => ended,
            sent = send => match sent {
                Ok(_open) => receive.await,
                // The server has closed: what it said last is still to be read.
                Err(error) => receive.await.map_err(|_| error),
            },
        }
    }
}

/// Answers the sender, which keeps the connection open.
async fn send(
    mut sender: SplitSink<Socket, Message>,
    mut stdin: impl AsyncRead + Unpin,
) -> Result<SplitSink<Socket, Message>> {
    let mut chunk = vec![0; 1 + CHUNK_BYTES];
    chunk[0] = STDIN;
    loop {
        let count = stdin.read(&mut chunk[1..]).await.context("read the input")?;
        if count == 0 {
            sender.send(Message::binary(vec![CLOSE, STDIN])).await?;
            return Ok(sender);
        }
        sender.send(Message::binary(Bytes::copy_from_slice(&chunk[..=count]))).await?;
    }
}

async fn receive(
    mut receiver: SplitStream<Socket>,
    mut stdout: impl AsyncWrite + Unpin,
    mut stderr: impl AsyncWrite + Unpin,
) -> Result<u8> {
    while let Some(message) = receiver.next().await {
        let bytes = match message.context("the connection broke")? {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => text.into(),
            Message::Close(_) => break,
            _ => continue,
        };
        match bytes.split_first() {
            Some((&STDOUT, data)) => write(&mut stdout, data).await?,
            Some((&STDERR, data)) => write(&mut stderr, data).await?,
            Some((&STATUS, status)) => return exit_code(&serde_json::from_slice(status)?),
            _ => {}
        }
    }
    bail!("the connection ended before the command did")
}

async fn write(output: &mut (impl AsyncWrite + Unpin), data: &[u8]) -> Result<()> {
    output.write_all(data).await.context("write the output")?;
    output.flush().await.context("write the output")
}

/// Of a `Status`: a command that ran has a code, whatever else went wrong is an error.
fn exit_code(status: &Value) -> Result<u8> {
    if status["status"] == "Success" {
        return Ok(0);
    }
    let causes = status["details"]["causes"].as_array().into_iter().flatten();
    let code = causes.filter(|cause| cause["reason"] == "ExitCode").find_map(|cause| cause["message"].as_str());
    match code.and_then(|code| code.parse::<i32>().ok()) {
        // As a shell does with codes that do not fit.
        Some(code) => Ok(u8::try_from(code & 0xff).unwrap_or(1)),
        None => Err(anyhow!("{}", status["message"].as_str().unwrap_or("the command failed"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_exit_code_is_passed_on_and_what_did_not_run_is_an_error() {
        assert_eq!(exit_code(&json!({"status": "Success"})).unwrap(), 0);
        let ended = json!({"status": "Failure", "reason": "NonZeroExitCode", "message": "m",
            "details": {"causes": [{"reason": "ExitCode", "message": "3"}]}});
        assert_eq!(exit_code(&ended).unwrap(), 3);
        let failed = json!({"status": "Failure", "reason": "InternalError", "message": "no such program"});
        assert_eq!(exit_code(&failed).unwrap_err().to_string(), "no such program");
    }
}
