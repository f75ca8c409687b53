//! A pod's volumes: what is to be in them (pure), and the directories that hold it.

mod disk;
mod mounts;
mod project;
mod size;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use k8s_openapi::api::core::v1::{Pod, Volume};

pub(crate) use disk::{PodDirs, materialize};
pub(crate) use mounts::mounts;
pub(crate) use project::project;
pub(crate) use size::{has_size_limits, overfull};

use crate::sources::{SourceKind, SourceRef};

/// Why a volume is not there; the text completes `MountVolume.SetUp failed for volume "x" : `.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("MountVolume.SetUp failed for volume {volume:?} : {message}")]
pub(crate) struct VolumeError {
    pub(crate) volume: String,
    pub(crate) message: String,
}

/// What is to be at the volume's directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum VolumeContent {
    /// Exactly these files, by path within the volume. Guests only read them.
    Files(BTreeMap<String, FileContent>),
    /// The pod's own, empty at first.
    EmptyDir,
    HostPath {
        path: PathBuf,
        create: bool,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FileContent {
    pub(crate) bytes: Vec<u8>,
    pub(crate) mode: u32,
}

/// A volume that is in place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct MountedVolume {
    pub(crate) path: PathBuf,
    pub(crate) read_only: bool,
    /// Missing directories of a `subPath` may be made in it.
    pub(crate) writable_root: bool,
}

/// By the volume's name.
pub(crate) type MountedVolumes = BTreeMap<String, MountedVolume>;

/// The ConfigMaps and Secrets that the pod's volumes show.
pub(crate) fn references(pod: &Pod) -> BTreeSet<SourceRef> {
    let mut refs = BTreeSet::new();
    let mut add = |kind, name: Option<&str>| refs.extend(name.map(|name| SourceRef::new(kind, name)));
    for volume in volumes(pod) {
        add(SourceKind::ConfigMap, volume.config_map.as_ref().map(|source| source.name.as_str()));
        add(SourceKind::Secret, volume.secret.as_ref().and_then(|source| source.secret_name.as_deref()));
        for source in volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()) {
            add(SourceKind::ConfigMap, source.config_map.as_ref().map(|source| source.name.as_str()));
            add(SourceKind::Secret, source.secret.as_ref().map(|source| source.name.as_str()));
        }
    }
    refs
}

pub(crate) fn volumes(pod: &Pod) -> &[Volume] {
    pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
