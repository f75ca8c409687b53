use std::io::{self, BufWriter, Read, Write};
use std::time::UNIX_EPOCH;

use tar::{Builder, EntryType, Header};

use super::options::{Member, Options};
use crate::path::GuestPath;
use crate::tool::Call;
use crate::tree::{Details, Kind, Tree};
use crate::words::words;

/// So that small files do not cross the pipe in crumbs.
const BUFFER_BYTES: usize = 64 << 10;

/// Something to pack: where it is, and what the archive calls it.
struct Item {
    path: GuestPath,
    name: String,
}

/// Writes the archive to stdout. False if something was left out.
pub(super) fn create(call: &mut Call<'_>, options: &Options) -> io::Result<bool> {
    let Call { tree, stdout, stderr, is_cancelled, working_dir, .. } = call;
    let (stdout, stderr): (&mut dyn Write, &mut dyn Write) = (&mut **stdout, &mut **stderr);
    let archive = Builder::new(BufWriter::with_capacity(BUFFER_BYTES, stdout));
    let mut packer = Packer { tree, archive, stderr, verbose: options.verbose, clean: true };
    for member in &options.members {
        let mut waiting = vec![packer.member(working_dir, member)?];
        // Without recursion: a guest decides how deep its directories are.
        while let Some(item) = waiting.pop() {
            if is_cancelled() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            packer.pack(item, &mut waiting)?;
        }
    }
    packer.archive.into_inner()?.flush()?;
    Ok(packer.clean)
}

struct Packer<'a> {
    tree: &'a Tree,
    archive: Builder<BufWriter<&'a mut dyn Write>>,
    stderr: &'a mut dyn Write,
    verbose: bool,
    clean: bool,
}

impl Packer<'_> {
    /// Archives hold relative names, without what leads up.
    fn member(&mut self, working_dir: &GuestPath, member: &Member) -> io::Result<Item> {
        let path = working_dir.join(&member.directory).join(&member.name);
        let kept = member.name.rfind("../").map_or(member.name.as_str(), |at| &member.name[at + 3..]);
        let kept = if kept == ".." { "" } else { kept };
        let name = kept.trim_start_matches('/');
        let removed = &member.name[..member.name.len() - name.len()];
        if !removed.is_empty() {
            writeln!(self.stderr, "tar: Removing leading `{removed}' from member names")?;
        }
        let name = name.trim_end_matches('/');
        Ok(Item { path, name: if name.is_empty() { "." } else { name }.to_owned() })
    }

    fn pack(&mut self, item: Item, waiting: &mut Vec<Item>) -> io::Result<()> {
        let details = match self.tree.link_details(&item.path) {
            Ok(details) => details,
            Err(error) => return self.leave_out(&item, "Cannot stat", &error),
        };
        if self.verbose {
            writeln!(self.stderr, "{}", item.name)?;
        }
        match details.kind {
            Kind::Directory => self.pack_directory(item, &details, waiting),
            Kind::File => self.pack_file(&item, &details),
            Kind::Link => self.pack_link(&item, &details),
            Kind::Other => {
                self.clean = false;
                writeln!(self.stderr, "tar: {}: not a regular file; not archived", item.name)
            }
        }
    }

    fn pack_directory(&mut self, item: Item, details: &Details, waiting: &mut Vec<Item>) -> io::Result<()> {
        let mut header = header(EntryType::Directory, details, 0);
        self.archive.append_data(&mut header, format!("{}/", item.name), io::empty())?;
        let names = match self.tree.list(&item.path) {
            Ok(names) => names,
            Err(error) => return self.leave_out(&item, "Cannot open", &error),
        };
        waiting.extend(names.iter().rev().map(|name| Item {
            path: item.path.child(name),
            name: format!("{}/{}", item.name, name.to_string_lossy()),
        }));
        Ok(())
    }

    fn pack_file(&mut self, item: &Item, details: &Details) -> io::Result<()> {
        let file = match self.tree.read(&item.path) {
            Ok(file) => file,
            Err(error) => return self.leave_out(item, "Cannot open", &error),
        };
        let mut header = header(EntryType::Regular, details, details.bytes);
        // The header has promised a size: a file that grows is cut, one that shrinks or breaks is filled up.
        let mut content = Content { file, broke: None };
        let exact = (&mut content).chain(io::repeat(0)).take(details.bytes);
        self.archive.append_data(&mut header, &item.name, exact)?;
        match content.broke {
            Some(error) => self.leave_out(item, "Read error", &error),
            None => Ok(()),
        }
    }

    fn pack_link(&mut self, item: &Item, details: &Details) -> io::Result<()> {
        match self.tree.link_target(&item.path) {
            Ok(target) => self.archive.append_link(&mut header(EntryType::Symlink, details, 0), &item.name, target),
            Err(error) => self.leave_out(item, "Cannot readlink", &error),
        }
    }

    fn leave_out(&mut self, item: &Item, what: &str, error: &io::Error) -> io::Result<()> {
        self.clean = false;
        writeln!(self.stderr, "tar: {}: {what}: {}", item.name, words(error))
    }
}

fn header(kind: EntryType, details: &Details, size: u64) -> Header {
    let mut header = Header::new_gnu();
    let modified = details.modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    header.set_entry_type(kind);
    header.set_mode(details.mode);
    header.set_mtime(modified);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// A file whose errors are kept apart from those of the archive.
struct Content<R> {
    file: R,
    broke: Option<io::Error>,
}

impl<R: Read> Read for Content<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer).or_else(|error| {
            self.broke = Some(error);
            Ok(0)
        })
    }
}
