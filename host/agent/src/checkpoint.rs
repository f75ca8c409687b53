//! What a restarted agent finds of its pods, `<data>/pods/<uid>/pod.json`.

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde::{Deserialize, Serialize};

use crate::lifecycle::PodState;
use crate::volumes::PodDirs;
use crate::{PodUid, files};

#[derive(Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    pub(crate) pod: Pod,
    pub(crate) state: PodState,
    /// As it was last reported.
    pub(crate) status: Option<PodStatus>,
}

/// A checkpoint ready to be written, and what tells it from others.
pub(crate) struct Encoded {
    bytes: Vec<u8>,
    pub(crate) hash: u64,
}

impl Checkpoint {
    /// Without what changes with every write of the API.
    pub(crate) fn encode(pod: &Pod, state: &PodState, status: Option<&PodStatus>) -> Encoded {
        let mut pod = pod.clone();
        pod.status = None;
        pod.metadata.resource_version = None;
        pod.metadata.managed_fields = None;
        let checkpoint = Self { pod, state: state.clone(), status: status.cloned() };
        let bytes = serde_json::to_vec(&checkpoint).expect("a pod is plain data");
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        Encoded { bytes, hash: hasher.finish() }
    }

    /// A file that was torn or is of another version is as good as none: the API knows most of it.
    pub(crate) fn load(dirs: &PodDirs, uid: &PodUid) -> Option<Self> {
        let bytes = std::fs::read(dirs.checkpoint(uid)).ok()?;
        let checkpoint: Self = serde_json::from_slice(&bytes).ok()?;
        (checkpoint.pod.metadata.uid.as_deref() == Some(&uid.0)).then_some(checkpoint)
    }
}

impl Encoded {
    /// Blocks. Failure costs a restart count or a start without the server, not the pod.
    pub(crate) fn write(&self, dirs: &PodDirs, uid: &PodUid) {
        let path = dirs.checkpoint(uid);
        if let Err(error) = files::write_private(&path, &self.bytes) {
            tracing::warn!(path = %path.display(), %error, "a pod's checkpoint was not written");
        }
    }
}
