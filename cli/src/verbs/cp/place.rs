use std::path::PathBuf;

use anyhow::{Result, ensure};

/// Where to copy from or to.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Place {
    Local(PathBuf),
    Pod { namespace: Option<String>, pod: String, path: String },
}

impl Place {
    /// `POD:PATH` and `NAMESPACE/POD:PATH` are in a pod; what begins like a path, or has no colon, is local.
    pub(super) fn parse(text: &str) -> Result<Self> {
        ensure!(!text.is_empty(), "a path is empty");
        let is_local = text.starts_with(['.', '/']) || has_drive(text);
        let Some((pod, path)) = text.split_once(':').filter(|_| !is_local) else {
            return Ok(Self::Local(text.into()));
        };
        let (namespace, pod) = pod.split_once('/').map_or((None, pod), |(namespace, pod)| (Some(namespace), pod));
        ensure!(
            !pod.is_empty() && !pod.contains('/') && namespace != Some(""),
            "{text}: write it as POD:PATH or NAMESPACE/POD:PATH"
        );
        Ok(Self::Pod { namespace: namespace.map(str::to_owned), pod: pod.to_owned(), path: path.to_owned() })
    }
}

/// `C:\…`.
fn has_drive(text: &str) -> bool {
    cfg!(windows) && text.as_bytes().get(1) == Some(&b':') && text.as_bytes()[0].is_ascii_alphabetic()
}

/// A container's path as its directory and its last name.
pub(super) fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((directory, name)) => (directory, name),
        None => (".", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart_by_their_colon() {
        let pod = |namespace: Option<&str>, pod: &str, path: &str| Place::Pod {
            namespace: namespace.map(str::to_owned),
            pod: pod.to_owned(),
            path: path.to_owned(),
        };
        for (text, expected) in [
            ("web:/etc/x", pod(None, "web", "/etc/x")),
            ("shop/web:x", pod(Some("shop"), "web", "x")),
            ("./a:b", Place::Local("./a:b".into())),
            ("/tmp/x", Place::Local("/tmp/x".into())),
            ("file", Place::Local("file".into())),
        ] {
            assert_eq!(Place::parse(text).unwrap(), expected, "{text}");
        }
        for wrong in ["", ":x", "a/b/c:x"] {
            assert!(Place::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_path_is_a_directory_and_a_name() {
        assert_eq!(split("/data/x"), ("/data", "x"));
        assert_eq!(split("/x"), ("/", "x"));
        assert_eq!(split("x"), (".", "x"));
    }
}
