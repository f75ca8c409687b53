//! Byte streams to a pod itself, as port-forward opens them.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wasmk_network::PodStream;

use crate::cluster::*;
use crate::ingress::echo;

async fn ask(stream: &mut PodStream, path: &str) -> String {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: web\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let count = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..count]).into_owned()
}

#[tokio::test]
async fn a_replica_that_is_called_answers_requests_on_a_stream_ready_or_not() {
    let node = Node::start("a").await;
    let replica = node.replica(3);
    replica.port.set_ready(false);
    let mut stream = replica.port.connect(8080).await.unwrap();
    for path in ["/one", "/two"] {
        let answer = ask(&mut stream, path).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("a-3"), "{answer}");
    }
    let seen = replica.handler.seen.lock().unwrap();
    assert_eq!((seen[1].uri.path(), &seen[1].headers["host"]), ("/two", &"web".parse().unwrap()));
    assert!(!seen[1].headers.contains_key("x-forwarded-for"));
}

#[tokio::test]
async fn a_stream_to_a_listener_carries_bytes_and_half_closes() {
    let node = Node::start("a").await;
    let pod = node.attach(2);
    let _guest = echo(&pod, 7000, "guest").await;
    let mut stream = pod.connect(7000).await.unwrap();
    assert_eq!(pod.in_flight(), 0, "an idle client must not hold up the end of a pod");
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "guest: hello");
    assert_eq!(pod.connect(7001).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_stream_ends_with_the_pod() {
    let node = Node::start("a").await;
    let replica = node.replica(3);
    let mut stream = replica.port.connect(8080).await.unwrap();
    ask(&mut stream, "/").await;
    drop(replica);
    let ended = tokio::time::timeout(WAIT, stream.read(&mut [0; 8])).await.expect("the stream ends");
    assert_eq!(ended.unwrap_or(0), 0);
}
