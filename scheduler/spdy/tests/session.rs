//! Both sides of a session over a pipe.

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use wasmk_spdy::{Decoder, Encoder, Frame, Headers, Role, Session, Stream, session};

/// Larger than every window and buffer together.
const MUCH: usize = 1 << 20;

fn pair() -> (Session, Session) {
    let (near, far) = tokio::io::duplex(4096);
    (start(near, Role::Client), start(far, Role::Server))
}

fn start(io: DuplexStream, role: Role) -> Session {
    let (session, driver) = session(io, role);
    tokio::spawn(driver);
    session
}

fn headers(name: &str) -> Headers {
    Headers::new([("streamType", name)])
}

async fn stream(client: &Session, server: &mut Session) -> (Stream, Stream) {
    let (opened, accepted) =
        tokio::join!(client.open(headers("data")), async { server.accept().await.unwrap().accept() });
    (opened.unwrap(), accepted)
}

/// Ends its direction and reads the other to the end, at once.
async fn exchange(stream: Stream, bytes: &[u8]) -> Vec<u8> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut read = Vec::new();
    let write = async {
        writer.write_all(bytes).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let (_, result) = tokio::join!(write, reader.read_to_end(&mut read));
    result.unwrap();
    read
}

#[tokio::test]
async fn much_goes_both_ways_at_once_on_several_streams() {
    let (client, mut server) = pair();
    let (one, one_far) = stream(&client, &mut server).await;
    let (two, two_far) = stream(&client, &mut server).await;
    let (ones, twos) = (vec![1; MUCH], vec![2; MUCH]);
    let (a, b, c, d) =
        tokio::join!(exchange(one, &ones), exchange(two, &twos), exchange(one_far, &twos), exchange(two_far, &ones));
    assert!(a == twos && b == ones && c == ones && d == twos);
}

#[tokio::test]
async fn a_stream_that_nobody_reads_does_not_hold_up_another() {
    let (client, mut server) = pair();
    let (mut stuck, _unread) = stream(&client, &mut server).await;
    let filling = tokio::spawn(async move { stuck.write_all(&vec![0; MUCH]).await });
    let (near, far) = stream(&client, &mut server).await;
    let much = vec![3; 200_000];
    let (read, _) = tokio::join!(exchange(near, b"x"), exchange(far, &much));
    assert_eq!(read.len(), much.len());
    assert!(!filling.is_finished(), "the windows bound what is on its way");
}

#[tokio::test]
async fn headers_arrive_and_a_stream_can_be_refused() {
    let (client, mut server) = pair();
    let (opened, headers) = tokio::join!(client.open(headers("error")), async {
        let incoming = server.accept().await.unwrap();
        incoming.headers().get("streamtype").map(str::to_owned)
    });
    assert_eq!(headers.as_deref(), Some("error"));
    assert_eq!(opened.err().map(|error| error.kind()), Some(std::io::ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_stream_that_is_dropped_is_reset() {
    let (client, mut server) = pair();
    let (near, mut far) = stream(&client, &mut server).await;
    drop(near);
    let error = far.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn closing_sends_what_was_written_first() {
    let (client, mut server) = pair();
    let (near, mut far) = stream(&client, &mut server).await;
    let much = vec![5; 30_000];
    far.write_all(&much).await.unwrap();
    far.shutdown().await.unwrap();
    drop(far);
    server.close();
    assert_eq!(exchange(near, b"").await, much);
    assert!(server.accept().await.is_none());
}

#[tokio::test]
async fn who_waits_learns_that_the_connection_broke() {
    let (near, far) = tokio::io::duplex(4096);
    let mut server = start(far, Role::Server);
    let (client, driver) = session(near, Role::Client);
    let driver = tokio::spawn(driver);
    let (near, mut far) = stream(&client, &mut server).await;
    driver.abort();
    assert!(far.read_to_end(&mut Vec::new()).await.is_err());
    drop(near);
}

/// As Kubernetes' clients: no windows, neither heeded nor opened.
struct Windowless {
    io: DuplexStream,
    encoder: Encoder,
    decoder: Decoder,
    buffer: BytesMut,
}

impl Windowless {
    async fn send(&mut self, frame: Frame) {
        let mut bytes = BytesMut::new();
        self.encoder.encode(&frame, &mut bytes);
        self.io.write_all(&bytes).await.unwrap();
    }

    async fn next(&mut self) -> Frame {
        loop {
            if let Some(frame) = self.decoder.decode(&mut self.buffer).unwrap() {
                return frame;
            }
            assert!(self.io.read_buf(&mut self.buffer).await.unwrap() > 0, "the session ended");
        }
    }
}

#[tokio::test]
async fn a_peer_without_windows_gets_everything_and_is_read_to_the_end() {
    let (near, far) = tokio::io::duplex(4096);
    let mut server = start(far, Role::Server);
    let mut peer =
        Windowless { io: near, encoder: Encoder::default(), decoder: Decoder::default(), buffer: BytesMut::new() };
    peer.send(Frame::SynStream { stream: 1, fin: false, headers: headers("data") }).await;
    let served = tokio::spawn(async move {
        let stream = server.accept().await.unwrap().accept();
        let read = exchange(stream, &vec![9; MUCH]).await;
        (read, server)
    });
    let mut received = 0;
    loop {
        match peer.next().await {
            Frame::Data { fin, bytes, .. } => {
                received += bytes.len();
                if fin {
                    break;
                }
            }
            Frame::Settings(_) | Frame::WindowUpdate { .. } | Frame::SynReply { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(received, MUCH);
    for piece in vec![4; MUCH].chunks(100_000) {
        peer.send(Frame::Data { stream: 1, fin: false, bytes: piece.to_vec().into() }).await;
    }
    peer.send(Frame::Data { stream: 1, fin: true, bytes: Default::default() }).await;
    assert_eq!(served.await.unwrap().0.len(), MUCH);
}

#[tokio::test]
async fn a_ping_is_answered_and_an_impossible_stream_is_reset() {
    let (near, far) = tokio::io::duplex(4096);
    let _server = start(far, Role::Server);
    let mut peer =
        Windowless { io: near, encoder: Encoder::default(), decoder: Decoder::default(), buffer: BytesMut::new() };
    peer.send(Frame::Ping(1)).await;
    peer.send(Frame::SynStream { stream: 2, fin: false, headers: headers("data") }).await;
    let mut answers = Vec::new();
    while answers.len() < 4 {
        answers.push(peer.next().await);
    }
    assert_eq!(answers[2..], [Frame::Ping(1), Frame::RstStream { stream: 2, status: 1 }]);
}
