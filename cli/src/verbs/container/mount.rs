//! `-v`: directories and files of the node in the container.

use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// `None`: an empty directory that goes with the container.
    pub(super) host: Option<PathBuf>,
    pub(super) guest: String,
    /// The one file of `host` that is wanted; guests see it read-only.
    pub(super) file: Option<String>,
    pub(super) read_only: bool,
}

impl FromStr for Mount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts: Vec<&str> = text.split(':').collect();
        let read_only = match parts.as_slice() {
            [_, _, "ro"] => true,
            [_, _, "rw"] => false,
            [_, _, other] => return Err(format!("{text:?}: {other:?} is no way to mount; use ro or rw")),
            [_] | [_, _] => false,
            _ => return Err(format!("{text:?} is no volume: write HOST:CONTAINER or HOST:CONTAINER:ro")),
        };
        parts.truncate(2);
        let (host, guest) = match parts.as_slice() {
            [guest] => (None, *guest),
            [host, guest] => (Some(host_path(host, text)?), *guest),
            _ => unreachable!("a split has a first part, and the others are cut"),
        };
        if !guest.starts_with('/') {
            return Err(format!("{text:?}: {guest:?} must be an absolute path in the container"));
        }
        let guest = guest.to_owned();
        match host {
            Some(host) if host.is_file() => {
                let file = host.file_name().map(|name| name.to_string_lossy().into_owned());
                Ok(Self { host: host.parent().map(Path::to_owned), guest, file, read_only: true })
            }
            host => Ok(Self { host, guest, file: None, read_only }),
        }
    }
}

fn host_path(host: &str, whole: &str) -> Result<PathBuf, String> {
    if !host.contains(['/', '\\']) && host != "." && host != ".." {
        return Err(format!(
            "{whole:?}: there are no named volumes; name a directory, such as ./{host}, or make one by a volume of a manifest"
        ));
    }
    let path = std::path::absolute(host).map_err(|error| format!("{whole:?}: {error}"))?;
    Ok(plain(&path))
}

/// Without `..`, which a node does not follow. Links stay for the node to resolve: it may not be this machine.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_written_as_docker_has_them() {
        let parse = |text: &str| text.parse::<Mount>().map(|mount| (mount.host, mount.guest, mount.read_only));
        assert_eq!(parse("/srv/a/../data:/data").unwrap(), (Some("/srv/data".into()), "/data".to_owned(), false));
        assert_eq!(parse("/srv/data:/data:ro").unwrap(), (Some("/srv/data".into()), "/data".to_owned(), true));
        assert_eq!(parse("/cache").unwrap(), (None, "/cache".to_owned(), false));
        let here = std::env::current_dir().unwrap();
        assert_eq!(parse("./x:/x").unwrap().0, Some(here.join("x")));
        let file: Mount = "./Cargo.toml:/etc/x.toml".parse().unwrap();
        assert_eq!((file.host, file.file.as_deref(), file.read_only), (Some(here), Some("Cargo.toml"), true));
        for (wrong, why) in [
            ("data:/data", "no named volumes"),
            ("/a:b", "absolute path in the container"),
            ("/a:/b:rx", "ro or rw"),
            ("/a:/b:ro:z", "no volume"),
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}
