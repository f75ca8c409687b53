use async_trait::async_trait;
use axum::body::Bytes;
use futures::stream::BoxStream;

use crate::manifest::Descriptor;

/// Where an image comes from: one repository of one registry.
#[async_trait]
pub(super) trait Source: Send + Sync {
    /// At most as large as a manifest may be; not verified.
    async fn manifest(&self, tag_or_digest: &str) -> Result<Vec<u8>, Failure>;

    /// A blob from byte `offset` on, or from its beginning where the registry cannot do that; not verified.
    async fn blob(&self, blob: &Descriptor, offset: u64) -> Result<Blob, Failure>;
}

/// A blob on its way.
pub(super) struct Blob {
    /// Where in the blob the chunks begin.
    pub(super) offset: u64,
    pub(super) chunks: BoxStream<'static, Result<Bytes, String>>,
}

/// Why a registry gave nothing, by what can be done about it; with the registry's words.
#[derive(Debug)]
pub(super) enum Failure {
    NotFound,
    Unauthorized(String),
    /// Trying again may help.
    Unreachable(String),
    Refused(String),
}
