use std::io::{self, Read, Write};

use crate::path::GuestPath;
use crate::tools;
use crate::tree::Tree;
use crate::words::words;

/// A program that is built in.
pub struct Tool {
    pub name: &'static str,
    run: fn(&mut Call<'_>) -> io::Result<u8>,
}

/// One run of a tool: what a process would be given.
pub struct Call<'a> {
    /// The tool's name first.
    pub argv: &'a [String],
    pub env: &'a [(String, String)],
    pub working_dir: GuestPath,
    pub tree: &'a Tree,
    pub stdin: &'a mut dyn Read,
    pub stdout: &'a mut dyn Write,
    pub stderr: &'a mut dyn Write,
    /// Asked now and then: whether nobody wants the result any more.
    pub is_cancelled: &'a dyn Fn() -> bool,
}

const fn tool(name: &'static str, run: fn(&mut Call<'_>) -> io::Result<u8>) -> Tool {
    Tool { name, run }
}

/// In the order of names.
const TOOLS: [Tool; 11] = [
    tool("cat", tools::cat),
    tool("echo", tools::echo),
    tool("env", tools::env),
    tool("false", tools::fail),
    tool("ls", tools::ls),
    tool("mkdir", tools::mkdir),
    tool("pwd", tools::pwd),
    tool("rm", tools::rm),
    tool("tar", tools::tar),
    tool("test", tools::test),
    tool("true", tools::succeed),
];

/// The tool that a command's first word names: by its name, or by a path as if it lay in a directory of programs.
pub fn find(command: &str) -> Option<&'static Tool> {
    let name = ["/bin/", "/usr/bin/"].iter().find_map(|dir| command.strip_prefix(dir)).unwrap_or(command);
    TOOLS.iter().find(|tool| tool.name == name)
}

/// What can be run, for messages.
pub fn names() -> impl Iterator<Item = &'static str> {
    TOOLS.iter().map(|tool| tool.name)
}

impl Tool {
    /// Answers the exit code. Blocks. When stdout or stderr is gone there is nobody to tell, and it ends.
    pub fn run(&self, mut call: Call<'_>) -> u8 {
        /// As a shell reports SIGPIPE.
        const NOBODY_LISTENS: u8 = 141;
        let ended = (self.run)(&mut call).and_then(|code| call.stdout.flush().map(|()| code));
        ended.unwrap_or(NOBODY_LISTENS)
    }
}

impl<'a> Call<'a> {
    /// What follows the name.
    pub(crate) fn args(&self) -> &'a [String] {
        self.argv.get(1..).unwrap_or_default()
    }

    pub(crate) fn path(&self, text: &str) -> GuestPath {
        self.working_dir.join(text)
    }

    /// A line on stderr that begins with the tool's name.
    pub(crate) fn complain(&mut self, text: &str) -> io::Result<()> {
        let name = self.argv.first().map_or("", |name| name.rsplit('/').next().unwrap_or(name));
        writeln!(self.stderr, "{name}: {text}")
    }

    /// The same, about a file.
    pub(crate) fn complain_of(&mut self, what: &str, error: &io::Error) -> io::Result<()> {
        self.complain(&format!("{what}: {}", words(error)))
    }

    /// An error once nobody wants the result any more: for loops that write nothing.
    pub(crate) fn check_wanted(&self) -> io::Result<()> {
        if (self.is_cancelled)() { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }
}
