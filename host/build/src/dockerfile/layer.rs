//! Files as one layer, the same bytes for the same files: in order, with fixed times and owners.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::rc::Rc;

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};
use tempfile::TempPath;

use super::error::{DockerfileError, io_error};
use super::files::Node;

/// A layer that this build made: a tar with gzip.
#[derive(Clone, Debug)]
pub struct NewLayer {
    pub file: Rc<TempPath>,
    /// `sha256:…` of the tar.
    pub diff_id: String,
}

/// Writes the layer below `scratch`. `mtime` is in seconds since 1970.
pub(crate) fn write(entries: &[(String, Node)], mtime: u64, scratch: &Path) -> Result<NewLayer, DockerfileError> {
    let file = tempfile::NamedTempFile::new_in(scratch).map_err(io_error("write below", scratch))?;
    let (file, path) = file.into_parts();
    let mut sorted: Vec<&(String, Node)> = entries.iter().collect();
    // The last of several with one name is the one that stays.
    sorted.sort_by(|one, other| one.0.cmp(&other.0));
    let gzip = GzEncoder::new(BufWriter::new(file), Compression::default());
    let mut tar = tar::Builder::new(Hashed { inner: gzip, hasher: Sha256::new() });
    tar.mode(tar::HeaderMode::Deterministic);
    for (index, (name, node)) in sorted.iter().enumerate() {
        if sorted.get(index + 1).is_none_or(|next| next.0 != *name) {
            append(&mut tar, name, node, mtime)?;
        }
    }
    let finish = || -> io::Result<String> {
        let Hashed { inner, hasher } = tar.into_inner()?;
        inner.finish()?.flush()?;
        Ok(format!("sha256:{}", hex::encode(hasher.finalize())))
    };
    let diff_id = finish().map_err(io_error("write", &path))?;
    Ok(NewLayer { file: Rc::new(path), diff_id })
}

fn append(tar: &mut tar::Builder<impl Write>, name: &str, node: &Node, mtime: u64) -> Result<(), DockerfileError> {
    let mut header = Header::new_gnu();
    header.set_mtime(mtime);
    header.set_uid(0);
    header.set_gid(0);
    match node {
        Node::Directory { mode } => {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(*mode);
            header.set_size(0);
            tar.append_data(&mut header, format!("{name}/"), io::empty())
        }
        Node::Link { target } => {
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
            header.set_size(0);
            tar.append_link(&mut header, name, target)
        }
        Node::File { source, mode, .. } => {
            let file = File::open(source).map_err(io_error("read", source))?;
            // As it is now: it may have grown since it was looked at.
            let size = file.metadata().map_err(io_error("read", source))?.len();
            header.set_entry_type(EntryType::Regular);
            header.set_mode(*mode);
            header.set_size(size);
            return tar.append_data(&mut header, name, io::Read::take(file, size)).map_err(io_error("pack", source));
        }
    }
    .map_err(io_error("pack", Path::new(name)))
}

struct Hashed<W> {
    inner: W,
    hasher: Sha256,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
