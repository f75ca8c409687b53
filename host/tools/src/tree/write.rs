use std::io;
use std::path::{Component, Path};

use cap_std::fs::{File, OpenOptions};

use super::{Kind, Place, Tree};
use crate::path::GuestPath;

/// Changes. Each is refused where the mount is read-only.
impl Tree {
    /// A new file in the place of whatever file or link was there.
    pub fn replace(&self, path: &GuestPath) -> io::Result<File> {
        let place = self.writable(path)?;
        match place.mount.dir.remove_file(&place.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        place.mount.dir.open_with(place.path, OpenOptions::new().write(true).create_new(true))
    }

    pub fn create_directory(&self, path: &GuestPath) -> io::Result<()> {
        if self.link_details(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let place = self.writable(path)?;
        place.mount.dir.create_dir(place.path)
    }

    /// With all that are missing above it; one that is there is no error.
    pub fn create_directories(&self, path: &GuestPath) -> io::Result<()> {
        match self.details(path) {
            Ok(details) if details.kind == Kind::Directory => return Ok(()),
            Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => {}
        }
        let place = self.writable(path)?;
        place.mount.dir.create_dir_all(place.path)
    }

    /// A file or a link.
    pub fn remove_file(&self, path: &GuestPath) -> io::Result<()> {
        let place = self.writable(path)?;
        place.mount.dir.remove_file(place.path)
    }

    /// An empty directory; a mount point stays.
    pub fn remove_directory(&self, path: &GuestPath) -> io::Result<()> {
        let place = self.writable(path)?;
        if place.mount.at == *path || !self.mount_points_in(path).is_empty() {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        place.mount.dir.remove_dir(place.path)
    }

    /// Permission bits, of which the owner keeps what the node itself needs: guests know no permissions.
    pub fn set_mode(&self, path: &GuestPath, mode: u32) -> io::Result<()> {
        let place = self.writable(path)?;
        set_mode(&place, mode & 0o777 | 0o600)
    }

    /// A link that stays within its mount. One that leads out would be refused whenever a guest follows it.
    pub fn link(&self, path: &GuestPath, target: &Path) -> io::Result<()> {
        let place = self.writable(path)?;
        if !stays_inside(&place.path, target) {
            return Err(io::Error::other(format!("a link to {} leads outside", target.display())));
        }
        symlink(&place, target)
    }

    /// A second name of a file of the same mount.
    pub fn hard_link(&self, path: &GuestPath, existing: &GuestPath) -> io::Result<()> {
        let (place, source) = (self.writable(path)?, self.writable(existing)?);
        if place.mount.at != source.mount.at {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        if self.link_details(existing)?.kind != Kind::File {
            return Err(io::Error::other("not a regular file"));
        }
        source.mount.dir.hard_link(source.path, &place.mount.dir, place.path)
    }

    /// Whether changes are allowed there.
    pub fn is_writable(&self, path: &GuestPath) -> bool {
        self.writable(path).is_ok()
    }

    fn writable(&self, path: &GuestPath) -> io::Result<Place<'_>> {
        match self.place(path) {
            Ok(place) if place.mount.read_only => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            // Nothing is mounted there: what lies above the mounts is nobody's to change.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            place => place,
        }
    }
}

/// Whether a link at `path` leads to somewhere below the root that both are in, by its text.
fn stays_inside(path: &Path, target: &Path) -> bool {
    let mut depth = path.components().filter(|step| matches!(step, Component::Normal(_))).count() as i64 - 1;
    let stays = target.components().all(|step| match step {
        Component::Normal(_) => {
            depth += 1;
            true
        }
        Component::ParentDir => {
            depth -= 1;
            depth >= 0
        }
        Component::CurDir => true,
        Component::RootDir | Component::Prefix(_) => false,
    });
    stays && !target.as_os_str().is_empty()
}

#[cfg(unix)]
fn symlink(place: &Place<'_>, target: &Path) -> io::Result<()> {
    place.mount.dir.symlink(target, &place.path)
}

#[cfg(not(unix))]
fn symlink(_: &Place<'_>, _: &Path) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this node's system has no links for guests"))
}

#[cfg(unix)]
fn set_mode(place: &Place<'_>, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let permissions = std::fs::Permissions::from_mode(mode);
    place.mount.dir.set_permissions(&place.path, cap_std::fs::Permissions::from_std(permissions))
}

#[cfg(not(unix))]
fn set_mode(_: &Place<'_>, _: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_in_their_mount() {
        for (link, target, stays) in [
            ("a", "b", true),
            ("a/b", "../c", true),
            ("a", "../c", false),
            ("a/b", "../../c", false),
            ("a/b", "../c/../../d", false),
            ("a", "/etc/passwd", false),
            ("a", "", false),
        ] {
            assert_eq!(stays_inside(Path::new(link), Path::new(target)), stays, "{link} -> {target}");
        }
    }
}
