//! Uploads: in one request, in chunks, or by mounting what is here already. What has arrived is the file's length, so an
//! upload survives a restart.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use tokio::io::AsyncWriteExt;

use super::answer::{Code, Failure, failed, set};
use crate::{Digest, ImageStore};

/// A single blob; larger ones are refused before the disk is full of them.
const BLOB_BYTES_MAX: u64 = 16 << 30;

pub(super) async fn begin(store: &Arc<ImageStore>, name: &str, request: Request) -> Result<Response, Failure> {
    let parameters = parameters(&request);
    if let Some(digest) = parameters.get("mount").and_then(|digest| digest.parse::<Digest>().ok())
        && store.blob_size(&digest).is_some()
    {
        return Ok(created(name, &digest));
    }
    let id = new_id();
    let path = store.upload_path(&id);
    tokio::fs::File::create(&path).await.map_err(|error| Failure::new(Code::Unknown, error.to_string()))?;
    match parameters.get("digest").is_some() {
        true => finish(store, name, &id, request).await,
        false => Ok(accepted(name, &id, 0, StatusCode::ACCEPTED)),
    }
}

pub(super) async fn append(
    store: &Arc<ImageStore>,
    name: &str,
    id: &str,
    request: Request,
) -> Result<Response, Failure> {
    let size = write(store, id, request).await?;
    Ok(accepted(name, id, size, StatusCode::ACCEPTED))
}

pub(super) async fn finish(
    store: &Arc<ImageStore>,
    name: &str,
    id: &str,
    request: Request,
) -> Result<Response, Failure> {
    let digest = parameters(&request)
        .remove("digest")
        .ok_or_else(|| Failure::new(Code::DigestInvalid, "the digest is missing"))?;
    let digest: Digest =
        digest.parse().map_err(|error: crate::InvalidDigest| Failure::new(Code::DigestInvalid, error.to_string()))?;
    write(store, id, request).await?;
    let (own, own_id) = (store.clone(), id.to_owned());
    let finished = tokio::task::spawn_blocking(move || own.finish_upload(&own_id, &digest)).await;
    let digest = finished.map_err(|error| Failure::new(Code::Unknown, error.to_string()))?.map_err(failed)?;
    Ok(created(name, &digest))
}

pub(super) fn status(store: &ImageStore, name: &str, id: &str) -> Result<Response, Failure> {
    let size = std::fs::metadata(store.upload_path(id)).map_err(|_| unknown())?.len();
    Ok(accepted(name, id, size, StatusCode::NO_CONTENT))
}

pub(super) fn cancel(store: &ImageStore, id: &str) -> Result<Response, Failure> {
    std::fs::remove_file(store.upload_path(id)).map_err(|_| unknown())?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Appends the body; answers how much there is now.
async fn write(store: &ImageStore, id: &str, request: Request) -> Result<u64, Failure> {
    let path = store.upload_path(id);
    let mut file = tokio::fs::OpenOptions::new().append(true).open(&path).await.map_err(|_| unknown())?;
    let mut size = file.metadata().await.map_err(|_| unknown())?.len();
    if let Some(range) = request.headers().get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok()) {
        let first = range.trim_start_matches("bytes ").split('-').next().and_then(|first| first.parse::<u64>().ok());
        if first != Some(size) {
            return Err(Failure::new(Code::RangeInvalid, format!("the next byte is {size}")));
        }
    }
    let mut body = request.into_body().into_data_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| Failure::new(Code::SizeInvalid, format!("the body broke off: {error}")))?;
        size += chunk.len() as u64;
        if size > BLOB_BYTES_MAX {
            return Err(Failure::new(Code::SizeInvalid, format!("blobs have at most {BLOB_BYTES_MAX} bytes")));
        }
        file.write_all(&chunk).await.map_err(|error| Failure::new(Code::Unknown, error.to_string()))?;
    }
    file.flush().await.map_err(|error| Failure::new(Code::Unknown, error.to_string()))?;
    Ok(size)
}

fn accepted(name: &str, id: &str, size: u64, status: StatusCode) -> Response {
    let mut response = status.into_response();
    set(&mut response, "location", format!("/v2/{name}/blobs/uploads/{id}"));
    set(&mut response, "docker-upload-uuid", id.to_owned());
    set(&mut response, "range", format!("0-{}", size.saturating_sub(1)));
    response
}

fn created(name: &str, digest: &Digest) -> Response {
    let mut response = StatusCode::CREATED.into_response();
    set(&mut response, "location", format!("/v2/{name}/blobs/{digest}"));
    set(&mut response, "docker-content-digest", digest.to_string());
    response
}

fn unknown() -> Failure {
    Failure::new(Code::BlobUploadUnknown, "there is no such upload")
}

fn parameters(request: &Request) -> std::collections::BTreeMap<String, String> {
    let pairs = request.uri().query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.replace("%3A", ":").replace("%3a", ":"))).collect()
}

/// Unique within the machine; whoever may push may guess it.
fn new_id() -> String {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let count = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("{time:x}-{:x}-{count:x}", std::process::id())
}
