use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use tar::{Archive, Entry, EntryType};

use super::options::Options;
use crate::path::GuestPath;
use crate::tool::Call;
use crate::tree::Tree;
use crate::words::words;

/// Of one long name or extended header; the tar crate by itself would read any length into memory. PATH_MAX is 4096.
const NAME_BYTES_MAX: u64 = 64 << 10;

/// Reads the archive from stdin. False if something was left out.
pub(super) fn extract(call: &mut Call<'_>, options: &Options) -> io::Result<bool> {
    let directory = call.working_dir.join(&options.directory);
    let mut unpacker = Unpacker { tree: call.tree, options, directory, extended: Extended::default() };
    let mut clean = true;
    let mut archive = Archive::new(&mut *call.stdin);
    // Raw entries, for the sake of the names' bound.
    for entry in archive.entries()?.raw(true) {
        if (call.is_cancelled)() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let unpacked = match entry {
            Ok(mut entry) => unpacker.take(&mut entry),
            Err(error) => Err(Fault::Archive(error)),
        };
        match unpacked {
            Ok(Some(name)) if options.verbose => writeln!(call.stdout, "{name}")?,
            Ok(_) => {}
            Err(Fault::Member(text)) => {
                clean = false;
                writeln!(call.stderr, "tar: {text}")?;
            }
            Err(Fault::Archive(error)) => {
                writeln!(call.stderr, "tar: {}", words(&error))?;
                return Ok(false);
            }
        }
    }
    // Writers fill their last block: they would see a broken pipe.
    io::copy(archive.into_inner(), &mut io::sink())?;
    Ok(clean)
}

enum Fault {
    /// This member was left out.
    Member(String),
    /// The archive cannot be read on.
    Archive(io::Error),
}

struct Unpacker<'a> {
    tree: &'a Tree,
    options: &'a Options,
    directory: GuestPath,
    extended: Extended,
}

/// What the extended headers before an entry say about it.
#[derive(Default)]
struct Extended {
    name: Option<String>,
    link: Option<String>,
}

impl Unpacker<'_> {
    /// Answers the name of the member that was unpacked.
    fn take(&mut self, entry: &mut Entry<'_, impl Read>) -> Result<Option<String>, Fault> {
        match entry.header().entry_type() {
            EntryType::GNULongName => self.extended.name = Some(read_text(entry)?),
            EntryType::GNULongLink => self.extended.link = Some(read_text(entry)?),
            EntryType::XHeader => self.extended.read_pax(entry)?,
            EntryType::XGlobalHeader => {}
            _ => return self.unpack(entry),
        }
        Ok(None)
    }

    fn unpack(&mut self, entry: &mut Entry<'_, impl Read>) -> Result<Option<String>, Fault> {
        let extended = std::mem::take(&mut self.extended);
        let header = entry.header();
        let name = extended.name.unwrap_or_else(|| String::from_utf8_lossy(&header.path_bytes()).into_owned());
        let link = header.link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned());
        let link = extended.link.or(link).unwrap_or_default();
        if !self.is_wanted(&name) {
            return Ok(None);
        }
        let path = self.path(&name)?;
        let failed = |error: io::Error| Fault::Member(format!("{name}: Cannot open: {}", words(&error)));
        if path == self.directory {
            return Ok(None);
        }
        let kind = header.entry_type();
        if !kind.is_dir() {
            self.tree.create_directories(&path.parent()).map_err(failed)?;
        }
        match kind {
            EntryType::Directory => self.tree.create_directories(&path).map_err(failed)?,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                self.unpack_file(entry, &path, &name)?
            }
            EntryType::Symlink => {
                self.make_way(&path).and_then(|()| self.tree.link(&path, Path::new(&link))).map_err(failed)?
            }
            EntryType::Link => {
                let existing = self.path(&link)?;
                let linked = self.make_way(&path).and_then(|()| self.tree.hard_link(&path, &existing));
                linked.map_err(failed)?;
            }
            _ => return Err(Fault::Member(format!("{name}: neither a file, a directory nor a link; not extracted"))),
        }
        Ok(Some(name))
    }

    fn unpack_file(&self, entry: &mut Entry<'_, impl Read>, path: &GuestPath, name: &str) -> Result<(), Fault> {
        let failed = |what: &str, error: &io::Error| Fault::Member(format!("{name}: {what}: {}", words(error)));
        let header = entry.header();
        let (size, mode) = (header.size().map_err(Fault::Archive)?, header.mode().unwrap_or(0o644));
        let modified = header.mtime().ok().and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        let mut file = self.tree.replace(path).map_err(|error| failed("Cannot open", &error))?;
        copy(&mut entry.take(size), size, &mut file, |error| failed("Cannot write", &error))?;
        if let Some(time) = modified.filter(|_| !self.options.touch) {
            file.into_std().set_modified(time).map_err(|error| failed("Cannot utime", &error))?;
        }
        let mode = if self.options.plain_permissions { mode & !0o022 } else { mode };
        self.tree.set_mode(path, mode).map_err(|error| failed("Cannot change mode", &error))
    }

    /// A link takes the place of what was there.
    fn make_way(&self, path: &GuestPath) -> io::Result<()> {
        match self.tree.remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Where a name leads. One that climbs is left out, as GNU tar does.
    fn path(&self, name: &str) -> Result<GuestPath, Fault> {
        if name.split('/').any(|step| step == "..") {
            return Err(Fault::Member(format!("{name}: Member name contains '..'")));
        }
        if name.contains('\0') {
            return Err(Fault::Member(format!("{name:?}: no path has such a name")));
        }
        Ok(self.directory.join(name.trim_start_matches('/')))
    }

    fn is_wanted(&self, name: &str) -> bool {
        let plain = |name: &str| GuestPath::new(name);
        let members = &self.options.members;
        members.is_empty() || members.iter().any(|member| plain(name).below(&plain(&member.name)).is_some())
    }
}

/// Exactly `size` bytes; an error of the archive is told from one of the file.
fn copy(
    from: &mut impl Read,
    size: u64,
    to: &mut impl Write,
    failed: impl Fn(io::Error) -> Fault,
) -> Result<(), Fault> {
    let mut buffer = vec![0; 64 << 10];
    let mut left = size;
    while left > 0 {
        match from.read(&mut buffer).map_err(Fault::Archive)? {
            0 => return Err(Fault::Archive(io::Error::other("Unexpected EOF in archive"))),
            read => {
                to.write_all(&buffer[..read]).map_err(&failed)?;
                left -= read as u64;
            }
        }
    }
    Ok(())
}

impl Extended {
    /// Lines of `<length> <key>=<value>`; only names matter.
    fn read_pax(&mut self, entry: &mut impl Read) -> Result<(), Fault> {
        for line in read_text(entry)?.split('\n') {
            match line.split_once(' ').and_then(|(_, pair)| pair.split_once('=')) {
                Some(("path", value)) => self.name = Some(value.to_owned()),
                Some(("linkpath", value)) => self.link = Some(value.to_owned()),
                _ => {}
            }
        }
        Ok(())
    }
}

fn read_text(entry: &mut impl Read) -> Result<String, Fault> {
    let mut bytes = Vec::new();
    entry.take(NAME_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(Fault::Archive)?;
    if bytes.len() as u64 > NAME_BYTES_MAX {
        return Err(Fault::Archive(io::Error::other("a name longer than any path")));
    }
    Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned())
}
