use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wasmk_e2e::Cluster;

use crate::matching::Variables;
use crate::tools;

/// A cluster, the images that its pods run, and a directory that commands are run in.
pub struct Stage {
    pub cluster: Cluster,
    dir: TempDir,
}

/// A command of which the output goes to files.
pub(crate) struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// How a command ended, or where it stands: then it has no exit code.
pub(crate) struct Ended {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

impl Stage {
    /// A cluster of one node with images of sample apps, such as `hello:v1`: the app's name and a tag.
    #[track_caller]
    pub fn new(images: &[&str]) -> Self {
        let cluster = Cluster::up();
        for image in images {
            let (app, _) = image.split_once(':').expect("an image has a tag");
            cluster.build(app, image);
        }
        let dir = tempfile::Builder::new().prefix("wasmk-clients-").tempdir().expect("a temporary directory");
        Self { cluster, dir }
    }

    /// Copies a directory of this crate into the one that commands are run in.
    #[track_caller]
    pub fn bring(&self, directory: &str) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        copy(&from, self.dir.path()).unwrap_or_else(|error| panic!("copy {}: {error}", from.display()));
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A command with the environment of a user whose cluster this is.
    pub fn command(&self, program: &str, kubectl: &str) -> Command {
        let home = self.dir.path().join("home");
        std::fs::create_dir_all(&home).expect("a directory can be made");
        let mut command = Command::new(program);
        command
            .current_dir(self.dir.path())
            .env("PATH", tools::search_path(kubectl))
            .env("HOME", home)
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        command
    }

    /// Starts a line of shell.
    pub(crate) fn start(&self, line: &str, kubectl: &str, variables: &Variables) -> Running {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let file = |stream: &str| self.dir.path().join("home").join(format!("{number}.{stream}"));
        let (stdout, stderr) = (file("out"), file("err"));
        let mut command = self.command("sh", kubectl);
        command.args(["-c", line]).envs(variables);
        command.stdout(File::create(&stdout).expect("a file can be made"));
        command.stderr(File::create(&stderr).expect("a file can be made"));
        // A group of its own, so that what the shell started ends with it.
        command.process_group(0);
        let child = command.spawn().unwrap_or_else(|error| panic!("start {line}: {error}"));
        Running { child, stdout, stderr }
    }
}

impl Running {
    /// Waits for the end; ends it when that takes too long.
    pub(crate) fn wait(mut self, limit: Duration) -> Ended {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                let code = status.code().or(status.signal().map(|signal| 128 + signal));
                return Ended { code, ..self.so_far() };
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.end()
    }

    /// Waits until what it printed is as wanted; `None` when it is not in time.
    pub(crate) fn printed<T>(&self, limit: Duration, wanted: impl Fn(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + limit;
        loop {
            let found = wanted(&self.so_far().stdout);
            if found.is_some() || Instant::now() > deadline {
                return found;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    pub(crate) fn so_far(&self) -> Ended {
        let text = |path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
        Ended { stdout: text(&self.stdout), stderr: text(&self.stderr), code: None }
    }

    /// Ends it and what it started.
    pub(crate) fn end(mut self) -> Ended {
        self.kill();
        self.so_far()
    }

    fn kill(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // SAFETY: the child has not been waited for, so the group is still its own.
            unsafe {
                libc::kill(-(self.child.id() as libc::pid_t), libc::SIGKILL);
            }
            let _ = self.child.wait();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
