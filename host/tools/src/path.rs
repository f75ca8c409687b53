use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

/// An absolute path of the guest's, without `.` and `..`: names from the root down.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct GuestPath(Vec<OsString>);

impl GuestPath {
    pub fn root() -> Self {
        Self::default()
    }

    /// From the root, whether or not it begins with a slash.
    pub fn new(text: &str) -> Self {
        Self::root().join(text)
    }

    /// What `text` means in this directory. `..` is taken by the text and stops at the root.
    pub fn join(&self, text: &str) -> Self {
        let mut names = if text.starts_with('/') { Vec::new() } else { self.0.clone() };
        for name in text.split('/') {
            match name {
                "" | "." => {}
                ".." => drop(names.pop()),
                name => names.push(name.into()),
            }
        }
        Self(names)
    }

    pub(crate) fn child(&self, name: &OsStr) -> Self {
        let mut names = self.0.clone();
        names.push(name.to_owned());
        Self(names)
    }

    pub(crate) fn parent(&self) -> Self {
        Self(self.0[..self.0.len().saturating_sub(1)].to_vec())
    }

    pub(crate) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn depth(&self) -> usize {
        self.0.len()
    }

    /// The rest of the path below `base`, if it is there or below.
    pub(crate) fn below(&self, base: &Self) -> Option<&[OsString]> {
        self.0.strip_prefix(base.0.as_slice())
    }
}

/// Names as a relative path, `.` for none.
pub(crate) fn relative(names: &[OsString]) -> PathBuf {
    if names.is_empty() { PathBuf::from(".") } else { names.iter().collect() }
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str("/");
        }
        self.0.iter().try_for_each(|name| write!(f, "/{}", name.to_string_lossy()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_by_their_text_and_stop_at_the_root() {
        let cwd = GuestPath::new("/a/b");
        for (text, expected) in [
            ("c", "/a/b/c"),
            ("../c", "/a/c"),
            ("../../../../etc", "/etc"),
            ("/x//y/./z/", "/x/y/z"),
            ("", "/a/b"),
            ("/", "/"),
        ] {
            assert_eq!(cwd.join(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_path_is_below_by_whole_names() {
        let base = GuestPath::new("/data");
        assert_eq!(GuestPath::new("/data/x").below(&base).map(<[_]>::len), Some(1));
        assert_eq!(GuestPath::new("/database").below(&base), None);
    }
}
