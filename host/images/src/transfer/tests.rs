use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::{Method, StatusCode, header};
use tower::ServiceExt;

use super::*;
use crate::{registry, store_module};

/// A registry in this process.
struct InProcess {
    router: axum::Router,
    requests: AtomicUsize,
    /// Cuts the first transfer of a blob off after so many bytes.
    cut: Option<usize>,
}

#[async_trait]
impl Transport for InProcess {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let is_blob = request.method() == Method::GET && request.uri().path().contains("/blobs/");
        let is_resumed = request.headers().contains_key(header::RANGE);
        self.requests.fetch_add(1, Ordering::Relaxed);
        let response = self.router.clone().oneshot(request).await.expect("routers do not fail");
        match self.cut {
            Some(bytes) if is_blob && !is_resumed => {
                let (parts, body) = response.into_parts();
                let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                Ok(Response::from_parts(parts, Body::from(whole.slice(..bytes.min(whole.len())))))
            }
            _ => Ok(response),
        }
    }
}

struct Fixture {
    _dir: tempfile::TempDir,
    here: Arc<ImageStore>,
    there: ImageStore,
    transport: InProcess,
    reference: Reference,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let here = Arc::new(ImageStore::open(dir.path().join("here")).unwrap());
    let there = ImageStore::open(dir.path().join("there")).unwrap();
    let transport = InProcess { router: registry(there.clone()), requests: AtomicUsize::new(0), cut: None };
    Fixture { here, there, transport, reference: "team/hello:v1".parse().unwrap(), _dir: dir }
}

fn wasm(fixture: &Fixture, store: &ImageStore) -> Digest {
    let file = fixture._dir.path().join("app.wasm");
    std::fs::write(&file, b"\0asm and something that stands for code").unwrap();
    store_module(store, &fixture.reference, &file, "wasip2", "2026-01-01T00:00:00Z").unwrap()
}

#[tokio::test]
async fn what_is_pushed_can_be_pulled_and_unpacked() {
    let fixture = fixture();
    let digest = wasm(&fixture, &fixture.here);
    push(&fixture.here, &fixture.transport, &fixture.reference).await.unwrap();
    assert_eq!(fixture.there.find(&fixture.reference), Some(digest.clone()));
    assert_eq!(fixture.there.tags("team/hello"), ["v1"]);

    let empty = Arc::new(ImageStore::open(fixture._dir.path().join("empty")).unwrap());
    assert_eq!(pull(&empty, &fixture.transport, &fixture.reference).await.unwrap(), digest);
    let unpacked = empty.unpack(&digest).unwrap();
    assert!(std::fs::read(unpacked.wasm).unwrap().starts_with(b"\0asm"));
    assert_eq!(empty.list()[0].name, "team/hello:v1");

    // Nothing but the manifest is transferred again.
    let before = fixture.transport.requests.load(Ordering::Relaxed);
    pull(&empty, &fixture.transport, &fixture.reference).await.unwrap();
    assert_eq!(fixture.transport.requests.load(Ordering::Relaxed), before + 1);
}

#[tokio::test]
async fn a_broken_transfer_is_taken_up_where_it_broke() {
    let mut fixture = fixture();
    let digest = wasm(&fixture, &fixture.there);
    fixture.transport.cut = Some(5);
    assert_eq!(pull(&fixture.here, &fixture.transport, &fixture.reference).await.unwrap(), digest);
    fixture.here.unpack(&digest).unwrap();
}

#[tokio::test]
async fn a_damaged_blob_is_never_run_and_is_fetched_again() {
    let fixture = fixture();
    let digest = wasm(&fixture, &fixture.there);
    pull(&fixture.here, &fixture.transport, &fixture.reference).await.unwrap();
    let wasm = fixture.here.unpack(&digest).unwrap().wasm;
    let mut content = std::fs::read(&wasm).unwrap();
    content[3] ^= 1;
    std::fs::write(&wasm, content).unwrap();
    assert!(matches!(fixture.here.unpack(&digest), Err(crate::UnpackError::Store(StoreError::DigestMismatch { .. }))));
    pull(&fixture.here, &fixture.transport, &fixture.reference).await.unwrap();
    fixture.here.unpack(&digest).unwrap();
}

#[tokio::test]
async fn a_registry_that_lies_is_found_out() {
    let fixture = fixture();
    let digest = wasm(&fixture, &fixture.there);
    let (manifest, _) = fixture.there.manifest(&digest).unwrap();
    let layer = manifest.layers[0].digest().unwrap();
    std::fs::write(fixture.there.blob_path(&layer), vec![b'x'; manifest.layers[0].size as usize]).unwrap();
    let error = pull(&fixture.here, &fixture.transport, &fixture.reference).await.unwrap_err();
    assert!(matches!(error, PullError::Broken(_, StoreError::DigestMismatch { .. })), "{error}");
    assert_eq!(fixture.here.blob_size(&layer), None, "nothing wrong is kept");
}

#[tokio::test]
async fn what_is_not_there_says_what_to_do() {
    let fixture = fixture();
    let error = pull(&fixture.here, &fixture.transport, &fixture.reference).await.unwrap_err().to_string();
    assert!(error.contains("team/hello:v1 not found") && error.contains("wasmk build"), "{error}");
}

#[tokio::test]
async fn chunked_uploads_and_wrong_digests() {
    let fixture = fixture();
    let send = async |request: Request<Body>| fixture.transport.send(request).await.unwrap();
    let begun = send(Request::post("/v2/a/blobs/uploads/").body(Body::empty()).unwrap()).await;
    let location = begun.headers()["location"].to_str().unwrap().to_owned();
    let chunk = |text: &'static str, range: &str| {
        Request::patch(&location).header("content-range", range).body(Body::from(text)).unwrap()
    };
    assert_eq!(send(chunk("hel", "0-2")).await.status(), StatusCode::ACCEPTED);
    assert_eq!(send(chunk("lo", "9-10")).await.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(send(chunk("lo", "3-4")).await.headers()["range"], "0-4");
    let digest = Digest::of(b"hello");
    let put = |digest: &Digest| Request::put(format!("{location}?digest={digest}")).body(Body::empty()).unwrap();
    assert_eq!(send(put(&digest)).await.status(), StatusCode::CREATED);
    assert_eq!(fixture.there.blob_size(&digest), Some(5));

    let wrong = Request::post(format!("/v2/a/blobs/uploads/?digest={}", Digest::of(b"other")))
        .body(Body::from("hello"))
        .unwrap();
    let refused = send(wrong).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert!(said(refused).await.contains("digest"));
    // A manifest whose blobs are not here is refused.
    let manifest = format!(
        r#"{{"schemaVersion":2,"layers":[{{"mediaType":"application/wasm","digest":"{}","size":3}}]}}"#,
        Digest::of(b"abs")
    );
    let put = Request::put("/v2/a/manifests/v1").body(Body::from(manifest)).unwrap();
    assert_eq!(send(put).await.status(), StatusCode::BAD_REQUEST);
}
