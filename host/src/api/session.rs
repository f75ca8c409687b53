//! A client's session over one request: frames in its body, frames in the response's.

use axum::body::{Body, BodyDataStream};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use wasmk_agent::{Exit, Piece, Stream};
use wasmk_api::stream::{Channel, Frame, Streams, decode, encode};

/// Frames of at most 64 KiB that wait for the connection; then the program waits, or loses output if it is the
/// container itself.
const FRAMES_WAITING_MAX: usize = 4;

/// The client's side.
pub(super) struct Wire {
    streams: Streams,
    incoming: BodyDataStream,
    outgoing: mpsc::Sender<Bytes>,
}

pub(super) struct Session {
    pub(super) session: wasmk_agent::Session,
    pub(super) wire: Wire,
}

/// Answers at once; `serve` goes on until it ends by itself. It ends early when the client leaves.
pub(super) fn respond<F>(streams: Streams, body: Body, serve: impl FnOnce(Wire) -> F) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    let (outgoing, frames) = mpsc::channel(FRAMES_WAITING_MAX);
    let left = outgoing.clone();
    let serving = serve(Wire { streams, incoming: body.into_data_stream(), outgoing });
    tokio::spawn(async move {
        // Dropping what serves ends the command.
        tokio::select! {
            () = serving => {}
            () = left.closed() => {}
        }
    });
    Response::new(Body::from_stream(ReceiverStream::new(frames).map(Ok::<_, std::convert::Infallible>)))
}

impl Session {
    pub(super) async fn run(self, outcome: impl FnOnce(Exit) -> Value) {
        let Self { session: wasmk_agent::Session { streams: mut ends, place }, wire } = self;
        let Wire { streams, incoming, outgoing } = wire;
        let talk = async {
            while let Some(piece) = ends.output.next().await {
                if let Some(frame) = frame(streams, &piece)
                    && outgoing.send(frame).await.is_err()
                {
                    return None;
                }
            }
            Some(ends.exit.await)
        };
        let exit = tokio::select! {
            exit = talk => exit,
            () = feed(incoming, ends.stdin) => None,
        };
        drop(place);
        if let Some(exit) = exit {
            send_outcome(&outgoing, &outcome(exit)).await;
        }
    }
}

impl Wire {
    /// Says how it ended, when nothing was started.
    pub(super) async fn end(self, outcome: &Value) {
        send_outcome(&self.outgoing, outcome).await;
    }
}

async fn send_outcome(outgoing: &mpsc::Sender<Bytes>, outcome: &Value) {
    let mut frame = BytesMut::new();
    encode(Channel::Outcome, outcome.to_string().as_bytes(), &mut frame);
    let _ = outgoing.send(frame.freeze()).await; // the client may have left
}

/// `None` for output that nobody asked for. A terminal has one stream for both.
fn frame(streams: Streams, piece: &Piece) -> Option<Bytes> {
    let channel = match piece.stream {
        Stream::Stdout => Channel::Stdout,
        Stream::Stderr if streams.tty => Channel::Stdout,
        Stream::Stderr => Channel::Stderr,
    };
    let is_wanted = if channel == Channel::Stdout { streams.stdout } else { streams.stderr };
    let mut frame = BytesMut::new();
    encode(channel, &piece.data, &mut frame);
    (is_wanted && !piece.data.is_empty()).then(|| frame.freeze())
}

/// Carries the client's input to the program, as fast as that reads. Resolves only when the client broke off: the end
/// of its input is not the end of the session.
async fn feed(mut incoming: BodyDataStream, mut stdin: Option<mpsc::Sender<Bytes>>) {
    let mut buffer = BytesMut::new();
    while let Some(chunk) = incoming.next().await {
        let Ok(chunk) = chunk else { return };
        buffer.extend_from_slice(&chunk);
        loop {
            match decode(&mut buffer) {
                Ok(Some(frame)) => take(frame, &mut stdin).await,
                Ok(None) => break,
                Err(error) => return tracing::debug!(%error, "a client's frames are broken"),
            }
        }
    }
    drop(stdin);
    std::future::pending().await
}

async fn take(frame: Frame, stdin: &mut Option<mpsc::Sender<Bytes>>) {
    match frame.channel {
        Channel::Stdin if !frame.payload.is_empty() => {
            if let Some(sender) = stdin
                && sender.send(frame.payload).await.is_err()
            {
                // The program reads no more, and may go on.
                *stdin = None;
            }
        }
        Channel::Close if frame.payload[..] == [Channel::Stdin.number()] => *stdin = None,
        // There is no terminal whose size could change.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(stream: Stream) -> Piece {
        Piece { stream, data: "x".into() }
    }

    #[test]
    fn output_goes_where_it_is_wanted() {
        let both = Streams { stdout: true, stderr: true, ..Streams::default() };
        let first = |streams, stream| frame(streams, &piece(stream)).map(|frame| frame[0]);
        assert_eq!(first(both, Stream::Stdout), Some(1));
        assert_eq!(first(both, Stream::Stderr), Some(2));
        let terminal = Streams { stdout: true, tty: true, ..Streams::default() };
        assert_eq!(first(terminal, Stream::Stderr), Some(1));
        assert_eq!(first(Streams { stderr: true, ..Streams::default() }, Stream::Stdout), None);
    }

    #[tokio::test]
    async fn input_ends_with_its_frame_and_the_session_goes_on() {
        let mut bytes = BytesMut::new();
        encode(Channel::Stdin, b"text", &mut bytes);
        encode(Channel::Resize, b"{}", &mut bytes);
        encode(Channel::Close, &[0], &mut bytes);
        let (sender, mut input) = mpsc::channel(1);
        let fed = feed(Body::from(bytes.freeze()).into_data_stream(), Some(sender));
        let read = async { (input.recv().await, input.recv().await) };
        tokio::select! {
            () = fed => panic!("the session ended"),
            read = read => assert_eq!(read, (Some("text".into()), None)),
        }
    }

    #[tokio::test]
    async fn what_is_no_frame_ends_the_session() {
        feed(Body::from("nonsense").into_data_stream(), None).await;
        let broken = futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("reset"))]);
        feed(Body::from_stream(broken).into_data_stream(), None).await;
    }

    #[tokio::test]
    async fn whoever_serves_ends_with_the_client() {
        let (alive, gone) = tokio::sync::oneshot::channel::<()>();
        let response = respond(Streams::default(), Body::empty(), |wire| async move {
            let (_wire, _alive) = (wire, alive);
            std::future::pending().await
        });
        drop(response);
        assert!(gone.await.is_err());
    }
}
