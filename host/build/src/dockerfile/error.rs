use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum DockerfileError {
    #[error("{action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Something that the author of the file can mend.
    #[error("{0}")]
    Invalid(Remark),
    #[error("{file} has no stage {target:?}; it has {known}")]
    NoTarget { file: String, target: String, known: String },
    #[error("{}: line {line}: {message}", path.display())]
    Ignore { path: PathBuf, line: usize, message: String },
}

/// What is to be said about a line, as compilers write it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remark {
    pub file: String,
    pub line: usize,
    pub message: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// A fault of one line; the caller knows the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }

    pub(crate) fn of(self, file: &str) -> Remark {
        Remark { file: file.to_owned(), line: self.line, message: self.message }
    }
}

pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DockerfileError {
    move |source| DockerfileError::Io { action, path: path.to_owned(), source }
}
