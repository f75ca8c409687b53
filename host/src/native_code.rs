//! Native code between nodes of the same build on the same kind of CPU, over the mutual TLS that they speak anyway. Taking
//! code is trusting the node that made it: decision 90.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::{Method, Request};
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;
use wasmk_network::{Network, empty};
use wasmk_runtime::{CodeSource, Runtime};

/// Below it are the names of entries.
pub(crate) const PATH: &str = "/wasmk/v1/native-code/";
/// What the code's SHA-256 is.
const SUM: &str = "wasmk-sha256";
/// Nodes that are asked: when one of so many has nothing, compiling is not far behind looking further.
const NODES_MAX: usize = 8;
/// For the first that has it. A node that is there answers within milliseconds.
const ASK_TIMEOUT: Duration = Duration::from_millis(500);
/// For the transfer.
const FETCH_TIMEOUT: Duration = Duration::from_secs(60);
/// The native code of a Python interpreter has 150 MB.
const CODE_BYTES_MAX: u64 = 2 << 30;
const CHUNK_BYTES: usize = 256 << 10;

/// What this node gives to others.
pub(crate) fn router(runtime: Arc<Runtime>) -> Router {
    Router::new().route(&format!("{PATH}{{name}}"), get(give)).with_state(runtime)
}

/// For HEAD too: the server leaves the body out.
async fn give(State(runtime): State<Arc<Runtime>>, method: Method, UrlPath(name): UrlPath<String>) -> Response {
    let found = tokio::task::spawn_blocking(move || runtime.native_code(&name)).await.ok().flatten();
    let Some(code) = found else { return StatusCode::NOT_FOUND.into_response() };
    let Ok(file) = tokio::fs::File::open(&code.path).await else { return StatusCode::NOT_FOUND.into_response() };
    let body = match method {
        Method::HEAD => Body::empty(),
        _ => Body::from_stream(ReaderStream::with_capacity(file, CHUNK_BYTES)),
    };
    let mut headers = HeaderMap::new();
    headers.insert(SUM, HeaderValue::try_from(code.sum).expect("hex digits are a header value"));
    (headers, body).into_response()
}

/// The other nodes.
pub(crate) struct Nodes(pub(crate) Weak<Network>);

#[async_trait]
impl CodeSource for Nodes {
    async fn fetch(&self, name: &str, into: &Path) -> Option<String> {
        let network = self.0.upgrade()?;
        let node = tokio::time::timeout(ASK_TIMEOUT, who_has(&network, name)).await.ok().flatten()?;
        match tokio::time::timeout(FETCH_TIMEOUT, fetch(&network, &node, name, into)).await {
            Ok(Ok(sum)) => {
                tracing::info!(node, name, "native code of another node");
                Some(sum)
            }
            Ok(Err(error)) => {
                tracing::warn!(node, name, error, "native code of another node");
                None
            }
            Err(_) => None,
        }
    }
}

/// The first node that says it has the code.
async fn who_has(network: &Network, name: &str) -> Option<String> {
    let mut nodes = network.reachable_nodes();
    // Another order for each program: not always the same nodes are asked.
    nodes.sort_by_cached_key(|node| {
        let mut hasher = DefaultHasher::new();
        (name, node).hash(&mut hasher);
        hasher.finish()
    });
    let asks = nodes.into_iter().take(NODES_MAX).map(|node| async {
        let answer = network.ask(&node, request(Method::HEAD, name)).await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK).then_some(node)
    });
    let mut asks: FuturesUnordered<_> = asks.collect();
    while let Some(answer) = asks.next().await {
        if answer.is_some() {
            return answer;
        }
    }
    None
}

async fn fetch(network: &Network, node: &str, name: &str, into: &Path) -> Result<String, String> {
    let answer = network.ask(node, request(Method::GET, name)).await?;
    if answer.status() != StatusCode::OK {
        return Err(answer.status().to_string());
    }
    let sum = answer.headers().get(SUM).and_then(|sum| sum.to_str().ok()).ok_or("no checksum")?.to_owned();
    let mut file = tokio::fs::File::create(into).await.map_err(|error| error.to_string())?;
    let (mut body, mut bytes) = (answer.into_body(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(|error| error.to_string())?.into_data() else { continue };
        bytes += chunk.len() as u64;
        if bytes > CODE_BYTES_MAX {
            return Err(format!("more than {CODE_BYTES_MAX} bytes"));
        }
        file.write_all(&chunk).await.map_err(|error| error.to_string())?;
    }
    file.flush().await.map_err(|error| error.to_string())?;
    Ok(sum)
}

fn request(method: Method, name: &str) -> Request<wasmk_network::Body> {
    Request::builder()
        .method(method)
        .uri(format!("{PATH}{name}"))
        .body(empty())
        .expect("names are of a URL's characters")
}
