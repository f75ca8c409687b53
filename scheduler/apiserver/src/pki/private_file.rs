use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::PkiError;

/// The file's text, or `None` when there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<String>, PkiError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PkiError::File { path: path.to_owned(), source }),
    }
}

/// Replaces the file whole, readable by its owner alone from the first byte on.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), PkiError> {
    replace(path, text).map_err(|source| PkiError::File { path: path.to_owned(), source })
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    // The name is this process's own: two that start at once do not write into one file.
    let draft = path.with_extension(format!("tmp{}", std::process::id()));
    let _ = fs::remove_file(&draft);
    let mut file = create_private(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Elsewhere a file inherits the access list of its directory, which is the user's own.
#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}
