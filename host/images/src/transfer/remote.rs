use async_trait::async_trait;
use axum::body::Bytes;
use futures::stream::BoxStream;

use super::progress::{Blobs, Step};
use crate::manifest::Descriptor;
use crate::{Digest, ImageStore};

/// One repository of one registry.
#[async_trait]
pub(super) trait Remote: Send + Sync {
    /// At most as large as a manifest may be; not verified.
    async fn manifest(&self, tag_or_digest: &str) -> Result<Vec<u8>, Failure>;

    /// A blob from byte `offset` on, or from its beginning where the registry cannot do that; not verified.
    async fn blob(&self, blob: &Descriptor, offset: u64) -> Result<Blob, Failure>;

    async fn has_blob(&self, digest: &Digest) -> Result<bool, Failure>;

    async fn put_blob(&self, blob: Outgoing<'_>) -> Result<(), Failure>;

    async fn put_manifest(&self, tag_or_digest: &str, media_type: &str, bytes: Vec<u8>) -> Result<(), Failure>;
}

/// A blob on its way here.
pub(super) struct Blob {
    /// Where in the blob the chunks begin.
    pub(super) offset: u64,
    pub(super) chunks: BoxStream<'static, Result<Bytes, String>>,
}

/// A blob on its way to a registry.
pub(super) struct Outgoing<'a> {
    pub(super) store: &'a ImageStore,
    pub(super) digest: &'a Digest,
    pub(super) size: u64,
    pub(super) progress: &'a Blobs,
}

impl Outgoing<'_> {
    pub(super) fn tell(&self, done: u64) {
        self.progress.tell(self.digest, Step::Moved { done, total: self.size });
    }
}

/// Why a registry gave or took nothing, by what can be done about it; with the registry's words.
#[derive(Debug)]
pub(super) enum Failure {
    NotFound(String),
    Unauthorized(String),
    /// Trying again may help.
    Unreachable(String),
    Refused(String),
}
