use std::sync::Arc;

use futures::{FutureExt, StreamExt, TryStreamExt};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;
use tracing::debug;

use super::progress::{Blobs, Step};
use super::remote::{Failure, Remote};
use super::{ATTEMPTS_MAX, BLOBS_AT_ONCE, PullError, wait};
use crate::blocking::blocking;
use crate::manifest::{BLOB_BYTES_MAX, Descriptor, Format, Manifest};
use crate::store::{ImageStore, StoreError};
use crate::{Digest, InvalidManifest, Reference};

pub(super) struct Puller<'a> {
    pub(super) store: &'a Arc<ImageStore>,
    pub(super) source: &'a dyn Remote,
    /// What it is called here.
    pub(super) reference: &'a Reference,
    pub(super) progress: &'a Blobs,
}

/// What has arrived of a blob.
struct Partial {
    upload: NamedTempFile,
    size: u64,
}

impl Puller<'_> {
    pub(super) async fn pull(&self) -> Result<Digest, PullError> {
        let (bytes, manifest) = self.manifest(self.reference.tag_or_digest()).await?;
        let (bytes, manifest) = match manifest.format() {
            Format::Index => {
                let entry = manifest.choose().ok_or_else(|| PullError::NoWasm(self.reference.clone()))?;
                self.manifest(&entry.digest).await?
            }
            _ => (bytes, manifest),
        };
        let fetches: Vec<_> = manifest.descriptors().map(|descriptor| self.blob(descriptor).boxed()).collect();
        futures::stream::iter(fetches).buffer_unordered(BLOBS_AT_ONCE).try_collect::<()>().await?;
        let (store, repository) = (self.store.clone(), self.reference.full_repository());
        let tag = self.reference.tag.clone().filter(|_| self.reference.digest.is_none());
        let put = blocking(move || store.put_manifest(&repository, tag.as_deref(), &bytes)).await;
        put.map_err(|error| self.broken(error))
    }

    /// Verified where it is asked for by digest.
    async fn manifest(&self, tag_or_digest: &str) -> Result<(Vec<u8>, Manifest), PullError> {
        let mut attempt = 1;
        let bytes = loop {
            match self.source.manifest(tag_or_digest).await {
                Ok(bytes) => break bytes,
                Err(Failure::Unreachable(why)) if attempt < ATTEMPTS_MAX => {
                    debug!(image = %self.reference, why, "manifest failed, trying again");
                    wait(&mut attempt).await;
                }
                Err(failure) => return Err(self.failed(failure)),
            }
        };
        if let Ok(wanted) = tag_or_digest.parse::<Digest>() {
            let found = Digest::of(&bytes);
            if found != wanted {
                return Err(self.broken(StoreError::DigestMismatch { wanted, found }));
            }
        }
        let manifest = Manifest::parse(&bytes).map_err(|error| self.broken(error.into()))?;
        Ok((bytes, manifest))
    }

    /// A blob that was damaged on its way is fetched once more.
    async fn blob(&self, descriptor: &Descriptor) -> Result<(), PullError> {
        let digest = descriptor.digest().map_err(|error| self.broken(InvalidManifest::from(error).into()))?;
        let flight = self.store.flights.of(digest.as_str());
        let _alone = flight.lock().await;
        if self.store.claim_blob(&digest) == Some(descriptor.size) {
            self.progress.tell(&digest, Step::Present);
            return Ok(());
        }
        self.progress.tell(&digest, Step::Waiting { total: descriptor.size });
        if descriptor.size > BLOB_BYTES_MAX {
            let why = format!("with a blob of {} bytes; {BLOB_BYTES_MAX} are allowed", descriptor.size);
            return Err(PullError::Refused(self.reference.clone(), why));
        }
        match self.fetch_and_store(descriptor, &digest).await {
            Err(PullError::Broken(_, StoreError::DigestMismatch { .. })) => {
                self.fetch_and_store(descriptor, &digest).await
            }
            done => done,
        }
    }

    async fn fetch_and_store(&self, descriptor: &Descriptor, digest: &Digest) -> Result<(), PullError> {
        let upload = self.store.new_upload().map_err(|error| self.broken(error))?;
        let mut partial = Partial { upload, size: 0 };
        let mut attempt = 1;
        while let Err(failure) = self.fetch(descriptor, digest, &mut partial).await {
            match failure {
                PullError::Unreachable(_, why) if attempt < ATTEMPTS_MAX => {
                    debug!(image = %self.reference, %digest, why, arrived = partial.size, "transfer broke, going on");
                    self.progress.tell(digest, Step::Resumed { done: partial.size });
                    wait(&mut attempt).await;
                }
                other => return Err(other),
            }
        }
        let (store, wanted) = (self.store.clone(), digest.clone());
        let finished = blocking(move || store.finish(partial.upload, Some(&wanted))).await;
        finished.map(|found| self.progress.tell(&found, Step::Done)).map_err(|error| self.broken(error))
    }

    /// Goes on where the last attempt broke off.
    async fn fetch(&self, descriptor: &Descriptor, digest: &Digest, partial: &mut Partial) -> Result<(), PullError> {
        let mut blob = self.source.blob(descriptor, partial.size).await.map_err(|failure| self.failed(failure))?;
        let path = partial.upload.path().to_owned();
        let io = |source| self.broken(StoreError::Io { action: "write", path: path.clone(), source });
        let mut file = tokio::fs::OpenOptions::new().append(true).open(&path).await.map_err(io)?;
        if blob.offset != partial.size {
            // The registry starts again, so do we.
            file.set_len(0).await.map_err(io)?;
            partial.size = 0;
        }
        let unreachable = |why: String| PullError::Unreachable(self.reference.clone(), why);
        let mut broke = None;
        while let Some(chunk) = blob.chunks.next().await {
            match chunk {
                Ok(chunk) if partial.size + chunk.len() as u64 > descriptor.size => {
                    let why = format!("with more than the {} bytes that its manifest promised", descriptor.size);
                    return Err(PullError::Refused(self.reference.clone(), why));
                }
                Ok(chunk) => {
                    file.write_all(&chunk).await.map_err(io)?;
                    partial.size += chunk.len() as u64;
                    self.progress.tell(digest, Step::Moved { done: partial.size, total: descriptor.size });
                }
                Err(why) => {
                    broke = Some(unreachable(why));
                    break;
                }
            }
        }
        // Before the next attempt looks at the file.
        file.flush().await.map_err(io)?;
        if partial.size == descriptor.size {
            return Ok(());
        }
        let short = format!("the transfer broke off after {} of {} bytes", partial.size, descriptor.size);
        Err(broke.unwrap_or_else(|| unreachable(short)))
    }

    fn broken(&self, error: StoreError) -> PullError {
        PullError::Broken(self.reference.clone(), error)
    }

    fn failed(&self, failure: Failure) -> PullError {
        failed(self.reference, failure)
    }
}

pub(super) fn failed(reference: &Reference, failure: Failure) -> PullError {
    let reference = reference.clone();
    match failure {
        Failure::NotFound(said) => PullError::NotFound(reference, said),
        Failure::Unauthorized(said) => PullError::Unauthorized(reference, said),
        Failure::Unreachable(said) => PullError::Unreachable(reference, said),
        Failure::Refused(said) => PullError::Refused(reference, said),
    }
}
