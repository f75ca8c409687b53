//! Images for a client on this machine, rather than for a node.

use std::path::PathBuf;
use std::sync::Arc;

use wasmk_images::{ImageStore, PullError, Reference, UnpackError};

use crate::KubeTransport;

#[derive(Debug, thiserror::Error)]
pub enum LocalImageError {
    #[error(transparent)]
    Pull(#[from] PullError),
    #[error(transparent)]
    Unpack(#[from] UnpackError),
}

/// The wasm file of an image: from this machine's store, else from the cluster's registry. `None` when neither has it;
/// other registries are for `wasmk pull`, which knows the logins.
pub async fn local_wasm(
    store: &Arc<ImageStore>,
    cluster: Option<kube::Client>,
    reference: &Reference,
) -> Result<Option<PathBuf>, LocalImageError> {
    let digest = match (store.find(reference), &reference.registry, cluster) {
        (Some(digest), ..) => digest,
        (None, None, Some(client)) => match wasmk_images::pull(store, &KubeTransport(client), reference).await {
            Ok(digest) => digest,
            Err(PullError::NotFound(..)) => return Ok(None),
            Err(error) => return Err(error.into()),
        },
        (None, ..) => return Ok(None),
    };
    Ok(Some(store.unpack(&digest)?.wasm))
}
