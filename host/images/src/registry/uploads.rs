//! Uploads: in one request, in chunks, or by mounting what is here already. What has arrived is the file's length, so an
//! upload survives a restart.

use std::fs::{File, TryLockError};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use tokio::io::AsyncWriteExt;

use super::Query;
use super::answer::{Code, Failure, failed, set};
use crate::blocking::blocking;
use crate::manifest::BLOB_BYTES_MAX;
use crate::{Digest, ImageStore};

/// At once, given up ones included until they are collected: a push has a handful.
const UPLOADS_MAX: usize = 256;

pub(super) async fn begin(store: &Arc<ImageStore>, name: &str, request: Request) -> Result<Response, Failure> {
    let query = Query::of(&request);
    if let Some(digest) = query.get("mount").and_then(|digest| digest.parse::<Digest>().ok())
        && store.claim_blob(&digest).is_some()
    {
        return Ok(created(name, &digest));
    }
    if store.uploads_count() >= UPLOADS_MAX {
        return Err(Failure::new(Code::TooManyRequests, format!("{UPLOADS_MAX} uploads are under way")));
    }
    let id = new_id();
    let path = store.upload_path(&id);
    tokio::fs::File::create(&path).await.map_err(|error| Failure::new(Code::Unknown, error.to_string()))?;
    match query.get("digest").is_some() {
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
    let mut upload = Upload::open(store, id)?;
    let range = request.headers().get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
    if range.is_some_and(|range| first_byte(range) != Some(upload.size)) {
        // With where to go on, as for an upload that is well.
        let message = format!("the next byte is {}", upload.size);
        let mut refusal = Failure::new(Code::RangeInvalid, message).into_response();
        let place = accepted(name, id, upload.size, StatusCode::RANGE_NOT_SATISFIABLE);
        refusal.headers_mut().extend(place.headers().clone());
        return Ok(refusal);
    }
    upload.write(request).await?;
    Ok(accepted(name, id, upload.size, StatusCode::ACCEPTED))
}

pub(super) async fn finish(
    store: &Arc<ImageStore>,
    name: &str,
    id: &str,
    request: Request,
) -> Result<Response, Failure> {
    let query = Query::of(&request);
    let digest = query.get("digest").ok_or_else(|| Failure::new(Code::DigestInvalid, "the digest is missing"))?;
    let digest: Digest =
        digest.parse().map_err(|error: crate::InvalidDigest| Failure::new(Code::DigestInvalid, error.to_string()))?;
    let mut upload = Upload::open(store, id)?;
    upload.write(request).await?;
    let (own, own_id) = (store.clone(), id.to_owned());
    let finished = blocking(move || {
        let finished = own.finish_upload(&own_id, &digest);
        // Locked until the file has its new name.
        drop(upload);
        finished
    });
    let digest = finished.await.map_err(failed)?;
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

/// An upload that this request alone writes to.
struct Upload {
    file: tokio::fs::File,
    size: u64,
}

impl Upload {
    fn open(store: &ImageStore, id: &str) -> Result<Self, Failure> {
        let file = File::options().append(true).open(store.upload_path(id)).map_err(|_| unknown())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::new(Code::BlobUploadInvalid, "another request writes to this upload"));
            }
            Err(TryLockError::Error(error)) => return Err(Failure::new(Code::Unknown, error.to_string())),
        }
        let size = file.metadata().map_err(|_| unknown())?.len();
        Ok(Self { file: tokio::fs::File::from_std(file), size })
    }

    /// Appends the body. What arrived before it broke off stays, so that the client can go on from there.
    async fn write(&mut self, request: Request) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::new(Code::Unknown, error.to_string());
        let mut body = request.into_body().into_data_stream();
        let mut broke = Ok(());
        while let Some(chunk) = body.next().await {
            match chunk {
                Ok(chunk) if self.size + chunk.len() as u64 > BLOB_BYTES_MAX => {
                    broke = Err(Failure::new(Code::SizeInvalid, format!("blobs have at most {BLOB_BYTES_MAX} bytes")));
                    break;
                }
                Ok(chunk) => {
                    self.file.write_all(&chunk).await.map_err(failed)?;
                    self.size += chunk.len() as u64;
                }
                Err(error) => {
                    broke = Err(Failure::new(Code::BlobUploadInvalid, format!("the body broke off: {error}")));
                    break;
                }
            }
        }
        self.file.flush().await.map_err(failed)?;
        broke
    }
}

/// Of `Content-Range`: `0-99`, or `bytes 0-99/100`.
fn first_byte(range: &str) -> Option<u64> {
    range.trim_start_matches("bytes ").split('-').next()?.parse().ok()
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

/// Unique within the machine; whoever may push may guess it.
fn new_id() -> String {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let count = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("{time:x}-{:x}-{count:x}", std::process::id())
}
