//! exec, attach and port-forward over real sockets, by clients of every generation.

mod client;

use futures::future::join_all;
use futures::{SinkExt, StreamExt};
use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;
use wasmk_spdy::{Headers, Role, Session, Stream, session};

use crate::fake_node::{ECHO_PORT, HANG_ENDED};
use crate::support::{PODS, Server};
use client::{Cluster, WebSocket, tunnel};

/// More than all windows and buffers on the way together.
const MUCH: usize = 3 << 20;

fn binary(channel: u8, payload: &[u8]) -> Message {
    Message::Binary([&[channel][..], payload].concat().into())
}

/// What came on each channel until the server closed, and the outcome.
async fn read_all(socket: &mut WebSocket) -> (Vec<u8>, Vec<u8>, Value) {
    let (mut out, mut err, mut outcome) = (Vec::new(), Vec::new(), Value::Null);
    while let Some(Ok(message)) = socket.next().await {
        let Message::Binary(bytes) = message else { continue };
        match bytes[0] {
            1 => out.extend_from_slice(&bytes[1..]),
            2 => err.extend_from_slice(&bytes[1..]),
            3 if bytes.len() > 1 => outcome = serde_json::from_slice(&bytes[1..]).unwrap(),
            _ => {}
        }
    }
    (out, err, outcome)
}

#[tokio::test]
async fn a_v5_client_ends_stdin_and_learns_the_outcome() {
    let cluster = Cluster::start().await;
    let mut socket = cluster.websocket("exec?command=cat&stdin=true&stdout=true", "v5.channel.k8s.io").await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), binary(1, b""), "clients wait for a first message");
    socket.send(binary(0, b"hello ")).await.unwrap();
    socket.send(Message::Text("\0world".into())).await.unwrap();
    socket.send(binary(255, &[0])).await.unwrap();
    let (out, _, outcome) = read_all(&mut socket).await;
    assert_eq!((out.as_slice(), outcome), (&b"hello world"[..], json!({"metadata": {}, "status": "Success"})));
    cluster.stop().await;
}

#[tokio::test]
async fn exit_codes_and_stderr_reach_a_v4_client() {
    let cluster = Cluster::start().await;
    let ask = async |query: &str| {
        let query = format!("exec?{query}&stdout=true&stderr=true");
        read_all(&mut cluster.websocket(&query, "v4.channel.k8s.io").await.unwrap()).await
    };
    let (_, _, outcome) = ask("command=exit&command=3").await;
    assert_eq!(outcome["details"]["causes"][0], json!({"reason": "ExitCode", "message": "3"}));
    let (_, err, outcome) = ask("command=err&command=oh").await;
    assert_eq!((err.as_slice(), &outcome["status"]), (&b"oh"[..], &json!("Success")));
    let (_, _, outcome) = ask("command=vanish").await;
    assert_eq!((&outcome["reason"], &outcome["code"]), (&json!("InternalError"), &json!(500)));
    cluster.stop().await;
}

#[tokio::test]
async fn much_goes_through_a_websocket_both_ways() {
    let cluster = Cluster::start().await;
    let socket = cluster.websocket("attach?stdin=true&stdout=true", "v5.channel.k8s.io").await.unwrap();
    let (mut sender, mut receiver) = socket.split();
    let send = async {
        for _ in 0..MUCH / 65_536 {
            sender.send(binary(0, &[7; 65_536])).await.unwrap();
        }
        sender.send(binary(255, &[0])).await.unwrap();
    };
    let receive = async {
        let mut bytes = 0;
        while let Some(Ok(message)) = receiver.next().await {
            bytes += if matches!(&message, Message::Binary(bytes) if bytes[0] == 1) { message.len() - 1 } else { 0 };
        }
        bytes
    };
    assert_eq!(tokio::join!(send, receive).1, MUCH);
    cluster.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_command() {
    let cluster = Cluster::start().await;
    let socket = cluster.websocket("exec?command=hang&stdout=true", "v5.channel.k8s.io").await.unwrap();
    drop(socket);
    HANG_ENDED.notified().await;
    let (_, connection) = cluster.spdy("exec?command=hang&stdout=true", "v4.channel.k8s.io").await.unwrap();
    drop(connection);
    HANG_ENDED.notified().await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_ends_its_streams() {
    let cluster = Cluster::start().await;
    let mut socket = cluster.websocket("attach?stdin=true&stdout=true", "v5.channel.k8s.io").await.unwrap();
    cluster.stop().await;
    while let Some(Ok(_)) = socket.next().await {}
}

#[tokio::test]
async fn what_cannot_be_upgraded_is_refused_in_words() {
    let cluster = Cluster::start().await;
    let message = |status: Value| (status["code"].as_u64().unwrap(), status["message"].as_str().unwrap().to_owned());
    let refused = cluster.websocket("exec?command=a&stdout=true", "v9.channel.k8s.io").await.err().unwrap();
    let (code, text) = message(refused);
    assert!(code == 403 && text.contains("client supports [v9.channel.k8s.io]"), "{text}");
    let refused = cluster.websocket("exec?command=a", "v5.channel.k8s.io").await.err().unwrap();
    assert_eq!(message(refused), (400, "you must specify at least 1 of stdin, stdout, stderr".to_owned()));
    let path = format!("{PODS}/web/exec?command=a&stdout=true");
    let server = &cluster.listening.server;
    assert_eq!(
        server.send(Method::POST, &path, &[], "").await.expect_failure(400, "BadRequest"),
        "Upgrade request required"
    );
    cluster.stop().await;
}

fn of(kind: &str) -> Headers {
    Headers::new([("streamType", kind)])
}

fn start(connection: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + 'static) -> Session {
    let (session, driver) = session(connection, Role::Client);
    tokio::spawn(driver);
    session
}

async fn read(mut stream: Stream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn a_spdy_client_sends_and_receives_much_and_learns_the_outcome() {
    let cluster = Cluster::start().await;
    let query = "exec?command=cat&stdin=true&stdout=true&stderr=true";
    let (_, connection) = cluster.spdy(query, "v4.channel.k8s.io").await.unwrap();
    let session = start(connection);
    let mut streams = Vec::new();
    for kind in ["error", "stdin", "stdout", "stderr"] {
        streams.push(session.open(of(kind)).await.unwrap());
    }
    let [error, mut stdin, stdout, _stderr] = streams.try_into().ok().unwrap();
    let send = async move {
        stdin.write_all(&vec![7; MUCH]).await.unwrap();
        stdin.shutdown().await.unwrap();
    };
    let ((), out, outcome) = tokio::join!(send, read(stdout), read(error));
    assert_eq!(out.len(), MUCH);
    assert_eq!(serde_json::from_slice::<Value>(&outcome).unwrap()["status"], "Success");
    cluster.stop().await;
}

#[tokio::test]
async fn an_old_spdy_client_is_told_of_failures_in_words() {
    let cluster = Cluster::start().await;
    let (agreed, connection) =
        cluster.spdy("exec?command=exit&command=3&stdout=true", "v3.channel.k8s.io").await.unwrap();
    assert_eq!(agreed, "v3.channel.k8s.io");
    let session = start(connection);
    let error = session.open(of("error")).await.unwrap();
    let _stdout = session.open(of("stdout")).await.unwrap();
    let text = String::from_utf8(read(error).await).unwrap();
    assert!(text.starts_with("command terminated with non-zero exit code"), "{text}");
    cluster.stop().await;
}

#[tokio::test]
async fn a_terminal_is_resized() {
    let cluster = Cluster::start().await;
    let query = "exec?command=cat&stdin=true&stdout=true&tty=true";
    let (_, connection) = cluster.spdy(query, "v4.channel.k8s.io").await.unwrap();
    let session = start(connection);
    let _error = session.open(of("error")).await.unwrap();
    let mut stdin = session.open(of("stdin")).await.unwrap();
    let mut stdout = session.open(of("stdout")).await.unwrap();
    let mut resize = session.open(of("resize")).await.unwrap();
    resize.write_all(b"{\"Width\":80,\"Height\":24}\n").await.unwrap();
    let mut seen = [0; 24];
    stdout.read_exact(&mut seen).await.unwrap();
    assert_eq!(&seen, br#"{"Width":80,"Height":24}"#);
    stdin.shutdown().await.unwrap();
    cluster.stop().await;
}

/// One forwarded connection: the data stream and what the error stream says.
async fn forward(session: &Session, port: u16, id: usize, bytes: &[u8]) -> (Vec<u8>, String) {
    let (port, id) = (port.to_string(), id.to_string());
    let headers = |kind| Headers::new([("streamType", kind), ("port", port.as_str()), ("requestID", id.as_str())]);
    let mut error = session.open(headers("error")).await.unwrap();
    error.shutdown().await.unwrap();
    let data = session.open(headers("data")).await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(data);
    let mut received = Vec::new();
    let send = async {
        writer.write_all(bytes).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let (_, read_result, text) = tokio::join!(send, reader.read_to_end(&mut received), read(error));
    read_result.unwrap();
    (received, String::from_utf8(text).unwrap())
}

async fn forwards_several(session: Session) {
    let payloads: Vec<Vec<u8>> = (0..6u8).map(|id| vec![id; MUCH / 4 + usize::from(id)]).collect();
    let forwards = payloads.iter().enumerate().map(|(id, payload)| forward(&session, ECHO_PORT, id, payload));
    for ((received, error), payload) in join_all(forwards).await.into_iter().zip(&payloads) {
        assert!(received == *payload && error.is_empty(), "{} of {}: {error}", received.len(), payload.len());
    }
    let (_, error) = forward(&session, 9, 99, b"").await;
    assert!(error.starts_with("error forwarding port 9 to pod web_default, uid "), "{error}");
    assert!(error.ends_with(": nothing listens on port 9"), "{error}");
}

#[tokio::test]
async fn ports_are_forwarded_over_spdy() {
    let cluster = Cluster::start().await;
    let (_, connection) = cluster.spdy("portforward", "portforward.k8s.io").await.unwrap();
    forwards_several(start(connection)).await;
    cluster.stop().await;
}

#[tokio::test]
async fn ports_are_forwarded_over_spdy_within_a_websocket() {
    let cluster = Cluster::start().await;
    let socket = cluster.websocket("portforward", "SPDY/3.1+portforward.k8s.io").await.unwrap();
    forwards_several(start(tunnel(socket))).await;
    cluster.stop().await;
}

#[tokio::test]
async fn ports_are_forwarded_over_websocket_channels() {
    let cluster = Cluster::start().await;
    let query = format!("portforward?ports={ECHO_PORT},9");
    let mut socket = cluster.websocket(&query, "v5.channel.k8s.io,v4.channel.k8s.io").await.unwrap();
    socket.send(binary(0, b"hello")).await.unwrap();
    let (mut seen, mut data) = (Vec::new(), Vec::new());
    while data != b"hello" || seen.len() < 5 {
        let Some(Ok(Message::Binary(bytes))) = socket.next().await else { panic!("the server closed") };
        match (bytes[0], &bytes[1..]) {
            (0, bytes) if !seen.is_empty() && seen.contains(&vec![0, 7, 0]) => data.extend_from_slice(bytes),
            _ => seen.push(bytes.to_vec()),
        }
    }
    seen.sort();
    let error = String::from_utf8(seen.remove(4)).unwrap();
    assert_eq!(seen, [[0, 7, 0], [1, 7, 0], [2, 9, 0], [3, 9, 0]]);
    assert!(error.starts_with("\u{3}error forwarding port 9 to pod web_default"), "{error}");
    cluster.stop().await;
}

#[tokio::test]
async fn an_upgrade_passes_through_a_proxy() {
    let cluster = Cluster::start().await;
    let headers = [("connection", "upgrade"), ("upgrade", "echo")];
    let (response, mut connection) = cluster.upgrade(Method::GET, "proxy/upgrade", &headers).await.unwrap();
    assert_eq!(response.headers["upgrade"], "echo");
    connection.write_all(b"hello").await.unwrap();
    let mut seen = [0; 5];
    connection.read_exact(&mut seen).await.unwrap();
    assert_eq!(&seen, b"hello");
    drop(connection);
    cluster.stop().await;
}

#[tokio::test]
async fn discovery_lists_what_streams() {
    let server = Server::start().await;
    let resources = server.get("/api/v1").await.expect(200)["resources"].as_array().unwrap().clone();
    let find = |name: &str| resources.iter().find(|one| one["name"] == name).unwrap().clone();
    let exec = json!({
        "name": "pods/exec", "singularName": "", "namespaced": true, "kind": "PodExecOptions", "verbs": ["create", "get"],
    });
    assert_eq!(find("pods/exec"), exec);
    assert_eq!(find("services/proxy")["kind"], "ServiceProxyOptions");
    assert_eq!(find("nodes/proxy")["verbs"], json!(["create", "delete", "get", "patch", "update"]));
}
