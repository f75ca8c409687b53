//! The registry and its clients over real sockets.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::{Request, State};
use axum::http::{self, Response, StatusCode};
use axum::middleware::Next;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wasmk_images::{
    Blobs, Body, Digest, ImageStore, PullError, Reference, Registries, Registry, Transport, TransportError, pull,
    pull_from, push, registry, store_module,
};

const DEADLINE: Duration = Duration::from_secs(20);

struct Node {
    dir: tempfile::TempDir,
    store: Arc<ImageStore>,
}

impl Node {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(ImageStore::open(dir.path().join("store")).unwrap());
        Self { dir, store }
    }

    /// An image of so many bytes that do not repeat within a chunk.
    fn image(&self, name: &str, size: usize) -> Digest {
        let wasm = self.dir.path().join("app.wasm");
        let content = b"\0asm".iter().copied().chain((0..size as u64).map(|n| (n * n / 7) as u8));
        std::fs::write(&wasm, content.collect::<Vec<u8>>()).unwrap();
        store_module(&self.store, &name.parse().unwrap(), &wasm, "wasip2", "2026-01-01T00:00:00Z").unwrap()
    }
}

/// How often each kind of request came; and a fault to make.
#[derive(Default)]
struct Watch {
    blobs: AtomicUsize,
    /// Blob transfers that are still to be cut off in the middle.
    cuts: AtomicUsize,
}

async fn watch(State(watch): State<Arc<Watch>>, request: Request, next: Next) -> Response<Body> {
    let is_blob = request.method() == http::Method::GET && request.uri().path().contains("/blobs/sha256");
    let response = next.run(request).await;
    if !is_blob {
        return response;
    }
    watch.blobs.fetch_add(1, Ordering::SeqCst);
    let cut = watch.cuts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
    if !cut {
        return response;
    }
    let (parts, body) = response.into_parts();
    let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let half = whole.slice(..whole.len() / 2);
    let broken = futures::stream::iter([Ok(half), Err(std::io::Error::other("cut"))]);
    Response::from_parts(parts, Body::from_stream(broken))
}

async fn serve(store: &ImageStore, watched: Arc<Watch>) -> SocketAddr {
    let router = registry(store.clone()).layer(axum::middleware::from_fn_with_state(watched, watch));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    address
}

struct Http(SocketAddr, Client<HttpConnector, Body>);

impl Http {
    fn to(address: SocketAddr) -> Self {
        Self(address, Client::builder(TokioExecutor::new()).build_http())
    }

    async fn request(&self, request: http::request::Builder, body: Body) -> Response<Body> {
        self.send(request.body(body).unwrap()).await.unwrap()
    }
}

#[async_trait]
impl Transport for Http {
    async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, TransportError> {
        *request.uri_mut() = format!("http://{}{}", self.0, request.uri()).parse().unwrap();
        let response = self.1.request(request).await.map_err(|error| TransportError(error.to_string()))?;
        Ok(response.map(Body::new))
    }
}

fn name(text: &str) -> Reference {
    text.parse().unwrap()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn an_image_goes_to_the_registry_and_to_another_node() {
    let (laptop, server, node) = (Node::new(), Node::new(), Node::new());
    let digest = laptop.image("team/hello:v1", 3 << 20);
    let http = Http::to(serve(&server.store, Arc::default()).await);
    push(&laptop.store, &http, &name("team/hello:v1")).await.unwrap();
    assert_eq!(pull(&node.store, &http, &name("team/hello:v1")).await.unwrap(), digest);
    let by_digest = name(&format!("team/hello@{digest}"));
    assert_eq!(pull(&node.store, &http, &by_digest).await.unwrap(), digest);
    assert_eq!(std::fs::metadata(node.store.unpack(&digest).unwrap().wasm).unwrap().len(), (3 << 20) + 4);
}

#[tokio::test]
async fn a_transfer_that_breaks_goes_on_where_it_broke() {
    let (server, node, watched) = (Node::new(), Node::new(), Arc::new(Watch::default()));
    let digest = server.image("a:v1", 1 << 20);
    let http = Http::to(serve(&server.store, watched.clone()).await);
    watched.cuts.store(2, Ordering::SeqCst);
    assert_eq!(pull(&node.store, &http, &name("a:v1")).await.unwrap(), digest);
    node.store.unpack(&digest).unwrap();
    assert_eq!(watched.blobs.load(Ordering::SeqCst), 4, "config and layer, and once more what was cut");
}

#[tokio::test]
async fn many_pulls_of_one_image_transfer_it_once() {
    let (server, node, watched) = (Node::new(), Node::new(), Arc::new(Watch::default()));
    let digest = server.image("a:v1", 1 << 20);
    let http = Arc::new(Http::to(serve(&server.store, watched.clone()).await));
    let pulls = (0..8).map(|_| {
        let (store, http) = (node.store.clone(), http.clone());
        tokio::spawn(async move { pull(&store, &*http, &name("a:v1")).await.unwrap() })
    });
    for pulled in futures::future::join_all(pulls).await {
        assert_eq!(pulled.unwrap(), digest);
    }
    assert_eq!(watched.blobs.load(Ordering::SeqCst), 2, "config and layer");
}

#[tokio::test]
async fn a_blob_that_rots_in_the_registry_is_never_stored() {
    let (server, node) = (Node::new(), Node::new());
    let digest = server.image("a:v1", 1000);
    let wasm = server.store.unpack(&digest).unwrap().wasm;
    let mut content = std::fs::read(&wasm).unwrap();
    content[500] ^= 1;
    std::fs::write(&wasm, content).unwrap();
    let http = Http::to(serve(&server.store, Arc::default()).await);
    let error = pull(&node.store, &http, &name("a:v1")).await.unwrap_err();
    assert!(matches!(error, PullError::Broken(..)), "{error}");
    assert_eq!(node.store.find(&name("a:v1")), None);
}

#[tokio::test]
async fn a_registry_outside_is_spoken_to_as_docker_does() {
    let (server, node) = (Node::new(), Node::new());
    let digest = server.image("team/hello:v1", 1 << 20);
    let watched = Arc::new(Watch::default());
    let address = serve(&server.store, watched.clone()).await;
    let image = name(&format!("{address}/team/hello:v1"));
    watched.cuts.store(1, Ordering::SeqCst);
    let registries = Registries::alone(node.dir.path(), None);
    let outside = Registry::Outside(&registries, &[]);
    assert_eq!(pull_from(&node.store, outside, &image, &Blobs::silent()).await.unwrap(), digest);
    assert_eq!(node.store.find(&image), Some(digest.clone()));
    node.store.unpack(&digest).unwrap();
    let other = name(&format!("{address}/team/hello:v2"));
    let missing = pull_from(&node.store, outside, &other, &Blobs::silent()).await.unwrap_err();
    assert!(matches!(missing, PullError::NotFound(..)), "{missing}");
}

#[tokio::test]
async fn nobody_there_is_told_from_not_found() {
    let node = Node::new();
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = pull(&node.store, &Http::to(address), &name("a:v1")).await.unwrap_err();
    assert!(matches!(error, PullError::Unreachable(..)), "{error}");
}

/// A client that vanishes in the middle of a chunk can ask what arrived, and go on.
#[tokio::test]
async fn a_truncated_upload_can_be_continued() {
    let server = Node::new();
    let address = serve(&server.store, Arc::default()).await;
    let http = Http::to(address);
    let begun = http.request(http::Request::post("/v2/a/blobs/uploads/"), Body::empty()).await;
    let location = begun.headers()["location"].to_str().unwrap().to_owned();

    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: 11\r\n\r\nhello");
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut answer = String::new();
    let _ = tokio::time::timeout(DEADLINE, socket.read_to_string(&mut answer)).await.unwrap();

    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let status = http.request(http::Request::get(&location), Body::empty()).await;
        let rest = http::Request::patch(&location).header("content-range", "5-10");
        let continued = http.request(rest, Body::from(" world")).await;
        if continued.status() == StatusCode::ACCEPTED {
            assert_eq!(status.headers()["range"], "0-4");
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{}", text(continued).await);
        tokio::task::yield_now().await;
    }
    let digest = Digest::of(b"hello world");
    let done = http.request(http::Request::put(format!("{location}?digest={digest}")), Body::empty()).await;
    assert_eq!(done.status(), StatusCode::CREATED);
    let got =
        http.request(http::Request::get(format!("/v2/a/blobs/{digest}")).header("range", "bytes=6-8"), Body::empty());
    let got = got.await;
    assert_eq!(
        (got.status(), got.headers()["content-range"].to_str().unwrap()),
        (StatusCode::PARTIAL_CONTENT, "bytes 6-8/11")
    );
    assert_eq!(text(got).await, "wor");
}

#[tokio::test]
async fn lists_come_in_pages() {
    let server = Node::new();
    for tag in ["a:v1", "a:v2", "a:v3", "b/c:x"] {
        server.image(tag, 10);
    }
    let http = Http::to(serve(&server.store, Arc::default()).await);
    let first = http.request(http::Request::get("/v2/a/tags/list?n=2"), Body::empty()).await;
    assert_eq!(first.headers()["link"], "</v2/a/tags/list?n=2&last=v2>; rel=\"next\"");
    assert_eq!(text(first).await, r#"{"name":"a","tags":["v1","v2"]}"#);
    let rest = http.request(http::Request::get("/v2/a/tags/list?n=2&last=v2"), Body::empty()).await;
    assert!(rest.headers().get("link").is_none());
    let catalog = http.request(http::Request::get("/v2/_catalog?n=1&last=a"), Body::empty()).await;
    assert_eq!(text(catalog).await, r#"{"repositories":["b/c"]}"#);
    let nobody = http.request(http::Request::get("/v2/z/tags/list"), Body::empty()).await;
    assert_eq!(nobody.status(), StatusCode::NOT_FOUND);
    assert!(text(nobody).await.contains("NAME_UNKNOWN"));
}
