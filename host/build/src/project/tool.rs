//! Programs that others wrote.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::BuildError;

/// A tool of a language: what it is called, what it is for, and how one gets it.
pub(super) struct Tool {
    pub(super) program: &'static str,
    pub(super) what: &'static str,
    pub(super) install: &'static str,
}

impl Tool {
    pub(super) fn missing(&self) -> BuildError {
        BuildError::NoTool { tool: self.program.to_owned(), what: self.what, install: self.install.to_owned() }
    }

    /// A command in a directory. Its output is talk, so all of it goes to stderr.
    pub(super) fn command(&self, dir: &Path) -> Command {
        command(self.program, dir)
    }

    /// Runs it to its end.
    pub(super) fn run(&self, command: &mut Command, say: &dyn Fn(&str)) -> Result<(), BuildError> {
        say(&line(command));
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(BuildError::Failed(line(command))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(self.missing()),
            Err(source) => Err(BuildError::Run { program: self.program.to_owned(), source }),
        }
    }
}

pub(super) fn command(program: impl AsRef<OsStr>, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::from(io::stderr()));
    command
}

/// Whether a program is found in `PATH`.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&path).map(|dir| dir.join(&name)).find(|file| file.is_file())
}

/// How the command would be typed, without the scripts that are given as arguments.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let words = command.get_args().map(|word| word.to_string_lossy()).filter(|word| !word.contains('\n'));
    words.fold(program, |line, word| format!("{line} {word}"))
}
