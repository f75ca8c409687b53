//! Layers that are larger than anybody wants to hold in memory. Alone in its process: it measures that.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::future::IntoFuture;
use std::io::Write;
use std::sync::Arc;

use async_trait::async_trait;
use axum::http::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use wasmk_images::{Body, ImageStore, Reference, Transport, TransportError, pull, push, registry, store_module};

/// `WASMK_LARGE_MIB=2048` for a layer of 2 GiB, which takes 6 GiB of disk.
const LARGE_MIB_DEFAULT: u64 = 192;
/// Chunks, and what is on its way between sockets.
const GROWTH_MIB_MAX: u64 = 64;

struct Http(String, Client<HttpConnector, Body>);

#[async_trait]
impl Transport for Http {
    async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, TransportError> {
        *request.uri_mut() = format!("{}{}", self.0, request.uri()).parse().unwrap();
        let response = self.1.request(request).await.map_err(|error| TransportError(error.to_string()))?;
        Ok(response.map(Body::new))
    }
}

/// The most memory that this process ever had, in MiB.
fn memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[tokio::test]
async fn a_large_layer_is_pushed_pulled_and_verified_in_little_memory() {
    let mib = std::env::var("WASMK_LARGE_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(LARGE_MIB_DEFAULT);
    let dir = tempfile::tempdir().unwrap();
    let store = |name: &str| Arc::new(ImageStore::open(dir.path().join(name)).unwrap());
    let (laptop, server, node) = (store("laptop"), store("server"), store("node"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, registry((*server).clone())).into_future());
    let http = Http(http, Client::builder(TokioExecutor::new()).build_http());
    let wasm = dir.path().join("app.wasm");
    let mut file = File::create(&wasm).unwrap();
    file.write_all(b"\0asm").unwrap();
    file.set_len(mib << 20).unwrap();

    let before = memory_mib();
    let name: Reference = "large:v1".parse().unwrap();
    let digest = store_module(&laptop, &name, &wasm, "wasip2", "2026-01-01T00:00:00Z").unwrap();
    push(&laptop, &http, &name).await.unwrap();
    assert_eq!(pull(&node, &http, &name).await.unwrap(), digest);
    let image = node.unpack(&digest).unwrap();
    assert_eq!(std::fs::metadata(image.wasm).unwrap().len(), mib << 20);
    let growth = memory_mib() - before;
    println!("{mib} MiB took {growth} MiB of memory");
    assert!(growth < GROWTH_MIB_MAX, "{mib} MiB took {growth} MiB of memory");
}
