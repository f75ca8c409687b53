use std::io::SeekFrom;

use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::answer::{Code, Failure, set};
use crate::{Body, Digest, ImageStore};

const CHUNK_BYTES: usize = 256 << 10;

/// Whoever sees a blob may skip its upload, so seeing it keeps it from the garbage collection for its grace.
pub(super) async fn get(
    store: &ImageStore,
    digest: Digest,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let size = store.claim_blob(&digest).ok_or_else(|| unknown(&digest))?;
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let part = match range.map(|range| parse_range(range, size)) {
        None | Some(Range::Ignored) => None,
        Some(Range::Part(first, end)) => Some((first, end)),
        Some(Range::Outside) => return Err(Failure::new(Code::RangeInvalid, format!("the blob has {size} bytes"))),
    };
    let (first, end) = part.unwrap_or((0, size));
    let mut response = match *method {
        Method::HEAD => Body::empty().into_response(),
        _ => open(store, &digest, first, end - first).await?.into_response(),
    };
    set(&mut response, "content-type", "application/octet-stream".to_owned());
    set(&mut response, "content-length", (end - first).to_string());
    set(&mut response, "accept-ranges", "bytes".to_owned());
    set(&mut response, "docker-content-digest", digest.to_string());
    if part.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        set(&mut response, "content-range", format!("bytes {first}-{}/{size}", end - 1));
    }
    Ok(response)
}

async fn open(store: &ImageStore, digest: &Digest, first: u64, length: u64) -> Result<Body, Failure> {
    let gone = |_| unknown(digest);
    let mut file = tokio::fs::File::open(store.blob_path(digest)).await.map_err(gone)?;
    file.seek(SeekFrom::Start(first)).await.map_err(gone)?;
    Ok(Body::from_stream(ReaderStream::with_capacity(file.take(length), CHUNK_BYTES)))
}

#[derive(PartialEq, Debug)]
enum Range {
    /// The first byte, and the one after the last.
    Part(u64, u64),
    Outside,
    /// What is not understood, several ranges included, is answered with the whole.
    Ignored,
}

fn parse_range(range: &str, size: u64) -> Range {
    let bounds = || -> Option<(u64, u64)> {
        let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
        Some(match (first, last) {
            ("", suffix) => (size.saturating_sub(suffix.parse().ok()?), size),
            (first, "") => (first.parse().ok()?, size),
            (first, last) => (first.parse().ok()?, last.parse::<u64>().ok()?.saturating_add(1).min(size)),
        })
    };
    match bounds() {
        Some((first, end)) if first < end => Range::Part(first, end),
        Some(_) => Range::Outside,
        None => Range::Ignored,
    }
}

fn unknown(digest: &Digest) -> Failure {
    Failure::new(Code::BlobUnknown, format!("blob {digest} is not here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(parse_range("bytes=0-3", 10), Range::Part(0, 4));
        assert_eq!(parse_range("bytes=4-", 10), Range::Part(4, 10));
        assert_eq!(parse_range("bytes=-3", 10), Range::Part(7, 10));
        assert_eq!(parse_range("bytes=5-99", 10), Range::Part(5, 10));
        assert_eq!(parse_range("bytes=10-", 10), Range::Outside);
        assert_eq!(parse_range("bytes=1-2,4-5", 10), Range::Ignored);
        assert_eq!(parse_range("lines=1-2", 10), Range::Ignored);
    }
}
