use std::fs;
use std::path::Path;

use k8s_openapi::api::core::v1::Pod;
use wasmk_api::Quantity;

use super::{PodDirs, volumes};
use crate::PodUid;

pub(crate) fn has_size_limits(pod: &Pod) -> bool {
    limits(pod).next().is_some()
}

/// The message for the first `emptyDir` that holds more than its limit. Blocks.
pub(crate) fn overfull(pod: &Pod, dirs: &PodDirs, uid: &PodUid) -> Option<String> {
    let (name, limit) =
        limits(pod).find(|(name, limit)| bytes(&dirs.volume(uid, name)) > limit.units().unsigned_abs())?;
    Some(format!("Usage of EmptyDir volume {name:?} exceeds the limit {:?}.", limit.to_string()))
}

fn limits(pod: &Pod) -> impl Iterator<Item = (&str, Quantity)> {
    volumes(pod).iter().filter_map(|volume| {
        let limit = volume.empty_dir.as_ref()?.size_limit.as_ref()?;
        let limit = Quantity::parse(&limit.0).ok().filter(|limit| !limit.is_zero())?;
        Some((volume.name.as_str(), limit))
    })
}

/// Links count for themselves: they may lead anywhere.
fn bytes(path: &Path) -> u64 {
    let Ok(meta) = fs::symlink_metadata(path) else { return 0 };
    if !meta.is_dir() {
        return meta.len();
    }
    fs::read_dir(path).into_iter().flatten().flatten().map(|entry| bytes(&entry.path())).sum()
}
