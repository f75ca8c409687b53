use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, VolumeMount};

use super::project::is_inside;
use super::{MountedVolumes, PodDirs};
use crate::env::{ConfigError, Env, expand};
use crate::{Image, Mount, PodUid};

/// The mounts of a container: the image's files at `/`, then its `volumeMounts`.
///
/// Guests can be given directories only. A `subPath` that names a file is therefore put into a directory of its own
/// (linked where the file system can, else copied), which is mounted at the file's parent.
pub(crate) fn mounts(
    container: &Container,
    image: &Image,
    volumes: &MountedVolumes,
    env: &Env,
    dirs: &PodDirs,
    uid: &PodUid,
) -> Result<Vec<Mount>, ConfigError> {
    let mut mounts = Vec::new();
    if let Some(rootfs) = &image.rootfs {
        mounts.push(Mount { host: rootfs.clone(), guest: "/".into(), read_only: true });
    }
    let mut files: BTreeMap<String, Vec<(PathBuf, String)>> = BTreeMap::new();
    for mount in container.volume_mounts.iter().flatten() {
        let volume = volumes.get(&mount.name).ok_or_else(|| error(mount, "the pod has no such volume"))?;
        let host = resolve(mount, &volume.path, volume.writable_root, env)?;
        let read_only = volume.read_only || mount.read_only == Some(true);
        if host.is_dir() {
            mounts.push(Mount { host, guest: mount.mount_path.clone(), read_only });
        } else {
            let (parent, name) =
                mount.mount_path.trim_end_matches('/').rsplit_once('/').unwrap_or(("", &mount.mount_path));
            let parent = if parent.is_empty() { "/" } else { parent };
            files.entry(parent.to_owned()).or_default().push((host, name.to_owned()));
        }
    }
    for (index, (guest, files)) in files.into_iter().enumerate() {
        if mounts.iter().any(|mount| mount.guest.trim_end_matches('/') == guest.trim_end_matches('/')) {
            return Err(ConfigError(format!("a file cannot be mounted into {guest:?}, where a directory is mounted")));
        }
        let host = dirs.staging(uid, &container.name, index);
        stage(&host, &files).map_err(|source| ConfigError(format!("gather files for {guest:?}: {source}")))?;
        mounts.push(Mount { host, guest, read_only: true });
    }
    Ok(mounts)
}

/// The directory or file that a mount shows, which must lie in its volume.
fn resolve(mount: &VolumeMount, root: &Path, may_create: bool, env: &Env) -> Result<PathBuf, ConfigError> {
    let expanded = mount.sub_path_expr.as_ref().map(|text| expand(text, |name| env.get(name).cloned()));
    let Some(sub_path) = expanded.or_else(|| mount.sub_path.clone()).filter(|path| !path.is_empty()) else {
        return Ok(root.to_owned());
    };
    if !is_inside(&sub_path) {
        return Err(error(mount, "subPath must be relative and without \"..\""));
    }
    let path = root.join(&sub_path);
    if !path.exists() {
        if !may_create {
            return Err(error(mount, &format!("subPath {sub_path:?} is not in the volume")));
        }
        fs::create_dir_all(&path).map_err(|source| error(mount, &format!("create subPath {sub_path:?}: {source}")))?;
    }
    // A guest may have written links into an earlier mount of this volume.
    let real = path.canonicalize().map_err(|source| error(mount, &source.to_string()))?;
    let real_root = root.canonicalize().map_err(|source| error(mount, &source.to_string()))?;
    if real.starts_with(real_root) { Ok(real) } else { Err(error(mount, "subPath leads out of the volume")) }
}

fn stage(dir: &Path, files: &[(PathBuf, String)]) -> io::Result<()> {
    crate::files::remove_dir(dir)?;
    crate::files::create_private_dir(dir)?;
    for (from, name) in files {
        let to = dir.join(name);
        fs::hard_link(from, &to).or_else(|_| fs::copy(from, &to).map(drop))?;
    }
    Ok(())
}

fn error(mount: &VolumeMount, message: &str) -> ConfigError {
    ConfigError(format!("mount of volume {:?} at {:?}: {message}", mount.name, mount.mount_path))
}
