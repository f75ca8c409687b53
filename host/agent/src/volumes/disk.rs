use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{FileContent, MountedVolume, VolumeContent};
use crate::{PodUid, files};

/// The directories of pods, `<data>/pods/<uid>`.
#[derive(Clone, Debug)]
pub(crate) struct PodDirs {
    root: PathBuf,
}

impl PodDirs {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn of(&self, uid: &PodUid) -> PathBuf {
        self.root.join(&uid.0)
    }

    pub(crate) fn checkpoint(&self, uid: &PodUid) -> PathBuf {
        self.of(uid).join("pod.json")
    }

    pub(crate) fn volume(&self, uid: &PodUid, name: &str) -> PathBuf {
        self.of(uid).join("volumes").join(name)
    }

    /// Where single files that are mounted by `subPath` are gathered.
    pub(super) fn staging(&self, uid: &PodUid, container: &str, index: usize) -> PathBuf {
        self.of(uid).join("subpaths").join(container).join(index.to_string())
    }

    pub(crate) fn all(&self) -> Vec<PodUid> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok().map(PodUid)).collect()
    }

    pub(crate) fn remove(&self, uid: &PodUid) -> io::Result<()> {
        files::remove_dir(&self.of(uid))
    }
}

/// Brings the volume's directory to what it is to hold. Files are replaced one by one, each at once, within the same
/// directory: guests hold on to the directory itself.
pub(crate) fn materialize(dir: PathBuf, content: &VolumeContent) -> io::Result<MountedVolume> {
    match content {
        VolumeContent::EmptyDir => {
            fs::create_dir_all(&dir)?;
            Ok(MountedVolume { path: dir, read_only: false, writable_root: true })
        }
        VolumeContent::HostPath { path, create } => {
            if *create {
                fs::create_dir_all(path)?;
            }
            Ok(MountedVolume { path: path.clone(), read_only: false, writable_root: true })
        }
        VolumeContent::Files(wanted) => {
            files::create_private_dir(&dir)?;
            write(&dir, wanted)?;
            remove_others(&dir, wanted)?;
            Ok(MountedVolume { path: dir, read_only: true, writable_root: false })
        }
    }
}

fn write(dir: &Path, wanted: &BTreeMap<String, FileContent>) -> io::Result<()> {
    for (path, file) in wanted {
        let path = dir.join(path);
        let same = fs::read(&path).is_ok_and(|bytes| bytes == file.bytes) && has_mode(&path, file.mode);
        if !same {
            files::replace(&path, &file.bytes, file.mode)?;
        }
    }
    Ok(())
}

fn remove_others(dir: &Path, wanted: &BTreeMap<String, FileContent>) -> io::Result<()> {
    let kept: BTreeSet<PathBuf> =
        wanted.keys().flat_map(|path| dir.join(path).ancestors().map(Path::to_owned).collect::<Vec<_>>()).collect();
    remove_unless(dir, &kept)
}

fn remove_unless(dir: &Path, kept: &BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let (path, is_dir) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?.is_dir())))?;
        match (kept.contains(&path), is_dir) {
            (true, true) => remove_unless(&path, kept)?,
            (true, false) => (),
            (false, true) => files::remove_dir(&path)?,
            (false, false) => fs::remove_file(&path)?,
        }
    }
    Ok(())
}

#[cfg(unix)]
fn has_mode(path: &Path, mode: u32) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o777 == mode & 0o777)
}

#[cfg(not(unix))]
fn has_mode(_: &Path, _: u32) -> bool {
    true
}
