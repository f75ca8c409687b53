//! Local archives, which `ADD` unpacks.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use tar::EntryType;

use super::files::{DIRECTORY_MODE, FILES_MAX, Node, Tree};

/// Of everything in an archive.
const UNPACKED_BYTES_MAX: u64 = 8 << 30;
/// Up to where tar has its magic.
const HEAD_BYTES: usize = 512;

/// The files of an archive, unpacked below `scratch`; `None` when the file is none. What it is shows from its content,
/// not from its name, as with Docker.
pub(crate) fn unpack(path: &Path, scratch: &Path) -> Result<Option<Tree>, String> {
    let failed = |error: io::Error| format!("unpack {}: {error}", path.display());
    let mut file = File::open(path).map_err(failed)?;
    let head = head(&mut file).map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let file = BufReader::new(file);
    let unpacked = match head.as_slice() {
        head if is_tar(head) => read(file, scratch),
        [0x1f, 0x8b, ..] => inner(flate2::read::MultiGzDecoder::new(file), scratch),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(file);
            inner(decoder.map_err(|error| failed(io::Error::other(error.to_string())))?, scratch)
        }
        [b'B', b'Z', b'h', ..] | [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            let what = if head[0] == b'B' { "bzip2" } else { "xz" };
            return Err(format!(
                "{}: archives with {what} cannot be unpacked here; pack it with gzip or zstd, or COPY it as it is",
                path.display()
            ));
        }
        _ => return Ok(None),
    };
    unpacked.map_err(failed)
}

/// A compressed file is an archive when there is a tar in it; else it is copied as it is.
fn inner(mut content: impl Read, scratch: &Path) -> io::Result<Option<Tree>> {
    let mut head = Vec::new();
    content.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    if !is_tar(&head) {
        return Ok(None);
    }
    read(io::Cursor::new(head).chain(content), scratch)
}

fn head(file: &mut File) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok(head)
}

fn is_tar(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar".as_slice())
}

fn read(content: impl Read, scratch: &Path) -> io::Result<Option<Tree>> {
    let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    let mut archive = tar::Archive::new(content.take(2 * UNPACKED_BYTES_MAX));
    let (mut tree, mut bytes_left) = (Tree::default(), UNPACKED_BYTES_MAX);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.contains(&"..") || name.contains('\0') {
            return Err(invalid(format!("the entry {name:?} leads out of the archive")));
        }
        let path = parts.join("/");
        let node = match entry.header().entry_type() {
            EntryType::Directory => Node::Directory { mode: DIRECTORY_MODE },
            EntryType::Regular | EntryType::Continuous => {
                let size = entry.size();
                bytes_left = bytes_left
                    .checked_sub(size)
                    .ok_or_else(|| invalid(format!("it unpacks to more than {UNPACKED_BYTES_MAX} bytes")))?;
                let mode = if entry.header().mode()? & 0o111 == 0 { 0o644 } else { 0o755 };
                let file = tempfile::NamedTempFile::new_in(scratch)?;
                io::copy(&mut entry, &mut file.as_file())?;
                // The directory goes with the build.
                let (_, source) = file.keep().map_err(|error| error.error)?;
                Node::File { source, size, mode }
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default();
                Node::Link { target: String::from_utf8_lossy(&target).into_owned() }
            }
            EntryType::Link => {
                let target = entry.link_name_bytes().unwrap_or_default();
                let target = String::from_utf8_lossy(&target).into_owned();
                let known = super::files::follow(&tree, &target).map_err(invalid)?;
                let node = known.and_then(|path| super::files::Files::node(&tree, &path).ok().flatten());
                node.ok_or_else(|| {
                    invalid(format!("the hard link {name:?} leads to {target:?}, which is not before it"))
                })?
            }
            EntryType::XGlobalHeader => continue,
            other => {
                return Err(invalid(format!("the entry {name:?} is of a kind that images cannot have: {other:?}")));
            }
        };
        tree.insert(&path, node);
        if tree.len() > FILES_MAX {
            return Err(invalid(format!("it has more than {FILES_MAX} files")));
        }
    }
    Ok(Some(tree))
}
