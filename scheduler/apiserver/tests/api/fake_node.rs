//! A node's side of streams, without a node: commands by name, ports by number.

use std::convert::Infallible;

use axum::body::Body;
use bytes::BytesMut;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::Notify;
use wasmk_api::stream::{Channel, Frame, decode, encode, exec_failed, exited, succeeded};
use wasmk_api::{Reason, Status};
use wasmk_apiserver::{NodeStream, StreamRequest};

/// Small, so that a side that does not read is noticed.
const PIPE_BYTES: usize = 4096;

/// Gives back what it is sent.
pub(crate) const ECHO_PORT: u16 = 7;
/// Answers HTTP.
pub(crate) const HTTP_PORT: u16 = 80;

/// Told when the caller of the command `hang` is gone.
pub(crate) static HANG_ENDED: Notify = Notify::const_new();

pub(crate) fn open(request: StreamRequest) -> Result<NodeStream, Status> {
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    match request {
        StreamRequest::Exec { command, .. } => drop(tokio::spawn(Process::new(far).run(command))),
        StreamRequest::Attach { .. } => drop(tokio::spawn(Process::new(far).run(vec!["cat".to_owned()]))),
        StreamRequest::PortForward { port: ECHO_PORT, .. } => drop(tokio::spawn(echo(far))),
        StreamRequest::PortForward { port: HTTP_PORT, .. } => drop(tokio::spawn(serve(far))),
        StreamRequest::PortForward { port, .. } => {
            return Err(Status::new(Reason::ServiceUnavailable, format!("nothing listens on port {port}")));
        }
    }
    Ok(Box::new(near))
}

async fn echo(stream: DuplexStream) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let _ = tokio::io::copy(&mut reader, &mut writer).await;
    let _ = writer.shutdown().await;
}

async fn serve(stream: DuplexStream) {
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
    let _ = connection.with_upgrades().await;
}

/// Says what it was asked; `/redirect` leads to `/there`, `/upgrade` to an echo of bytes for who asks for that as servers
/// want it, `/headers` lists what was sent.
async fn answer(mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let response = Response::builder();
    let response = match request.uri().path() {
        "/redirect" => response.status(StatusCode::FOUND).header("location", "/there").body(Body::empty()),
        "/upgrade"
            if request
                .headers()
                .get("connection")
                .is_none_or(|value| !value.as_bytes().eq_ignore_ascii_case(b"upgrade")) =>
        {
            response.status(StatusCode::BAD_REQUEST).body("the header Connection does not say upgrade".into())
        }
        "/headers" => {
            let one = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
                format!("{name}: {}\n", value.to_str().unwrap())
            };
            response.body(request.headers().iter().map(one).collect::<String>().into())
        }
        "/upgrade" => {
            let upgrading = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgrading.await.unwrap()));
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
            let response = response.status(StatusCode::SWITCHING_PROTOCOLS).header("upgrade", "echo");
            response.header("connection", "upgrade").body(Body::empty())
        }
        _ => {
            let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            let seen = ["x-forwarded-uri", "authorization", "x-own", "connection"].map(header);
            let head = format!("{} {} {seen:?}\n", request.method(), request.uri());
            let body = http_body_util::BodyExt::collect(request.into_body()).await.unwrap().to_bytes();
            response.header("x-pod", "web").body([head.as_bytes(), &body[..]].concat().into())
        }
    };
    Ok(response.unwrap())
}

struct Process {
    stream: DuplexStream,
    buffer: BytesMut,
}

impl Process {
    fn new(stream: DuplexStream) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// `cat` gives stdin back; `exit <code>` ends; `args …` says how it was called; `err <text>` speaks on stderr; `hang`
    /// never ends; `vanish` ends without a word.
    async fn run(mut self, command: Vec<String>) {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let outcome = match words.as_slice() {
            ["cat"] => {
                self.cat().await;
                succeeded()
            }
            ["exit", code] => exited(&command, code.parse().unwrap()),
            ["args", ..] => {
                self.send(Channel::Stdout, format!("{words:?}").as_bytes()).await;
                succeeded()
            }
            ["err", text] => {
                self.send(Channel::Stderr, text.as_bytes()).await;
                succeeded()
            }
            ["hang"] => {
                while self.next().await.is_some() {}
                return HANG_ENDED.notify_one();
            }
            ["vanish"] => return,
            _ => exec_failed("no such command"),
        };
        self.send(Channel::Outcome, outcome.to_string().as_bytes()).await;
        let _ = self.stream.shutdown().await;
        // Not before the other side is done, as a node would.
        while self.next().await.is_some() {}
    }

    async fn cat(&mut self) {
        while let Some(frame) = self.next().await {
            match frame.channel {
                Channel::Stdin => self.send(Channel::Stdout, &frame.payload).await,
                Channel::Resize => self.send(Channel::Stdout, &frame.payload).await,
                _ => return,
            }
        }
    }

    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = decode(&mut self.buffer).unwrap() {
                return Some(frame);
            }
            if self.stream.read_buf(&mut self.buffer).await.ok()? == 0 {
                return None;
            }
        }
    }

    async fn send(&mut self, channel: Channel, payload: &[u8]) {
        let mut bytes = BytesMut::new();
        encode(channel, payload, &mut bytes);
        let _ = self.stream.write_all(&bytes).await;
    }
}
