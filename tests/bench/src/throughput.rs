use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use wasmk_e2e::Cluster;

/// Connections that ask at once, each as fast as it is answered.
const CONNECTIONS: usize = 16;

/// Requests a second at a NodePort, beside a native server that answers the same and does nothing else.
pub(crate) fn node_port(duration: Duration) {
    let cluster = Cluster::up();
    cluster.build("hello", "hello:v1");
    cluster.wasmk(&["apply", "-f", "manifests/hello.yaml"]);
    cluster.rolled_out("hello");
    let text = cluster.get_ok(&cluster.url(0, 30080, "/")).text();
    let guest: SocketAddr = format!("{}:30080", cluster.subnet.node(0)).parse().expect("an address");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let native = native_server(text).await;
        let floor = rate(native, duration).await;
        let figure = rate(guest, duration).await;
        println!(
            "{:<52} {figure:>10.0} /s   1/{:.1} of a native server ({floor:.0} /s)",
            "hello through its NodePort, an instance a request",
            floor / figure
        );
    });
}

async fn native_server(text: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let text = Bytes::from(text);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let text = text.clone();
            let answer = move |_| {
                let text = text.clone();
                async move { Ok::<_, Infallible>(Response::new(Full::new(text))) }
            };
            let service = hyper::service::service_fn(answer);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn rate(address: SocketAddr, duration: Duration) -> f64 {
    let started = Instant::now();
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| tokio::spawn(client(address, started + duration))).collect();
    let mut total = 0;
    for client in clients {
        total += client.await.expect("no client panics");
    }
    f64::from(total) / started.elapsed().as_secs_f64()
}

/// Asks until `end`; answers how often that worked.
async fn client(address: SocketAddr, end: Instant) -> u32 {
    let stream = TcpStream::connect(address).await.expect("the server listens");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("it speaks HTTP");
    tokio::spawn(connection);
    let mut count = 0;
    while Instant::now() < end {
        let request = Request::get("/").header("host", "bench").body(Empty::<Bytes>::new()).expect("well-formed");
        let response = sender.send_request(request).await.expect("an answer");
        assert!(response.status().is_success());
        response.into_body().collect().await.expect("a body");
        count += 1;
    }
    count
}
