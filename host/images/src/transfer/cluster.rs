use async_trait::async_trait;
use axum::http::{Method, Request, Response, StatusCode, header};
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::remote::{Blob, Failure, Outgoing, Remote};
use super::{ATTEMPTS_MAX, CHUNK_BYTES_MAX, Transport, said, wait};
use crate::manifest::{Descriptor, MANIFEST_BYTES_MAX, accepted};
use crate::{Body, Digest};

/// A repository of the cluster's own registry.
pub(super) struct Cluster<'a> {
    pub(super) transport: &'a dyn Transport,
    pub(super) repository: &'a str,
}

impl Cluster<'_> {
    async fn get(&self, path: &str, header: Option<(header::HeaderName, String)>) -> Result<Response<Body>, Failure> {
        let mut request = Request::get(format!("/v2/{}/{path}", self.repository));
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        self.send(request, Body::empty()).await
    }

    /// The answer, if it is a success.
    async fn send(&self, request: axum::http::request::Builder, body: Body) -> Result<Response<Body>, Failure> {
        let request = request.body(body).map_err(|error| Failure::Refused(error.to_string()))?;
        let response = self.transport.send(request).await.map_err(|error| Failure::Unreachable(error.to_string()))?;
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::NOT_FOUND => Err(Failure::NotFound(said(response).await)),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Failure::Unauthorized(said(response).await)),
            StatusCode::TOO_MANY_REQUESTS => Err(Failure::Unreachable(said(response).await)),
            status if status.is_server_error() => Err(Failure::Unreachable(said(response).await)),
            _ => Err(Failure::Refused(said(response).await)),
        }
    }

    /// Sends what is missing from byte `from` on, in chunks: what sends them holds one at a time.
    async fn send_chunks(&self, location: &str, blob: &Outgoing<'_>, from: u64) -> Result<(), Failure> {
        let unreadable = |error: std::io::Error| Failure::Refused(format!("read blob {}: {error}", blob.digest));
        let mut file = tokio::fs::File::open(blob.store.blob_path(blob.digest)).await.map_err(unreadable)?;
        file.seek(std::io::SeekFrom::Start(from)).await.map_err(unreadable)?;
        let mut sent = from;
        while sent < blob.size {
            let mut chunk = Vec::new();
            (&mut file).take(CHUNK_BYTES_MAX as u64).read_to_end(&mut chunk).await.map_err(unreadable)?;
            if chunk.is_empty() {
                return Err(Failure::Refused(format!("blob {} is shorter than its manifest says", blob.digest)));
            }
            let end = sent + chunk.len() as u64;
            let request = Request::patch(location)
                .header(header::CONTENT_TYPE, "application/octet-stream")
                .header(header::CONTENT_LENGTH, chunk.len())
                .header(header::CONTENT_RANGE, format!("{sent}-{}", end - 1));
            self.send(request, Body::from(chunk)).await?;
            sent = end;
            blob.tell(sent);
        }
        Ok(())
    }

    /// How much of an upload has arrived.
    async fn arrived(&self, location: &str) -> Result<u64, Failure> {
        let response = self.send(Request::get(location), Body::empty()).await?;
        let range = response.headers().get(header::RANGE).and_then(|range| range.to_str().ok()).unwrap_or_default();
        let last: Option<u64> = range.rsplit('-').next().and_then(|last| last.parse().ok());
        // `0-0` is what an empty upload says, and one of a single byte too, which may as well be sent again.
        Ok(last.filter(|last| *last > 0).map_or(0, |last| last + 1))
    }
}

#[async_trait]
impl Remote for Cluster<'_> {
    async fn manifest(&self, tag_or_digest: &str) -> Result<Vec<u8>, Failure> {
        let response = self.get(&format!("manifests/{tag_or_digest}"), Some((header::ACCEPT, accepted()))).await?;
        let content = axum::body::to_bytes(response.into_body(), MANIFEST_BYTES_MAX).await;
        Ok(content.map_err(|error| Failure::Unreachable(error.to_string()))?.to_vec())
    }

    async fn blob(&self, blob: &Descriptor, offset: u64) -> Result<Blob, Failure> {
        let range = (offset > 0).then(|| (header::RANGE, format!("bytes={offset}-")));
        let response = self.get(&format!("blobs/{}", blob.digest), range).await?;
        let offset = if response.status() == StatusCode::PARTIAL_CONTENT { offset } else { 0 };
        let chunks = response.into_body().into_data_stream().map(|chunk| chunk.map_err(|error| error.to_string()));
        Ok(Blob { offset, chunks: chunks.boxed() })
    }

    async fn has_blob(&self, digest: &Digest) -> Result<bool, Failure> {
        let uri = format!("/v2/{}/blobs/{digest}", self.repository);
        match self.send(Request::builder().method(Method::HEAD).uri(uri), Body::empty()).await {
            Ok(_) => Ok(true),
            Err(Failure::NotFound(_)) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    async fn put_blob(&self, blob: Outgoing<'_>) -> Result<(), Failure> {
        let begin = Request::post(format!("/v2/{}/blobs/uploads/", self.repository));
        let begun = self.send(begin, Body::empty()).await?;
        let location = begun.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
        let location = location.ok_or_else(|| Failure::Refused("an upload without a location".to_owned()))?.to_owned();
        let (mut attempt, mut from) = (1, 0);
        loop {
            match self.send_chunks(&location, &blob, from).await {
                Ok(()) => break,
                Err(Failure::Unreachable(_)) if attempt < ATTEMPTS_MAX => {
                    wait(&mut attempt).await;
                    from = self.arrived(&location).await?;
                }
                Err(failure) => return Err(failure),
            }
        }
        let parameter = if location.contains('?') { '&' } else { '?' };
        let put =
            Request::put(format!("{location}{parameter}digest={}", blob.digest)).header(header::CONTENT_LENGTH, 0);
        self.send(put, Body::empty()).await.map(drop)
    }

    async fn put_manifest(&self, tag_or_digest: &str, media_type: &str, bytes: Vec<u8>) -> Result<(), Failure> {
        let uri = format!("/v2/{}/manifests/{tag_or_digest}", self.repository);
        let put = Request::put(uri).header(header::CONTENT_TYPE, media_type);
        self.send(put, Body::from(bytes)).await.map(drop)
    }
}
