//! Layers into a directory, trusting nothing that they say.

use std::fs::{self, File};
use std::io::{self, BufRead, Read};
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

use super::compression::Compression;

/// Of everything that an image unpacks to: a small tar can hold a great many zeros.
const UNPACKED_BYTES_MAX: u64 = 4 << 30;
const ENTRIES_MAX: usize = 200_000;
/// Of one long name or extended header. PATH_MAX is 4096.
const NAME_BYTES_MAX: u64 = 64 << 10;
const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// Why a layer was refused.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    #[error("the entry {0:?} lies outside the image's root")]
    Outside(String),
    #[error("the link {link:?} leads outside the image's root, to {target:?}")]
    LinkOutside { link: String, target: String },
    #[error("the entry {0:?} is neither a file, a directory nor a link")]
    Special(String),
    #[error("the image unpacks to more than {UNPACKED_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the image has more than {ENTRIES_MAX} files")]
    TooMany,
    #[error("the layer cannot be unpacked: {0}")]
    Io(#[from] io::Error),
}

/// Unpacks the layers of one image over each other; the limits hold for all of them together.
pub(super) struct Unpacker {
    root: PathBuf,
    bytes_left: u64,
    entries_left: usize,
}

/// What the extended headers before an entry say about it.
#[derive(Default)]
struct Extended {
    path: Option<String>,
    link: Option<String>,
}

impl Unpacker {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), bytes_left: UNPACKED_BYTES_MAX, entries_left: ENTRIES_MAX }
    }

    pub(super) fn unpack(&mut self, layer: impl BufRead, compression: Compression) -> Result<(), LayerError> {
        self.unpack_tar(compression.reader(layer))
    }

    /// Raw entries: the tar crate would read a name of any length into memory.
    fn unpack_tar(&mut self, layer: impl Read) -> Result<(), LayerError> {
        // Headers and padding count too, or a layer of nothing but headers would be free.
        let mut archive = tar::Archive::new(layer.take(2 * UNPACKED_BYTES_MAX));
        let mut extended = Extended::default();
        for entry in archive.entries()?.raw(true) {
            let mut entry = entry?;
            self.entries_left = self.entries_left.checked_sub(1).ok_or(LayerError::TooMany)?;
            match entry.header().entry_type() {
                EntryType::GNULongName => extended.path = Some(read_name(&mut entry)?),
                EntryType::GNULongLink => extended.link = Some(read_name(&mut entry)?),
                EntryType::XHeader => extended.read_pax(&mut entry)?,
                EntryType::XGlobalHeader => {}
                _ => self.unpack_entry(&mut entry, std::mem::take(&mut extended))?,
            }
        }
        Ok(())
    }

    fn unpack_entry(&mut self, entry: &mut tar::Entry<impl Read>, extended: Extended) -> Result<(), LayerError> {
        let header_path = || String::from_utf8_lossy(&entry.header().path_bytes()).into_owned();
        let name = extended.path.clone().unwrap_or_else(header_path);
        let header_link = entry.header().link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned());
        let target = extended.link.or(header_link).unwrap_or_default();
        let relative = inside(&name).ok_or_else(|| LayerError::Outside(name.clone()))?;
        let Some(file_name) = relative.file_name().and_then(|name| name.to_str()) else { return Ok(()) };
        if file_name == OPAQUE {
            return self.clear(relative.parent().unwrap_or(Path::new("")), &name);
        }
        if let Some(hidden) = file_name.strip_prefix(WHITEOUT) {
            let hidden = inside(hidden).filter(|path| path.file_name().is_some());
            let hidden = hidden.ok_or_else(|| LayerError::Outside(name.clone()))?;
            return Ok(remove(&self.place(&relative.with_file_name(hidden), &name)?)?);
        }
        let path = self.place(&relative, &name)?;
        match entry.header().entry_type() {
            EntryType::Directory => {
                if !fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
                    remove(&path)?;
                    fs::create_dir_all(&path)?;
                }
                Ok(())
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => self.unpack_file(entry, &path),
            EntryType::Symlink => self.unpack_symlink(&relative, &path, name, target),
            EntryType::Link => {
                let outside = || LayerError::LinkOutside { link: name.clone(), target: target.clone() };
                let source = self.place(&inside(&target).ok_or_else(outside)?, &target)?;
                if !fs::symlink_metadata(&source).is_ok_and(|metadata| metadata.is_file()) {
                    return Err(outside());
                }
                if source != path {
                    remove(&path)?;
                    fs::hard_link(source, path)?;
                }
                Ok(())
            }
            _ => Err(LayerError::Special(name)),
        }
    }

    fn unpack_file(&mut self, entry: &mut tar::Entry<impl Read>, path: &Path) -> Result<(), LayerError> {
        let size = entry.header().size()?;
        self.bytes_left = self.bytes_left.checked_sub(size).ok_or(LayerError::TooLarge)?;
        remove(path)?;
        let mut file = File::options().create_new(true).write(true).open(path)?;
        let copied = io::copy(&mut entry.take(size), &mut file)?;
        if copied < size {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(())
    }

    /// A link may lead anywhere inside, from where it lies.
    fn unpack_symlink(&self, relative: &Path, path: &Path, link: String, target: String) -> Result<(), LayerError> {
        let mut depth = relative.components().count() as i64 - 1;
        let stays = Path::new(&target).components().all(|step| match step {
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
        if !stays || target.is_empty() {
            return Err(LayerError::LinkOutside { link, target });
        }
        remove(path)?;
        Ok(symlink(Path::new(&target), path)?)
    }

    /// Where an entry goes. No directory on the way may be a link: what it leads to is not known to be inside once
    /// several links come together.
    fn place(&self, relative: &Path, name: &str) -> Result<PathBuf, LayerError> {
        let mut path = self.root.clone();
        let parent = relative.parent().unwrap_or(Path::new(""));
        for step in parent.components() {
            path.push(step);
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) => return Err(LayerError::Outside(name.to_owned())),
                Err(_) => fs::create_dir(&path)?,
            }
        }
        Ok(self.root.join(relative))
    }

    fn clear(&self, relative: &Path, name: &str) -> Result<(), LayerError> {
        let directory = self.place(&relative.join(OPAQUE), name)?;
        for entry in fs::read_dir(directory.parent().unwrap_or(&self.root))? {
            remove(&entry?.path())?;
        }
        Ok(())
    }
}

impl Extended {
    /// Lines of `<length> <key>=<value>`; only names matter.
    fn read_pax(&mut self, entry: &mut impl Read) -> Result<(), LayerError> {
        let content = read_name(entry)?;
        for line in content.split('\n') {
            let pair = line.split_once(' ').and_then(|(_, pair)| pair.split_once('='));
            match pair {
                Some(("path", value)) => self.path = Some(value.to_owned()),
                Some(("linkpath", value)) => self.link = Some(value.to_owned()),
                _ => {}
            }
        }
        Ok(())
    }
}

fn read_name(entry: &mut impl Read) -> Result<String, LayerError> {
    let mut bytes = Vec::new();
    entry.take(NAME_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > NAME_BYTES_MAX {
        return Err(LayerError::Outside("a name longer than any path".to_owned()));
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(text.trim_end_matches('\0').to_owned())
}

/// The path below the root that an entry means; `None` when it means one outside.
pub(super) fn inside(name: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for step in Path::new(name).components() {
        match step {
            Component::Normal(part) => path.push(part),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    (!name.contains('\0')).then_some(path)
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

/// A directory must be there already to be linked as one.
#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    let is_dir = link.parent().is_some_and(|parent| parent.join(target).is_dir());
    if is_dir {
        std::os::windows::fs::symlink_dir(target, link)
    } else {
        std::os::windows::fs::symlink_file(target, link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Layer(tar::Builder<Vec<u8>>);

    impl Layer {
        fn new() -> Self {
            Self(tar::Builder::new(Vec::new()))
        }

        /// Past the builder's own checks, which would refuse the paths that are to be tried.
        fn entry(mut self, kind: EntryType, name: &str, target: &str, content: &[u8]) -> Self {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
            header.set_cksum();
            self.0.append(&header, content).unwrap();
            self
        }

        fn file(self, name: &str, content: &str) -> Self {
            self.entry(EntryType::Regular, name, "", content.as_bytes())
        }

        fn symlink(self, name: &str, target: &str) -> Self {
            self.entry(EntryType::Symlink, name, target, b"")
        }

        fn unpack(self, root: &Path) -> Result<(), LayerError> {
            let mut unpacker = Unpacker { root: root.to_owned(), bytes_left: 100, entries_left: 10 };
            unpacker.unpack(self.0.into_inner().unwrap().as_slice(), Compression::None)
        }
    }

    /// A root with a file beside it that no layer may touch.
    fn root() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(dir.path().join("beside"), "safe").unwrap();
        (dir, root)
    }

    #[track_caller]
    fn check_refused(layer: Layer) {
        let (dir, root) = root();
        layer.unpack(&root).unwrap_err();
        assert_eq!(fs::read_to_string(dir.path().join("beside")).unwrap(), "safe");
        let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["beside", "root"]);
    }

    #[test]
    fn files_land_below_the_root() {
        let (_dir, root) = root();
        let layer = Layer::new().file("a/b.txt", "hi").file("/c.txt", "ho").symlink("a/link", "../c.txt");
        layer.entry(EntryType::Link, "hard", "c.txt", b"").unpack(&root).unwrap();
        assert_eq!(fs::read_to_string(root.join("a/b.txt")).unwrap(), "hi");
        assert_eq!(fs::read_to_string(root.join("a/link")).unwrap(), "ho");
        assert_eq!(fs::read_to_string(root.join("hard")).unwrap(), "ho");
    }

    #[test]
    fn nothing_leads_out_of_the_root() {
        check_refused(Layer::new().file("../beside", "x"));
        check_refused(Layer::new().file("a/../../beside", "x"));
        check_refused(Layer::new().symlink("link", "../beside"));
        check_refused(Layer::new().symlink("link", "/etc/passwd"));
        check_refused(Layer::new().symlink("up", ".").symlink("up/link", "../beside").file("up/link", "x"));
        check_refused(Layer::new().entry(EntryType::Link, "hard", "../beside", b""));
        check_refused(Layer::new().entry(EntryType::Fifo, "pipe", "", b""));
    }

    /// `.wh.` before `..` once deleted the directory that the root lies in.
    #[test]
    fn white_outs_cannot_delete_outside_the_root() {
        check_refused(Layer::new().file(".wh...", ""));
        check_refused(Layer::new().symlink("a", "b").file("a/.wh.x", ""));
        let (dir, root) = root();
        Layer::new().file("keep", "x").unpack(&root).unwrap();
        Layer::new().file(".wh..", "").unpack(&root).unwrap_err();
        assert!(root.join("keep").exists() && dir.path().join("beside").exists());
    }

    #[test]
    fn white_outs_delete_what_earlier_layers_had() {
        let (_dir, root) = root();
        Layer::new().file("a", "1").file("d/b", "2").file("d/c", "3").unpack(&root).unwrap();
        Layer::new().file(".wh.a", "").unpack(&root).unwrap();
        assert!(!root.join("a").exists() && root.join("d/b").exists());
        Layer::new().file("d/.wh..wh..opq", "").file("d/new", "4").unpack(&root).unwrap();
        assert!(!root.join("d/b").exists() && !root.join("d/c").exists() && root.join("d/new").exists());
    }

    #[test]
    fn a_later_layer_replaces_files_by_directories_and_back() {
        let (_dir, root) = root();
        Layer::new().file("a", "1").file("b/c", "2").unpack(&root).unwrap();
        Layer::new().entry(EntryType::Directory, "a", "", b"").file("b", "3").unpack(&root).unwrap();
        assert!(root.join("a").is_dir() && root.join("b").is_file());
    }

    #[test]
    fn bombs_are_refused() {
        let (_dir, root) = root();
        let large = Layer::new().entry(EntryType::Regular, "big", "", &[0; 101]).unpack(&root);
        assert!(matches!(large, Err(LayerError::TooLarge)));
        let many = (0..11).fold(Layer::new(), |layer, n| layer.file(&format!("f{n}"), ""));
        assert!(matches!(many.unpack(&root), Err(LayerError::TooMany)));
        let name = vec![b'x'; NAME_BYTES_MAX as usize + 1];
        let long = Layer::new().entry(EntryType::GNULongName, "././@LongLink", "", &name);
        assert!(matches!(long.unpack(&root), Err(LayerError::Outside(_))));
    }

    #[test]
    fn long_names_are_kept() {
        let (_dir, root) = root();
        let name = format!("{}/{}", "d".repeat(90), "f".repeat(90));
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        builder.append_data(&mut header, &name, &b"hi"[..]).unwrap();
        Layer(builder).unpack(&root).unwrap();
        assert_eq!(fs::read_to_string(root.join(name)).unwrap(), "hi");
    }
}
