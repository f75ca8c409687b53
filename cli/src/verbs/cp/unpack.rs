use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tar::{Archive, EntryType};

/// Unpacks what is at `prefix` of the archive to `target`. The archive comes from a container, which may be anybody's:
/// nothing is written outside of `target`, and links are left out. Blocks.
pub(super) fn unpack(from: impl Read, prefix: &Path, target: &Path) -> Result<()> {
    let mut archive = Archive::new(from);
    let mut count = 0;
    for entry in archive.entries()? {
        let mut entry = entry.context("read the archive")?;
        let name = entry.path()?.into_owned();
        let Some(rest) = below(prefix, &name)? else {
            bail!("the archive has {}, which was not asked for", name.display())
        };
        let path = if rest.as_os_str().is_empty() { target.to_owned() } else { target.join(rest) };
        let failed = || format!("write {}", path.display());
        count += 1;
        match entry.header().entry_type() {
            EntryType::Directory => fs::create_dir_all(&path).with_context(failed)?,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent).with_context(failed)?;
                }
                io::copy(&mut entry, &mut File::create(&path).with_context(failed)?).with_context(failed)?;
            }
            EntryType::Symlink | EntryType::Link => eprintln!("warning: skipping link {}", name.display()),
            _ => eprintln!("warning: skipping {}, which is no file", name.display()),
        }
    }
    // The other side fills its last block.
    io::copy(&mut archive.into_inner(), &mut io::sink()).context("read the archive")?;
    ensure!(count > 0, "nothing was copied: {} is not there", prefix.display());
    Ok(())
}

/// The rest of a name below the prefix; names by their plain parts, so that none can climb.
fn below(prefix: &Path, name: &Path) -> Result<Option<PathBuf>> {
    let (prefix, name) = (plain(prefix)?, plain(name)?);
    Ok(name.strip_prefix(&prefix).ok().map(Path::to_owned))
}

fn plain(path: &Path) -> Result<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            _ => bail!("{} is no plain relative path", path.display()),
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (kind, name, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_cksum();
            bytes.extend_from_slice(header.as_bytes());
            bytes.extend_from_slice(content.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
        bytes.extend([0; 1024]);
        bytes
    }

    #[test]
    fn what_is_below_the_prefix_lands_below_the_target() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("copy");
        let bytes = archive(&[
            (EntryType::Directory, "etc/app/", ""),
            (EntryType::Regular, "etc/app/settings", "a=1"),
            (EntryType::Symlink, "etc/app/link", ""),
        ]);
        unpack(bytes.as_slice(), Path::new("etc/app"), &target).unwrap();
        assert_eq!(fs::read_to_string(target.join("settings")).unwrap(), "a=1");
        assert!(!target.join("link").exists());
        let single = archive(&[(EntryType::Regular, "file", "x")]);
        unpack(single.as_slice(), Path::new("./file"), &dir.path().join("renamed")).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("renamed")).unwrap(), "x");
    }

    #[test]
    fn nothing_lands_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("copy");
        for name in ["app/../../out", "/app/../out", "other"] {
            let bytes = archive(&[(EntryType::Regular, name, "x")]);
            assert!(unpack(bytes.as_slice(), Path::new("app"), &target).is_err(), "{name}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let nothing = unpack(archive(&[]).as_slice(), Path::new("app"), &target).unwrap_err().to_string();
        assert_eq!(nothing, "nothing was copied: app is not there");
    }
}
