use std::collections::HashSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};

use super::progress::{Blobs, Step};
use super::remote::{Failure, Outgoing, Remote};
use super::{ATTEMPTS_MAX, BLOBS_AT_ONCE, PushError, wait};
use crate::blocking::blocking;
use crate::manifest::{Descriptor, Format, Manifest};
use crate::store::{ImageStore, StoreError};
use crate::{Digest, InvalidManifest, Reference};

pub(super) struct Pusher<'a> {
    pub(super) store: &'a Arc<ImageStore>,
    pub(super) remote: &'a dyn Remote,
    pub(super) reference: &'a Reference,
    pub(super) progress: &'a Blobs,
}

impl Pusher<'_> {
    /// Sends what the registry does not have; the manifest last, since it is what makes the rest an image.
    pub(super) async fn push(&self) -> Result<Digest, PushError> {
        let (own, name) = (self.store.clone(), self.reference.clone());
        let digest = blocking(move || own.find(&name)).await;
        let digest = digest.ok_or_else(|| PushError::NotFound(self.reference.clone()))?;
        self.image(&digest, self.reference.tag_or_digest()).await?;
        Ok(digest)
    }

    /// Boxed: an index leads to images again.
    fn image<'a>(&'a self, digest: &'a Digest, tag_or_digest: &'a str) -> BoxFuture<'a, Result<(), PushError>> {
        async move {
            let (own, wanted) = (self.store.clone(), digest.clone());
            let (manifest, bytes) = blocking(move || own.manifest(&wanted)).await?;
            match manifest.format() {
                Format::Index => {
                    for entry in &manifest.manifests {
                        let child = digest_of(entry)?;
                        self.image(&child, child.as_str()).await?;
                    }
                }
                _ => self.blobs(&manifest).await?,
            }
            self.manifest(&manifest, bytes, tag_or_digest).await
        }
        .boxed()
    }

    async fn manifest(&self, manifest: &Manifest, bytes: Vec<u8>, tag_or_digest: &str) -> Result<(), PushError> {
        let mut attempt = 1;
        loop {
            match self.remote.put_manifest(tag_or_digest, manifest.media_type(), bytes.clone()).await {
                Err(Failure::Unreachable(_)) if attempt < ATTEMPTS_MAX => wait(&mut attempt).await,
                other => return other.map_err(|failure| failed(self.reference, failure)),
            }
        }
    }

    async fn blobs(&self, manifest: &Manifest) -> Result<(), PushError> {
        let mut seen = HashSet::new();
        let blobs = manifest.blobs().filter(|blob| seen.insert(blob.digest.clone()));
        let sends: Vec<_> = blobs.map(|blob| self.blob(blob).boxed()).collect();
        futures::stream::iter(sends).buffer_unordered(BLOBS_AT_ONCE).try_collect::<()>().await
    }

    async fn blob(&self, blob: &Descriptor) -> Result<(), PushError> {
        let digest = digest_of(blob)?;
        self.progress.tell(&digest, Step::Waiting { total: blob.size });
        let mut attempt = 1;
        loop {
            match self.try_blob(&digest, blob.size).await {
                Ok(step) => {
                    self.progress.tell(&digest, step);
                    return Ok(());
                }
                Err(Failure::Unreachable(_)) if attempt < ATTEMPTS_MAX => wait(&mut attempt).await,
                Err(failure) => return Err(failed(self.reference, failure)),
            }
        }
    }

    async fn try_blob(&self, digest: &Digest, size: u64) -> Result<Step, Failure> {
        if self.remote.has_blob(digest).await? {
            return Ok(Step::Present);
        }
        self.remote.put_blob(Outgoing { store: self.store, digest, size, progress: self.progress }).await?;
        Ok(Step::Done)
    }
}

fn digest_of(descriptor: &Descriptor) -> Result<Digest, PushError> {
    descriptor.digest().map_err(|error| StoreError::from(InvalidManifest::from(error)).into())
}

pub(super) fn failed(reference: &Reference, failure: Failure) -> PushError {
    match failure {
        Failure::Unauthorized(said) => PushError::Unauthorized(reference.clone(), said),
        Failure::Unreachable(said) => PushError::Unreachable(super::TransportError(said)),
        Failure::NotFound(said) | Failure::Refused(said) => PushError::Refused(said),
    }
}
