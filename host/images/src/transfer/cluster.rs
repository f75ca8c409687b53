use async_trait::async_trait;
use axum::http::{Request, Response, StatusCode, header};
use futures::StreamExt;

use super::source::{Blob, Failure, Source};
use super::{Transport, said};
use crate::Body;
use crate::manifest::{Descriptor, MANIFEST_BYTES_MAX, accepted};

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
        let request = request.body(Body::empty()).map_err(|error| Failure::Refused(error.to_string()))?;
        let response = self.transport.send(request).await.map_err(|error| Failure::Unreachable(error.to_string()))?;
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::NOT_FOUND => Err(Failure::NotFound),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Failure::Unauthorized(said(response).await)),
            status if status.is_server_error() => Err(Failure::Unreachable(said(response).await)),
            _ => Err(Failure::Refused(said(response).await)),
        }
    }
}

#[async_trait]
impl Source for Cluster<'_> {
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
}
