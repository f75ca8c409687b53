//! Where a setting may stand, and what is found there.

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Config;
use super::error::Problem;

/// A value as text, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) text: String,
    pub(super) origin: Origin,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    Variable(String),
    File(PathBuf),
}

impl Config {
    /// The value of a setting, by the names of the fields that lead to it.
    pub(super) fn find(&self, path: &[&str]) -> Result<Option<Found>, Problem> {
        let name = self.variable_of(path);
        if let Some(text) = self.env.get(&name) {
            return Ok(Some(Found { text: text.clone(), origin: Origin::Variable(name) }));
        }
        let pointer = format!("{name}_FILE");
        if let Some(file) = self.env.get(&pointer) {
            let found = read(Path::new(file))?;
            let missing = || Problem::unreadable(Path::new(file), format!("is not there, though {pointer} names it"));
            return found.ok_or_else(missing).map(Some);
        }
        for dir in &self.dirs {
            for file in file_names(path) {
                if let Some(found) = read(&dir.join(file))? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// Whether any setting stands below `path`.
    pub(super) fn has_below(&self, path: &[&str]) -> bool {
        let above = format!("{}_", self.variable_of(path));
        if self.env.keys().any(|name| name.starts_with(&above)) {
            return true;
        }
        let entries = self.dirs.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten();
        entries.map(|entry| entry.file_name()).any(|name| variable(&name.to_string_lossy()).starts_with(&above))
    }

    pub(super) fn variable_of(&self, path: &[&str]) -> String {
        format!("{}{}", self.prefix, variable(&path.join("_")))
    }
}

/// The name of an environment variable: `maxItems`, `max-items` and `max_items` are `MAX_ITEMS`.
pub(super) fn variable(name: &str) -> String {
    let mut upper = String::with_capacity(name.len() + 2);
    let mut before = '_';
    for character in name.chars() {
        if character.is_uppercase() && (before.is_lowercase() || before.is_ascii_digit()) {
            upper.push('_');
        }
        upper.extend(if character.is_alphanumeric() { character.to_uppercase().next() } else { Some('_') });
        before = character;
    }
    upper
}

/// What a key of a ConfigMap or Secret may be called for this setting.
fn file_names(path: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in
        [path.join("."), path.join("_"), path.join("-"), path.join("-").replace('_', "-"), variable(&path.join("_"))]
    {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.push(format!("{}.json", path.join(".")));
    names
}

fn read(path: &Path) -> Result<Option<Found>, Problem> {
    match fs::read(path) {
        Ok(bytes) => {
            let text =
                String::from_utf8(bytes).map_err(|_| Problem::unreadable(path, "is not UTF-8 text".to_owned()))?;
            let text = text
                .strip_suffix('\n')
                .map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line))
                .to_owned();
            Ok(Some(Found { text, origin: Origin::File(path.to_owned()) }))
        }
        // A path outside of every mount is as one that is not there.
        Err(error) if is_absent(path, &error) => Ok(None),
        Err(error) => Err(Problem::unreadable(path, format!("cannot be read: {error}"))),
    }
}

fn is_absent(path: &Path, error: &std::io::Error) -> bool {
    let is_unmounted = || path.parent().is_none_or(|dir| !dir.is_dir());
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory)
        || path.is_dir()
        || is_unmounted()
}

impl Display for Origin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Variable(name) => write!(f, "environment variable {name}"),
            Origin::File(path) => write!(f, "file {}", path.display()),
        }
    }
}
