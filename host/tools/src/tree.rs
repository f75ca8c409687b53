//! The container's file system: its mounts, put together.

mod write;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, Metadata};

use crate::path::{GuestPath, relative};

/// Names that are read of one directory; they are sorted in memory.
const DIRECTORY_ENTRIES_MAX: usize = 100_000;

/// A directory of the host at a path of the guest.
#[derive(Clone, Copy, Debug)]
pub struct Mount<'a> {
    pub host: &'a Path,
    pub guest: &'a str,
    pub read_only: bool,
}

/// The mounts of one container.
pub struct Tree {
    /// The deepest first.
    mounts: Vec<Mounted>,
}

struct Mounted {
    at: GuestPath,
    dir: Dir,
    read_only: bool,
}

/// What is known of a file without reading it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Details {
    pub kind: Kind,
    pub bytes: u64,
    /// Permission bits.
    pub mode: u32,
    pub modified: SystemTime,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    File,
    Directory,
    Link,
    /// A device, a socket or a pipe of the host's: never opened.
    Other,
}

/// A path within one mount.
struct Place<'a> {
    mount: &'a Mounted,
    path: PathBuf,
}

impl Tree {
    /// Opens the mounts' directories, as starting the guest does.
    pub fn open<'a>(mounts: impl IntoIterator<Item = Mount<'a>>) -> io::Result<Self> {
        let open = |mount: Mount<'_>| {
            let dir = Dir::open_ambient_dir(mount.host, ambient_authority())?;
            Ok(Mounted { at: GuestPath::new(mount.guest), dir, read_only: mount.read_only })
        };
        let mut mounts = mounts.into_iter().map(open).collect::<io::Result<Vec<_>>>()?;
        mounts.sort_by_key(|mount| std::cmp::Reverse(mount.at.depth()));
        Ok(Self { mounts })
    }

    /// Opens a file for reading; links are followed within their mount.
    pub fn read(&self, path: &GuestPath) -> io::Result<File> {
        match self.details(path)?.kind {
            Kind::File => {}
            Kind::Directory => return Err(io::ErrorKind::IsADirectory.into()),
            // Opening a pipe would wait for its other end, for ever.
            Kind::Link | Kind::Other => return Err(io::Error::other("not a regular file")),
        }
        let place = self.place(path)?;
        place.mount.dir.open(place.path)
    }

    /// What a path leads to.
    pub fn details(&self, path: &GuestPath) -> io::Result<Details> {
        self.look(path, |place| place.mount.dir.metadata(&place.path))
    }

    /// What lies at a path: a link is one.
    pub fn link_details(&self, path: &GuestPath) -> io::Result<Details> {
        self.look(path, |place| place.mount.dir.symlink_metadata(&place.path))
    }

    /// The text of a link.
    pub fn link_target(&self, path: &GuestPath) -> io::Result<PathBuf> {
        let place = self.place(path)?;
        place.mount.dir.read_link_contents(place.path)
    }

    /// The names in a directory, those of mounts among them, in order.
    pub fn list(&self, path: &GuestPath) -> io::Result<Vec<OsString>> {
        let mut names = self.mount_points_in(path);
        match self.names(path) {
            Ok(found) => names.extend(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !names.is_empty() => {}
            Err(error) => return Err(error),
        }
        Ok(names.into_iter().collect())
    }

    fn names(&self, path: &GuestPath) -> io::Result<Vec<OsString>> {
        let place = self.place(path)?;
        let entries = place.mount.dir.read_dir(place.path)?.take(DIRECTORY_ENTRIES_MAX + 1);
        let names = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        if names.len() > DIRECTORY_ENTRIES_MAX {
            return Err(io::Error::other(format!("more than {DIRECTORY_ENTRIES_MAX} entries")));
        }
        Ok(names)
    }

    fn look(&self, path: &GuestPath, metadata: impl Fn(&Place<'_>) -> io::Result<Metadata>) -> io::Result<Details> {
        match self.place(path).and_then(|place| metadata(&place)) {
            // The way to a mount is there even where no image has it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.mount_points_in(path).is_empty() => {
                Ok(Details { kind: Kind::Directory, bytes: 0, mode: 0o555, modified: SystemTime::UNIX_EPOCH })
            }
            found => Ok(details(&found?)),
        }
    }

    /// The next names on the way to mounts below.
    fn mount_points_in(&self, path: &GuestPath) -> BTreeSet<OsString> {
        self.mounts.iter().filter_map(|mount| mount.at.below(path)?.first().cloned()).collect()
    }

    /// The mount that a path belongs to, by its text.
    fn place(&self, path: &GuestPath) -> io::Result<Place<'_>> {
        let mut mounts = self.mounts.iter();
        let found = mounts.find_map(|mount| Some((mount, path.below(&mount.at)?)));
        let (mount, names) = found.ok_or(io::ErrorKind::NotFound)?;
        Ok(Place { mount, path: relative(names) })
    }
}

fn details(metadata: &Metadata) -> Details {
    let file_type = metadata.file_type();
    let kind = match () {
        () if file_type.is_symlink() => Kind::Link,
        () if file_type.is_dir() => Kind::Directory,
        () if file_type.is_file() => Kind::File,
        () => Kind::Other,
    };
    let modified = metadata.modified().map_or(SystemTime::UNIX_EPOCH, |time| time.into_std());
    Details { kind, bytes: metadata.len(), mode: mode(metadata, kind), modified }
}

#[cfg(unix)]
fn mode(metadata: &Metadata, _: Kind) -> u32 {
    use cap_std::fs::MetadataExt;
    metadata.mode() & 0o777
}

#[cfg(not(unix))]
fn mode(_: &Metadata, kind: Kind) -> u32 {
    if kind == Kind::Directory { 0o755 } else { 0o644 }
}
