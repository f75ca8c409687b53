use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Output {
    pub command: String,
    pub stdout: String,
    pub stderr: String,
    pub success: bool,
    pub code: Option<i32>,
}

impl Output {
    /// Runs to the end, without input.
    #[track_caller]
    pub fn of(command: &mut Command) -> Self {
        Self::fed(command, b"")
    }

    /// Runs to the end; `input` is all it reads.
    #[track_caller]
    pub fn fed(command: &mut Command, input: &[u8]) -> Self {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let shown = words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("start {shown}: {error}"));
        let mut stdin = child.stdin.take().expect("a piped stdin");
        let output = std::thread::scope(|threads| {
            // A command that does not read all of it is no fault.
            threads.spawn(move || drop(stdin.write_all(input)));
            child.wait_with_output().unwrap_or_else(|error| panic!("wait for {shown}: {error}"))
        });
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self {
            command: shown,
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            success: output.status.success(),
            code: output.status.code(),
        }
    }

    /// Its standard output; fails the test when the command failed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.success, "{} failed:\n{}{}", self.command, self.stdout, self.stderr);
        self.stdout
    }

    /// Its standard error; fails the test when the command succeeded.
    #[track_caller]
    pub fn err(self) -> String {
        assert!(!self.success, "{} should have failed:\n{}{}", self.command, self.stdout, self.stderr);
        self.stderr
    }
}

/// Tries `attempt` until it answers `Ok`; after `limit` fails with its last words.
#[track_caller]
pub fn eventually<T>(limit: Duration, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(reason) if Instant::now() > deadline => panic!("not within {limit:?}: {reason}"),
            Err(_) => std::thread::sleep(Duration::from_millis(25)),
        }
    }
}

/// The top of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

/// The binary under test: `$WASMK_BIN`, else the one near this program's own executable.
pub fn wasmk_binary() -> PathBuf {
    if let Some(path) = std::env::var_os("WASMK_BIN") {
        return path.into();
    }
    let own = std::env::current_exe().expect("a program knows its own path");
    let name = format!("wasmk{}", std::env::consts::EXE_SUFFIX);
    // Tests live in target/PROFILE/deps, the benchmark beside the binary.
    let found = own.ancestors().skip(1).take(2).map(|dir| dir.join(&name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("no {name} near {}; `cargo xtask test` builds it, or `cargo build -p wasmk`", own.display())
    })
}
